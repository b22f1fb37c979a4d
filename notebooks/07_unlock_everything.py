# %% [markdown]
# # 7. Unlock everything
#
# **What you'll do.** Prove that two locks are gone, by a test with NaN. Let blocks update only
# now and then. Remove the last lock with synthetic *inputs*. Then let two real workers train the
# network, draw who does what when, and ask: is it faster?
#
# **What you'll learn.** How to test that an update does not depend on something. How much late
# messages harm. Why a decoupled network needs more work, and when it is faster all the same.
#
# **What you need.** Notebooks 1 to 6. Three to five minutes, on two cores. A browser has no
# threads: there the two workers take turns.

# %%
import inspect

import course
import numpy as np

import tinydni as td
from tinydni.lab.workers import ParallelTraining, Plan, costs, simulator

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
# ## A test with NaN
#
# "The block does not wait for those above" means that its update does not *depend* on them. We
# can test that. Fill all weights above with NaN (we call this *poison*), make one step, and see
# whether the block makes the same update as before. A sum or product with NaN is NaN, so an
# update that uses anything from above becomes NaN, too.

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
# Under `update_decoupled` the NaN does reach the *synthesizer* below, by the message. It would
# come into the block with the next guess. But this update did not use it. So update lock and
# backward lock are gone.

# %% [markdown]
# ## Now and then
#
# If a block waits for nobody, it can also update only when it has time. Under `Stochastic(p)`
# every block draws a random number in every step. With probability p it updates and sends its
# message down. Otherwise it only runs forward. Every block draws for itself, so they update in
# different steps.

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
# With p = 0.2 each block makes a fifth of the updates. After three epochs the error is then two
# to two and a half times as large, and after ten it is 2.3 % (`cdni`) and 2.0 % (`vfbn`) in place
# of 1.5 % (`tinydni reproduce updates`). (We compare the same number of *epochs*. Five times as
# many would be the same number of updates.)
#
# ## A mixture
#
# There is a method between backpropagation and guessing, called BP(λ). It *mixes* the gradient
# that comes down with the one that is guessed: $dh = \lambda\, dx + (1 - \lambda)\, \hat\delta /
# N$.
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
# One lock is left: a block cannot run before it gets its input. The idea is the same again. The
# block guesses its input, from something that it has at once: the input x of the whole network. A
# **synthetic input** $\hat h_k = I_k(x)$ replaces the h that the block below will send. When the
# real h comes, $I_k$ learns from it. Here is the whole algorithm:

# %%
print(inspect.getsource(td.variants.FullUnlock.__call__))

# %% [markdown]
# Look at the first loop: no module uses anything of another one. All passes could run at the same
# time. The second loop sends the messages, the h upwards and the dx downwards. In the picture,
# green is for gradients and blue is for inputs. A solid blue arrow is the guess that a block
# uses. The dotted blue line comes later and teaches the guesser.

# %%
def unlocked_network():
    rng = td.stream(0, "synthesizer", 1)
    net = network(lr=adam(1e-3), synthesizer_lr=adam(1e-3))
    return td.variants.full_unlock(
        net, lambda n_h: td.variants.input_synthesizer(data.n_in, n_h, rng), adam(1e-3)
    )

td.plots.draw_network(unlocked_network())

# %% [markdown]
# No solid arrow goes from one block to the next, up or down. Test it with NaN again, now also
# *below*:

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
# The trained network does not use synthetic inputs: `predict` runs the ordinary network, from
# real h to real h. So a block learns on guessed inputs and is then used on real ones. It is good
# only if the two are alike.

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
# It learns, but its error is larger than that of decoupled updates alone with the same number of
# steps. Now a block runs on a guess, updates with a guess, and teaches others from both. With
# three layers that works well. With four layers these few epochs are not enough for a reliable
# result. The paper trained for hundreds of thousands of steps.

# %% [markdown]
# ## Two workers
#
# So far one loop did the work of all blocks. Now we take two real workers: two threads that send
# each other arrays. Each of them has one half of a network of six layers. One interface is
# enough, between the two workers. Inside a worker we use the true gradient, since there nobody
# has to wait.

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
        transport=course.transport(2),  # two threads
        make_plan=lambda t: Plan(
            mode, [1, 2], t.schedule, t.batch_of, t.batch_size, **options
        ),
    )
    training.run([stop_after(n_steps)])
    return training

# %% [markdown]
# First, as in notebook 1: are the numbers the same? In the mode `lock-step` a worker may be only
# one batch ahead. So a synthesizer learns from each message before the next batch. Then two
# threads have to do exactly what one loop does:

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
# Now let them run freely. A worker starts the next batch as soon as it has one, up to four
# batches ahead. It learns from messages when they come. What should that look like? The next cell
# measures how long a step takes each worker. From that it computes a timeline, for a computer on
# which nothing else runs:

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
# Time goes from left to right. The *locked* run is backpropagation over the same two workers:
# while one of them computes, the other waits (grey). In the *decoupled* run both work all the
# time. The upper worker is at an earlier batch than the lower one, because the lower one did not
# wait for it. Green is the extra work: guessing, and learning to guess.
#
# And this is what the real workers did. The full unlock is the third run. Each worker has written
# down the start and the end of everything it did. The picture shows the four batches in a row
# that took the least time. If some bars are much too long, another program was using the core at
# that time.

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
# How late do the messages come? For each message we count how many batches the lower worker had
# started before it came. `late` is a dictionary {how late: how many messages}.
#
# **Now you.** Write the mean lateness of a message.
#
# <details><summary>Hint</summary>
#
# A weighted mean: each lateness counts as often as it happened.
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
# This does little harm. The worker has kept the h and the context of that batch, and the message
# is right for these. Only the weights have changed a little since then.

# %% [markdown]
# ## Is it faster?
#
# Count the work. In a locked step the workers run forward, backward and update, one after the
# other. A decoupled worker does the same for its part, and also guesses, but all workers do it at
# the same time.
#
# **Now you.** What is the best speed-up with K equal workers? `block` is the time of one block,
# `synthesizer` that of one guesser.
#
# <details><summary>Hint</summary>
#
# A speed-up is the old time divided by the new time. The locked network needs K blocks, one after
# the other.
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
# **Now you.** Now the other way round. How many workers do you need to be at least `times` as
# fast? A synthesizer takes `ratio` times as long as a block.
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
# The next cell shows the measured costs of the two halves, and the speed-up that follows from
# them. This is the best case: messages take no time, and no other program runs.

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
# - **Locked** is 1 for any number of workers: only one works at a time.
# - **Decoupled** grows with the number of workers, at a slope below 1, because of the guessing.
#   For speed, cheap synthesizers are more important than good ones.
# - **Data parallelism**: each worker has the whole network and a share of each batch. This saves
#   time in the passes but not in the update: every worker updates *all* weights. With small
#   batches the update is a large part of the work. Data parallelism also sends the gradients of
#   all weights in every step, while an interface sends only one h up and one dh down. (Here
#   messages take no time; in reality they do.) With large batches data parallelism is better.
#
# And more steps per second are not enough: a decoupled network may need more steps for the same
# error, as we saw. If you report a speed-up, say how many workers and steps it took, and which
# error was reached. Compare it with a locked run *and* with data parallelism on the same workers.
# `tinydni bench workers` does that on your machine.

# %% [markdown]
# ## On your own
#
# **1.** `update_decoupled` passes the test with NaN in the blocks *above*. Put NaN into the block
# *below* instead. What happens, and which lock is it?
#
# <details><summary>Hint</summary>
#
# The NaN comes up with h in the same step. That is the forward lock, which only the full unlock
# removes.
# </details>
#
# **2.** In the test of `update_decoupled`, make a second step. Where is NaN now, and why?
#
# <details><summary>Hint</summary>
#
# In the first step, block 2 sent a message of NaN, and the synthesizer of block 1 learnt from it.
# In the second step it guesses NaN, and the lowest block updates to NaN. A mistake moves down one
# block per step.
# </details>
#
# **3.** BP(λ) mixes the two gradients: `algorithm=td.variants.BPLambda(0.5)`. Train with λ = 0,
# 0.5 and 1 for `cdni`. Which of them is backpropagation, and which locks are back for λ > 0?
#
# <details><summary>Hint</summary>
#
# λ = 1 uses only the gradient from above: backpropagation, with the learning rates of cDNI. For
# every λ above 0 each block needs the gradient from above, so update lock and backward lock are
# back. So BP(λ) removes no lock. It shows how much a network loses by guessing.
# </details>
#
# **4.** Set `room=1` in the plan of the decoupled run and look at the timeline and the lateness.
# Then `room=16`.
#
# <details><summary>Hint</summary>
#
# With room for one batch the lower worker cannot run ahead. It learns from each message before
# the next batch, no message is late, and it has to wait: this is the mode `lock-step`. With more
# room it can run further ahead of a slow upper worker. But the slower one of the two does not get
# any faster, and it sets the speed of both.
# </details>
#
# **5.** For which ratio of synthesizer to block does it take four workers to be twice as fast?
# What does each of them do with its time?
#
# <details><summary>Hint</summary>
#
# `workers_needed(2, ratio)` is 4 for ratios above 0.5, up to 1. With a ratio of 1.0 each worker
# spends half of its time on guessing.
# </details>

# %% [markdown]
# ## In practice
#
# - Threads are enough for NumPy: while it computes, other threads can run, too; `tinydni train
#   mnist --workers 2` uses them. Several computers need MPI: `mpiexec -n 2 tinydni train mnist
#   --transport mpi`.
# - Give each worker one BLAS thread (BLAS is the library that multiplies matrices for NumPy). Two
#   workers with two threads each on two cores slow each other down.
# - Cut where both parts have about the same work and h is small. `tinydni.lab.workers.balance`
#   finds the place from measured costs.
#
# ## Further reading
#
# - M. Jaderberg and others, *Decoupled Neural Interfaces using Synthetic Gradients*, 2016,
#   sections 2.1 and 3.1 on the complete unlock, supplement A on BP(λ).
# - Y. Huang and others, *GPipe*, 2019: how locked workers wait less, with micro-batches.
# - Z. Huo and others, *Decoupled Parallel Backpropagation with Convergence Guarantee*, 2018: true
#   gradients, but late ones.
