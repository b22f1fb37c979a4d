# %% [markdown]
# # 7. Unlock everything
#
# **What you'll do.** Prove that the locks are gone, by poisoning what a block may not need. Let
# blocks update only now and then. Take away the last lock with synthetic *inputs*. Then put the
# network on two real workers, draw who does what when, and ask: is it faster?
#
# **What you'll learn.** How to test for independence; what lateness costs; why a decoupled
# network is more work, and when it still pays.
#
# **What you need.** Notebooks 1 to 6. Three to five minutes, on two cores.

# %%
import inspect

import course
import numpy as np

import tinydni as td
from tinydni.lab.workers import ParallelTraining, Plan, costs, simulator
from tinydni.lab.workers.transports.threads import Threads

SHORT = course.begin()

data, MNIST = course.mnist(SHORT)
epochs = 1 if SHORT else 3 if MNIST else 40
context = data.context()

# %%
def adam(lr, eps=1e-8):
    return lambda: td.Adam(lr, eps=eps)

def network(method="cdni", blocks=None, algorithm=td.update_decoupled, **options):
    """Three layers, or other blocks, with the recipes of notebooks 5 and 6."""
    rng = td.stream(0, "synthesizer")
    recipe = {
        "backprop": dict(lr=adam(2e-3)),
        "cdni": dict(
            synthesizer=lambda n: td.LinearSynthesizer(n, n_context=10),
            lr=adam(5e-3, eps=1e-5),
            top_lr=adam(1e-3),
            synthesizer_lr=adam(1e-3),
        ),
        "vfbn": dict(
            synthesizer=lambda n: td.VirtualLinear(n, 10, rng),
            lr=adam(3e-3),
            synthesizer_lr=adam(1e-3),
        ),
    }[method]
    blocks = blocks or td.mlp([data.n_in, 256, 256, 10], td.stream(0, "weights"))
    return td.build(
        blocks, td.SoftmaxCrossEntropy(), algorithm=algorithm, **{**recipe, **options}
    )

def train(net, name="training"):
    """Trains a network on the data. Returns the history."""
    n_steps = epochs * (len(data.x) // 64)
    return td.Training(
        net,
        data,
        epochs,
        batch_size=64,
        seed=0,
        schedule=td.LinearDecay(n_steps),
        context=context,
    ).run([course.watch(name)])

# %% [markdown]
# ## Poison
#
# "The block does not wait for those above" is a claim about what its update *depends* on. That
# can be tested: fill everything above with NaN, make one step, and see whether the block updates
# as if nothing had happened. NaN is contagious: whatever touches it becomes NaN.

# %%
def bottom_after_one_step(algorithm, method, poisoned):
    net = network(method, algorithm=algorithm)
    for start in range(0, 10 * 64, 64):  # first some ordinary steps
        net.step(
            data.x[start : start + 64],
            data.y[start : start + 64],
            context[start : start + 64],
        )
    if poisoned:
        for module in net.modules[1:]:
            module.block.layers[0].W[...] = np.nan
    net.step(data.x[:64], data.y[:64], context[:64])
    return net.modules[0].block.layers[0].W

for algorithm, method in ((td.backprop, "backprop"), (td.update_decoupled, "cdni")):
    healthy, ill = (
        bottom_after_one_step(algorithm, method, poisoned) for poisoned in (False, True)
    )
    same = np.array_equal(healthy, ill)
    print(
        f"{algorithm.__name__:17s} the lowest block updates "
        + ("just the same" if same else "to NaN")
        + " when all above is poisoned"
    )
    assert same == (algorithm is td.update_decoupled)

# %% [markdown]
# Under `update_decoupled` the poison does arrive, one step later: in the *synthesizer*, which has
# listened to the message. The update itself was free of it. Update lock and backward lock are
# gone.

# %% [markdown]
# ## Now and then
#
# If a block waits for nobody, it may also update only when it has time. In `Stochastic(p)` every
# block tosses a coin in every step: with probability p it updates and sends its message down,
# else it only runs forward. The blocks do not even act in the same steps.

# %%
td.plots.draw_network(
    network(algorithm=td.variants.Stochastic(0.2, n_modules=3, seed=0))
)

# %% [markdown]
# How rare may updates be?

# %%
rows = []
for p in (1.0, 0.5, 0.2, 0.1):
    for method in ("cdni", "vfbn"):
        history = train(
            network(method, algorithm=td.variants.Stochastic(p, n_modules=3, seed=0)),
            f"{method}, p = {p:g}",
        )
        rows.append(
            {
                "row": f"p = {p:g}",
                "column": method,
                "mean": history["test_error"][-1],
                "std": None,
                "seeds": 1,
                "paper": None,
            }
        )
    if p == 1:          # every block in every step: nothing but update_decoupled
        np.testing.assert_allclose(
            history["train_loss"], train(network(method))["train_loss"], rtol=1e-3
        )

assert not MNIST or max(row["mean"] for row in rows) < 12
td.plots.results_table(
    rows,
    title=f"{data.name}, 3 layers: each block updates with probability p",
    unit=f"Test error [%] after {epochs} epochs",
)

# %% [markdown]
# With p = 0.2 each block makes a fifth of the updates, and loses less than one might fear. The
# virtual network is the more patient one: it has fewer numbers to learn from rare messages. (The
# same number of *epochs*. Five times as many would be the same number of updates.)
#
# ## Half of the way
#
# Between backpropagation and guessing lies BP(λ): the gradient that comes down and the one that
# is guessed are *mixed*, $dh = \lambda\, dx + (1 - \lambda)\, \hat\delta / N$.
#
# **Now you.** Write the mixture. dx is a message, delta_hat comes from a synthesizer. Mind the
# units (notebook 3).
#
# <details><summary>Hint</summary>
#
# λ = 1 has to be backpropagation, λ = 0 a decoupled update.
# </details>
#
# <details><summary>A second hint</summary>
#
# delta_hat is N times as large as a message. N is `len(dx)`.
# </details>

# %%
def mixed(dx, delta_hat, lam):
    ### BEGIN SOLUTION
    return lam * dx + (1 - lam) * delta_hat / len(dx)
    ### END SOLUTION

course.check("7.1", mixed)

# %% [markdown]
# ## The last lock
#
# One lock is left: a block cannot run before it gets its input. The cure is the same. Let it
# guess its input, from something it has at once: the network's own input x. A synthetic input
# $\hat h_k = I_k(x)$ takes the place of what the block below will send, and I learns from that
# when it comes. Here is the whole algorithm:

# %%
print(inspect.getsource(td.variants.FullUnlock.__call__))

# %% [markdown]
# Look at the first loop: no module uses anything of another. All passes could run at the same
# moment. In the second loop the messages are delivered, the h upwards and the dx downwards. In
# the picture blue is for inputs what green is for gradients: the solid arrow is the guess that a
# block runs on, the dots are what comes later and teaches the guesser.

# %%
def unlocked_network():
    rng = td.stream(0, "synthesizer", 1)
    net = network(lr=adam(1e-3), synthesizer_lr=adam(1e-3))
    return td.variants.full_unlock(
        net, lambda n_h: td.variants.input_synthesizer(data.n_in, n_h, rng), adam(1e-3)
    )

td.plots.draw_network(unlocked_network())

# %% [markdown]
# No solid arrow leads from one block to the next, up or down. Test it with poison again,
# now *below*:

# %%
def middle_after_one_step(poisoned):
    net = unlocked_network()
    for start in range(0, 10 * 64, 64):
        net.step(
            data.x[start : start + 64],
            data.y[start : start + 64],
            context[start : start + 64],
        )
    if poisoned:
        for module in (net.modules[0], net.modules[2]):
            module.block.layers[0].W[...] = np.nan
    net.step(data.x[:64], data.y[:64], context[:64])
    return net.modules[1].block.layers[0].W

assert np.array_equal(middle_after_one_step(False), middle_after_one_step(True))
print(
    "the middle block updates just the same when the blocks above and below are "
    "poisoned"
)

# %% [markdown]
# When the network is used, the synthetic inputs are gone: `predict` runs the ordinary network,
# from real h to real h. So each block must be good on *both*, and it is only as good as its
# guessed inputs are like the real ones.

# %%
net = unlocked_network()
history = train(net)
print(
    f"{data.name}, 3 layers, fully unlocked: {history['test_error'][-1]:.2f} % of the "
    f"test images misread"
)

h, x = data.x_test[:2000], data.x_test[:2000]
for below, input_synthesizer in zip(net.modules, net.algorithm.synthesizers[1:]):
    h = below.forward(h)
    h_hat = input_synthesizer.forward(x)
    print(
        f"synthetic input of width {h.shape[1]}: squared error "
        f"{100 * np.sum((h_hat - h) ** 2) / np.sum(h**2):.0f} % of the size of the "
        f"real one"
    )
assert not MNIST or history["test_error"][-1] < 8

# %% [markdown]
# It learns, with a worse result than decoupled updates alone in the same time: now a block runs
# on a guess, updates on a guess, and teaches others by both. With three layers that works well,
# with four it gets shaky in so few epochs. The paper trained it for hundreds of thousands of
# steps.

# %% [markdown]
# ## Two workers
#
# So far one loop has pretended to be many workers. Now for real: two threads, each with a half of
# a network of six layers, that send each other arrays. One interface is enough, between the
# workers. Inside a worker the gradient may be true, since nobody has to wait there.

# %%
def two_halves():
    layers = td.mlp([data.n_in] + [256] * 5 + [10], td.stream(0, "weights"))
    return [
        td.Sequential(*layers[:2]),
        td.Sequential(*layers[2:]),
    ]  # about equal work: the first layer is the largest

def stop_after(n_steps):
    def stop(training):
        training.stopped = training.step >= n_steps
    return stop

def on_two_workers(net, mode, n_steps=200, **options):
    """Some steps of a network of two modules on two threads, one for each.

    Returns the training.
    """
    training = ParallelTraining(
        net,
        data,
        epochs=40,
        batch_size=64,
        seed=0,
        context=context,
        transport=Threads(2),
        make_plan=lambda t: Plan(
            mode, [1, 2], t.schedule, t.batch_of, t.batch_size, **options
        ),
    )
    training.run([stop_after(n_steps)])
    return training

# %% [markdown]
# First the habit of notebook 1: same numbers? In the mode `lock-step` a worker may be one batch
# ahead and no more, so that each message is learnt before the next batch. Two threads then have
# to do exactly what one loop does:

# %%
one_loop = network(blocks=two_halves())
training = td.Training(
    one_loop, data, epochs=20, batch_size=64, seed=0, context=context
)
training.run([stop_after(200)])
two_workers = on_two_workers(network(blocks=two_halves()), "lock-step").network

probe = data.x_test[:500]
difference = np.abs(one_loop.predict(probe) - two_workers.predict(probe)).max()
print(f"after 200 steps the outputs differ by at most {difference:.0e}")
assert difference < 1e-2

# %% [markdown]
# Now let them run freely: a worker takes the next batch as soon as it has one, up to four batches
# ahead, and learns from messages when they come. What should that look like? Measure what a step
# costs each worker, and play it through on paper, as if the two were alone in the world:

# %%
batch = data.x[:64], context[:64], data.y[:64]
cost = costs.measure(network(blocks=two_halves()).modules, *batch)
ideal = {
    mode: {
        k: stage.records
        for k, stage in enumerate(
            simulator.MODES[mode](cost, simulator.Link(), n_batches=12)
        )
    }
    for mode in ("locked", "decoupled")
}
td.plots.timeline(ideal, title="Who does what when, computed from costs")

# %% [markdown]
# Read it like a score. In the *locked* run, backpropagation over the same two workers, the bars
# of the two take turns: while one computes, the other waits (grey). In the *decoupled* run both
# are at work, the upper one on an earlier batch than the lower one, which has not waited for it.
# Green is the price: guessing, and learning to guess.
#
# And this is what the real ones did, here with the full unlock as third. Each has written down
# the start and the end of everything it did; the picture shows the four batches that were
# disturbed the least. Where bars are much too long, some other program had the core meanwhile.

# %%
n_steps, unlock_rng = 200 if SHORT else 800, td.stream(0, "synthesizer", 1)
unlocked = td.variants.full_unlock(
    network(blocks=two_halves()),
    lambda n_h: td.variants.input_synthesizer(data.n_in, n_h, unlock_rng),
    adam(1e-3),
)
runs = {
    "locked": on_two_workers(
        network("backprop", two_halves(), td.backprop),
        "locked",
        n_steps,
        recorded=(30, n_steps),
    ),
    "decoupled": on_two_workers(
        network(blocks=two_halves()), "free", n_steps, recorded=(30, n_steps)
    ),
    "fully unlocked": on_two_workers(
        unlocked, "free", n_steps, unlock=True, recorded=(30, n_steps)
    ),
}
td.plots.timeline({label: run.records for label, run in runs.items()})

# %% [markdown]
# How late do the messages come? We count, for each, how many batches the lower worker had begun
# in the meantime: `late` is a dictionary {how late: how many messages}.
#
# **Now you.** Write the mean lateness of a message.
#
# <details><summary>Hint</summary>
#
# Each lateness counts as often as it occurred.
# </details>
#
# <details><summary>A second hint</summary>
#
# `late.items()` gives pairs (n, count). Divide the sum of n · count by the number of messages.
# </details>

# %%
def mean_lateness(late):
    ### BEGIN SOLUTION
    return sum(n * count for n, count in late.items()) / sum(late.values())
    ### END SOLUTION

course.check("7.2", mean_lateness)
late = runs["decoupled"].staleness[0]
for n_batches, count in sorted(late.items()):
    print(f"{count:4d} messages came {n_batches} batches late")
print(f"on average {mean_lateness(late):.1f} batches")
assert sum(late.values()) == runs["decoupled"].step

# %% [markdown]
# This does little harm. The h and the context of that batch were kept, and the
# message is right for these; only the weights have moved on a little.

# %% [markdown]
# ## Is it faster?
#
# Count the work. A locked step is forward, backward, update, one worker after the other. A
# decoupled worker does the same for its part, and the guessing on top, but all of them do it at
# once.
#
# **Now you.** What is the best speed-up with K equal workers? `block` is the time of one block,
# `synthesizer` that of one guesser.
#
# <details><summary>Hint</summary>
#
# A speed-up is the old time over the new time. The locked network needs K blocks, one after the
# other.
# </details>
#
# <details><summary>A second hint</summary>
#
# The new time is that of one worker: its block and its synthesizer.
# </details>

# %%
def speed_up(K, block, synthesizer):
    ### BEGIN SOLUTION
    return K * block / (block + synthesizer)
    ### END SOLUTION

course.check("7.3", speed_up)

# %% [markdown]
# **Now you.** Turn it round: how many workers does it take to be at least `times` as fast, if a
# synthesizer takes `ratio` times as long as a block?
#
# <details><summary>Hint</summary>
#
# Divide by block: K / (1 + ratio) = times.
# </details>
#
# <details><summary>A second hint</summary>
#
# Workers are whole: `int(np.ceil(...))`.
# </details>

# %%
def workers_needed(times, ratio):
    ### BEGIN SOLUTION
    return int(np.ceil(times * (1 + ratio)))
    ### END SOLUTION

course.check("7.4", workers_needed)

# %% [markdown]
# The measured costs of the two halves, and what follows from them (no messages, no other
# programs, caches as on one core: the best case):

# %%
for k in range(2):
    print(
        f"worker {k}: synthesizer / block = {cost.synthesizer[k] / cost.block[k]:.2f}"
    )

curves = {}
for mode in ("locked", "decoupled", "data-parallel"):
    workers = np.array([2, 4, 8, 16])
    speeds = [
        simulator.throughput(mode, simulator.scaled(cost, K), simulator.Link())
        * simulator.scaled(cost, K).block.sum()
        for K in workers
    ]  # K mean halves
    curves[mode] = (workers, speeds)
    print(
        f"{mode:14s}"
        + "".join(f"   {K} workers {speed:4.1f}" for K, speed in zip(workers, speeds))
    )

equal = simulator.scaled(cost, 4)
formula = speed_up(4, equal.block[0], equal.synthesizer[0])
assert (
    abs(curves["decoupled"][1][1] / formula - 1) < 0.05
)  # the formula, found again by the simulator
assert all(abs(speed - 1) < 0.05 for speed in curves["locked"][1])

td.plots.learning_curve(
    curves,
    title="Speed-up over one worker, computed from costs",
    xlabel="workers, each with the same part of a deeper network",
    ylabel="times as many batches per second",
)

# %% [markdown]
# - **Locked** stays at 1, whatever the number of workers: only one works at a time.
# - **Decoupled** grows with the number of workers, at a slope below 1, for the guessing. Cheap
#   synthesizers matter more than good ones here.
# - **Data parallelism**, where each worker has the whole network and a share of each batch, saves
#   on the passes but not on the update: every worker steps *all* weights. With small batches that
#   is a large part of the work. Besides, it sends the gradients of all weights in every step
#   (here for nothing, in reality not), while an interface sends one h up and one dh down. With
#   large batches the picture changes.
#
# And steps are not accuracy: as we saw, a decoupled network may need more of them. If you claim a
# speed-up, state the number of workers, the steps, the error reached, and a locked baseline *and*
# data parallelism on the same workers. `tinydni bench workers` does, for this machine.

# %% [markdown]
# ## On your own
#
# **1.** `update_decoupled` passes the poison test for the blocks *above*. Poison the
# block *below* instead. What happens, and which lock is it?
#
# <details><summary>Hint</summary>
#
# The NaN comes up with h in the same step. That is the forward lock, which only the full unlock
# removes.
# </details>
#
# **2.** In the poison test for `update_decoupled`, make a second step. Where is the poison now,
# and why?
#
# <details><summary>Hint</summary>
#
# In the first step, block 2 sent a message of NaN, and the synthesizer of block 1 learnt from it.
# In the second step it guesses NaN, and the lowest block updates to NaN. A failure travels down
# one block per step.
# </details>
#
# **3.** BP(λ) mixes the two gradients: ``algorithm=td.variants.BPLambda(0.5)`. Train with λ =
# 0, 0.5 and 1 for `cdni`. Which of them is backpropagation, and which locks are back for λ > 0?
#
# <details><summary>Hint</summary>
#
# λ = 1 takes nothing but the gradient from above: backpropagation, with the learning rates of
# cDNI. As soon as λ > 0, each block needs the gradient that comes back from above, so update lock
# and backward lock are back. It tells how much is lost by guessing, and removes nothing.
# </details>
#
# **4.** Set `room=1` in the plan of the decoupled run and look at the timeline and the lateness.
# Then `room=16`.
#
# <details><summary>Hint</summary>
#
# With room for one batch nobody runs ahead: each message is learnt before the next batch, nothing
# is late, and the lower worker waits (this is the mode `lock-step`). More room lets it run
# further ahead of a slow upper worker. It does not make the slower one of the two any faster, and
# that one sets the pace.
# </details>
#
# **5.** For which ratio of synthesizer to block does it take four workers to be twice as fast?
# What does each of them do with its time?
#
# <details><summary>Hint</summary>
#
# `workers_needed(2, ratio)` is 4 for ratios above 0.5, up to 1. With 1.0 half of each worker's
# time is spent on guessing.
# </details>

# %% [markdown]
# ## In practice
#
# - Threads are enough for NumPy, which computes outside of Python's lock; `tinydni train
#   mnist --workers 2` uses them. Across computers it is MPI: `mpiexec -n 2 tinydni train
#   mnist --transport mpi`.
# - Give each worker one BLAS thread. Two workers with two threads each on two cores get in each
#   other's way.
# - Cut where the work is halved and h is small. `tinydni.lab.workers.balance` finds the place
#   from measured costs.
#
# ## Further reading
#
# - M. Jaderberg and others, *Decoupled Neural Interfaces using Synthetic Gradients*, 2016,
#   sections 2.1 and 3.1 on the complete unlock, supplement A on BP(λ).
# - Y. Huang and others, *GPipe*, 2019: another way to keep locked workers busy, with
#   micro-batches.
# - Z. Huo and others, *Decoupled Parallel Backpropagation with Convergence Guarantee*, 2018: true
#   gradients, but late ones.
