# %% [markdown]
# # 15. Run on a GPU
#
# **What you'll do.** Run the network of notebook 5 on CuPy, without changing a line of it. Build
# a stand-in for a GPU: it computes with NumPy and writes down everything that a GPU would have to
# do. Use it to find out where the time goes, and how much time it takes to look at a number. Find
# out why a large GPU mostly waits if the network is small.
#
# **What you'll learn.** What has to be copied between the computer (the **host**) and the GPU
# (the **device**). How the queue of a GPU works, and what empties it. How to find out whether
# launches, memory or arithmetic limit a program.
#
# **What you need.** Notebooks 1 to 5. One minute. You need no GPU: without one the notebook says
# so, and goes on with the stand-in. With an NVIDIA GPU, install CuPy first: `pip install
# ".[gpu13]"` (or `gpu12`, for CUDA 12).

# %%
import inspect
import time
import types

import course
import numpy as np

import tinydni as td

SHORT = course.begin()

reason = td.backend.why_no_cupy()
print("backend cupy:", reason or "works.")
print("So not one number below was measured on a GPU." if reason else "A GPU answers.")

# %% [markdown]
# (`tinydni doctor` says so, too.) Note that `import cupy` proves nothing: it also works without a
# GPU, and then the first array fails. So the library asks the driver, then the device, and then
# multiplies two small matrices.
#
# ## Ordinary NumPy, with `xp` in front
#
# CuPy has the functions of NumPy under the same names, for arrays in the memory of the GPU. So
# every layer keeps its array module as `self.xp`, and each formula is written only once. Here is
# the tanh:

# %%
print(inspect.getsource(td.Tanh))

# %% [markdown]
# Operators need no `xp`: `h @ W` is computed where h and W are stored. Only three functions copy
# between host and device:
#
# | | |
# | --- | --- |
# | `backend.asarray(xp, array)` | host to device |
# | `backend.to_numpy(array)` | device to host |
# | `network.to(xp)` | all weights, statistics and states of optimizers |
#
# ## A stand-in
#
# What would a GPU have to do? We build a "device" that computes with NumPy and writes every
# operation into a list, `book`. It has two parts. The first is a class of arrays. Every operation
# on them goes through one function, `perform`, which writes down how much arithmetic and memory
# it takes. The second is a module `xp` with the functions of NumPy for these arrays. As on a real
# device, host arrays raise an error, and reading a value is a separate operation:

# %%
book = []  # one entry per operation: (name, arithmetic [flop], memory touched [bytes])
waits = []  # one entry whenever the host has to wait for the device

VIEWS = {
    "reshape",
    "transpose",
    "swapaxes",
    "squeeze",
    "view",
    "broadcast_to",
    "expand_dims",
}  # nothing is computed

class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on a device that is not there."""

    def __init__(self, array):
        self.array = array

    def __array__(self, *args, **keywords):
        raise TypeError("this array is on the device; copy it with td.backend.to_numpy")

    def __array_ufunc__(
        self, ufunc, method, *inputs, **keywords
    ):  # every operator comes here
        return perform(ufunc.__name__, getattr(ufunc, method), *inputs, **keywords)

    def __getattr__(self, name):  # every method, and .shape, .dtype, .T ...
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(np.ndarray, name)
        if callable(value):
            return lambda *args, **keywords: perform(
                name, value, self, *args, **keywords
            )
        return wrapped(getattr(self.array, name))

    def __getitem__(self, index):
        return perform("getitem", np.ndarray.__getitem__, self, index)

    def __setitem__(self, index, value):
        perform("setitem", np.ndarray.__setitem__, self, index, value)

    def __len__(self):
        return len(self.array)

    def read(self, function, name):
        waits.append(name)
        return function(self.array)

    def get(self):
        return self.read(np.copy, "get()")

    def __repr__(self):
        return self.read(repr, "print()")

    def __float__(self):
        return self.read(float, "float()")

    def __bool__(self):
        return self.read(bool, "bool()")

def wrapped(value):
    return (
        DeviceArray(np.asarray(value))
        if isinstance(value, (np.ndarray, np.generic))
        else value
    )

def unwrapped(value):
    if isinstance(value, np.ndarray):
        raise TypeError(
            "a host array among arrays of the device; copy it with td.backend.asarray"
        )
    if isinstance(value, (tuple, list)):
        return type(value)(map(unwrapped, value))
    return value.array if isinstance(value, DeviceArray) else value

def perform(name, function, *args, **keywords):
    """Computes one operation with NumPy, and writes it into the book."""
    args, keywords = (
        unwrapped(args),
        {key: unwrapped(value) for key, value in keywords.items()},
    )
    result = function(*args, **keywords)
    arrays = [
        value
        for value in (*args, result)
        if isinstance(value, (np.ndarray, np.generic))
    ]
    is_view = (
        name in VIEWS
        or name == "getitem"
        and isinstance(result, np.ndarray)
        and result.base is not None
    )
    if arrays and not is_view:
        flop = (
            2 * np.size(result) * args[0].shape[-1]
            if name in ("matmul", "dot")
            else max(map(np.size, arrays))
        )
        book.append((name, flop, sum(array.nbytes for array in arrays)))
    return wrapped(result)

class StandIn(types.ModuleType):
    """NumPy's functions, for arrays of the device."""

    def __getattr__(self, name):
        thing = getattr(np, name)
        if isinstance(thing, type) or not callable(thing):  # float32, finfo, pi ...
            return thing
        return lambda *args, **keywords: perform(name, thing, *args, **keywords)

    def asarray(self, array, dtype=None):
        return DeviceArray(np.array(array, dtype=dtype))  # the copy to the device

xp = StandIn("standin")
x = td.backend.asarray(xp, np.arange(6.0).reshape(2, 3))
y = xp.exp(-x) @ x.T + 1
print("result  ", td.backend.to_numpy(y).round(2).tolist())
print("the book", [name for name, _, _ in book], "   waits", waits)
np.testing.assert_array_equal(
    td.backend.to_numpy(y),
    np.exp(-np.arange(6.0).reshape(2, 3)) @ np.arange(6.0).reshape(2, 3).T + 1,
)

# %% [markdown]
# The book has four operations; the transpose is only another view of the same memory. On a GPU
# each of the four would be a **kernel**: a small program that the host *launches*. (The tests of
# the library have a stricter stand-in, `tests/fake_device.py`, which also knows the functions
# that CuPy does not have.)
#
# ## The same cells
#
# Now we take the network of notebook 5: cDNI, three layers, batch normalisation, Adam. It makes
# ten steps on NumPy, and a copy of it makes ten steps on the device. This is CuPy if there is a
# GPU, and otherwise the stand-in.

# %%
data = td.datasets.digits()
context = data.context()

def network(method="cdni", layers=3, width=256, seed=0):
    recipe = {
        "backprop": dict(algorithm=td.backprop),
        "cdni": dict(
            synthesizer=lambda n: td.LinearSynthesizer(n, n_context=10),
            synthesizer_lr=lambda: td.Adam(1e-3),
        ),
    }
    blocks = td.mlp(
        [data.n_in] + [width] * (layers - 1) + [10], td.stream(seed, "weights")
    )
    return td.build(
        blocks, td.SoftmaxCrossEntropy(), lr=lambda: td.Adam(1e-3), **recipe[method]
    )

def batch_on(xp, start=0, n=64):
    """A batch of images, labels and one-hot labels on a device."""
    rows = (start + np.arange(n)) % len(data.x)
    return [td.backend.asarray(xp, array[rows]) for array in (data.x, data.y, context)]

device = xp if reason else td.backend.get("cupy")
host_net, device_net = network(), network().to(device)
saved = [float(host_net.step(*batch_on(np, 64 * step))) for step in range(10)]
losses = [float(device_net.step(*batch_on(device, 64 * step))) for step in range(10)]
print(
    f"device: {td.backend.name_of(device)}    losses of step 1 and 10: "
    f"{losses[0]:.4f}, {losses[-1]:.4f}"
    f"    largest difference from NumPy: {np.abs(np.array(losses) - saved).max():.0e}"
)
np.testing.assert_allclose(losses, saved, rtol=1e-3)
np.testing.assert_allclose(
    td.backend.to_numpy(device_net.modules[0].block.layers[0].W),
    host_net.modules[0].block.layers[0].W,
    rtol=0.05,
    atol=0.02,
)

# %% [markdown]
# The numbers are the same, up to rounding. A GPU adds up in another order. And Adam divides by
# the size of the gradient, so rounding errors in gradients near zero become large.
#
# It is useful that the device refuses some things. Each of these runs on NumPy without an error.
# On a GPU it would be slow, or stop with an error hours later:

# %%
x, h = td.backend.asarray(xp, np.ones((2, 3), np.float32)), np.ones((2, 3), np.float32)
for text, mistake in (("x + h, with h on the host", lambda: x + h),
                      ("xp.maximum(x, h)", lambda: xp.maximum(x, h)),
                      ("np.asarray(x)", lambda: np.asarray(x))):
    try:
        mistake()
    except TypeError as error:
        print(f"{text:27s} TypeError: {error}")
    else:
        raise AssertionError(f"{text} should have been refused")

# %% [markdown]
# ## A queue, and what empties it
#
# The host does not wait for a kernel. It puts the launch into a **queue** and goes on to the next
# line. The device takes one launch after the other out of the queue. While the queue is not
# empty, the device is busy.
#
# But if the host wants to *know* a value, it must wait until everything in the queue is done.
# That is a **synchronisation**. Afterwards the queue is empty, and now the device waits for the
# host. Printing a value does this, and so do `float()` and `if`:

# %%
x = td.backend.asarray(xp, np.linspace(-1, 1, 12, dtype=np.float32))
for text, line in (("y = xp.maximum(x, 0)", lambda: xp.maximum(x, 0)),
                   ("y = x.sum()", lambda: x.sum()),
                   ("if (x > 1).any(): ...", lambda: bool((x > 1).any())),
                   ("float(x.sum())", lambda: float(x.sum())),
                   ("td.backend.to_numpy(x)", lambda: td.backend.to_numpy(x))):
    waits.clear()
    line()
    print(f"{text:24s} {'waits: ' + ', '.join(waits) if waits else 'does not wait'}")

# %% [markdown]
# Look at the second line: a sum over everything is an array without axes, and it is still on the
# device. Therefore `step` returns its loss as such an array, and a layer must not contain `if
# loss > 10`. How often does the library wait?

# %%
def account(net, n=64):
    """(the book, the waits) of one step, after one that sets up the buffers;
    reading the loss counts.
    """
    net, batch = net.to(xp), batch_on(xp, n=n)
    net.step(*batch)
    book.clear(), waits.clear()
    float(net.step(*batch))
    return list(book), list(waits)

for method in ("backprop", "cdni"):
    for layers in (3, 6):
        operations, waited = account(network(method, layers))
        print(
            f"{method:9s} {layers} layers: {len(operations):4d} launches, waits: "
            f"{', '.join(waited)}"
        )
        assert waited == ["float()"]

# %% [markdown]
# There is one wait per step, because we read the loss. There are hundreds of launches, and with
# synthesizers almost half as many more. (CuPy sometimes needs two kernels for one operation, such
# as a large sum. But the order of magnitude is right.) Which operations are they?

# %%
operations, _ = account(network("cdni"))
names = [name for name, _, _ in operations]
for name in sorted(set(names), key=names.count, reverse=True)[:8]:
    flop = sum(amount for other, amount, _ in operations if other == name)
    print(
        f"{name:12s} {names.count(name):4d} launches   "
        f"{100 * flop / sum(amount for _, amount, _ in operations):5.1f} % of the "
        f"arithmetic"
    )
products = sum(amount for name, amount, _ in operations if name in ("matmul", "dot"))
assert products > 0.8 * sum(amount for _, amount, _ in operations)

# %% [markdown]
# Nearly all of the arithmetic is in a few matrix products, `dot` and `matmul`. Nearly all of
# the *launches* are something else: normalisation, ReLU, and the many small lines of Adam.
#
# ## Where does the time go?
#
# Three things can limit the speed of a step:
#
# - **launches**: the host needs some microseconds for each of them, even for very small arrays;
# - **memory**: the device has to read and write every byte;
# - **arithmetic**.
#
# Here is a small model with two clocks. Each operation moves the host's clock on by `launch`. The
# device starts when it has finished the operation before *and* the launch is there. Then it takes
# the time for memory or for arithmetic, the longer of the two:
#
# $$device \leftarrow \max(device, host) + \max\left(\frac{flop}{rate}, \frac{bytes}{bandwidth}\right)$$
#
# The numbers below are **assumed**: round numbers such as data sheets give for a middle-sized
# GPU. They are not measured. Put in those of your GPU.
#
# **Now you.** An operation has `flop` single steps of arithmetic and touches `size` bytes. In a
# second the device makes `rate` steps of arithmetic and moves `bandwidth` bytes. How long does it
# take?
#
# <details><summary>Hint</summary>
#
# Memory and arithmetic work at the same time.
# </details>
#
# <details><summary>A second hint</summary>
#
# The longer of the two times: `max`.
# </details>

# %%
def duration_of(flop, size, rate, bandwidth):
    ### BEGIN SOLUTION
    return max(flop / rate, size / bandwidth)
    ### END SOLUTION

course.check("15.1", duration_of)

# %% [markdown]
# **Now you.** Now the two clocks: return (host, device) after one more operation.
#
# <details><summary>Hint</summary>
#
# The host goes on by one launch, and does not wait.
# </details>
#
# <details><summary>A second hint</summary>
#
# The device begins at `max(device, host)`, with the *new* host, and adds the duration.
# </details>

# %%
def next_clocks(host, device, launch, duration):
    ### BEGIN SOLUTION
    host = host + launch
    return host, max(device, host) + duration
    ### END SOLUTION

course.check("15.2", next_clocks)

# %%
LAUNCH, RATE, BANDWIDTH = 10e-6, 10e12, 500e9  # assumed: [s], [flop/s], [bytes/s]

def durations(operations):
    """What each operation takes on the device [s]."""
    return [duration_of(flop, size, RATE, BANDWIDTH) for _, flop, size in operations]

def play(operations, launch=LAUNCH, wait_after=()):
    """The time of a step on two clocks [s]; after the operations whose numbers are
    in `wait_after` the host waits.
    """
    host = device = 0.0
    for number, duration in enumerate(durations(operations)):
        host, device = next_clocks(host, device, launch, duration)
        if number in wait_after:
            host = device
    return max(host, device)                            # the loss is read at the end

total, busy = play(operations), sum(durations(operations))
print(
    f"{len(operations)} launches of {LAUNCH * 1e6:.0f} µs: "
    f"{len(operations) * LAUNCH * 1e3:.2f} ms.   "
    f"All work of the device: {busy * 1e3:.2f} ms.   The step: {total * 1e3:.2f} ms"
)
print(f"the device is busy {busy / total:.0%} of the time")
assert max(busy, len(operations) * LAUNCH) <= total <= busy + len(operations) * LAUNCH

# %% [markdown]
# With these numbers the GPU of ten teraflops would do nothing for most of the step. The network
# is **launch-bound**: with half the width, or on a much smaller GPU, it would take the same time.
#
# How large must a product be, so that its arithmetic takes as long as its launch?
#
# **Now you.** A product of (n, w) with (w, w) takes 2 n w² operations. For which w does its
# arithmetic take as long as one launch?
#
# <details><summary>Hint</summary>
#
# 2 n w² / rate = launch.
# </details>
#
# <details><summary>A second hint</summary>
#
# Solve for w: a root.
# </details>

# %%
def width_that_hides_a_launch(n, launch, rate):
    ### BEGIN SOLUTION
    return np.sqrt(launch * rate / (2 * n))
    ### END SOLUTION

course.check("15.3", width_that_hides_a_launch)
for n in (64, 1024):
    print(
        f"batch of {n:,}: from a width of "
        f"{width_that_hides_a_launch(n, LAUNCH, RATE):,.0f} on"
    )

# %% [markdown]
# What else helps? More layers do not help, since every layer needs its own launches. A larger
# batch or width does: there are as many launches for 4,096 examples as for 64, and each does more
# work. We count again, for larger batches and for two widths:

# %%
batches = [64, 256, 1024] if SHORT else [64, 256, 1024, 4096]
curves = {}
for width in (256, 1024):
    shares = []
    for n in batches:
        operations, _ = account(network("cdni", width=width), n)
        shares.append(100 * sum(durations(operations)) / play(operations))
    curves[f"width {width}"] = (np.log2(batches), shares)
    print(
        f"width {width:4d}: busy "
        + "  ".join(f"{share:.0f} % with {n:,}" for n, share in zip(batches, shares))
    )
    assert shares[0] < 50 and shares == sorted(shares)

td.plots.learning_curve(
    curves,
    title="How busy is the device? Computed from assumed figures",
    xlabel="log₂ of the batch size",
    ylabel="busy share of the step [%]",
)

# %% [markdown]
# This is why GPUs need large batches, and why a small network is often slower on a GPU than on a
# laptop. It also says something about decoupled networks. Synthesizers are *more launches* with
# little work each. So in a single queue they take extra time, even if their arithmetic is very
# small. Decoupling makes a network faster only if each module has its own queue.
#
# ## What a synchronisation costs
#
# Suppose that the host waits after every operation, for example because somebody put a `print`
# into each layer. Or suppose that it waits after every tenth. The model says:

# %%
for n in (64, batches[-1]):
    operations, _ = account(network("cdni"), n)
    once = play(operations)
    each = play(operations, wait_after=range(len(operations)))
    tenth = play(operations, wait_after=range(0, len(operations), 10))
    print(
        f"batch of {n:6,}: a step takes {tenth / once:.2f} times as long with a wait "
        f"after every tenth operation, "
        f"{each / once:.2f} times with one after each"
    )
    np.testing.assert_allclose(
        each, sum(durations(operations)) + len(operations) * LAUNCH
    )
    assert once <= tenth <= each * (1 + 1e-9)

# %% [markdown]
# With a wait after each operation, launch and work happen one after the other: their times *add
# up*. The loss of time is largest if both are about equal, and then the step takes at most twice
# as long. (In the model. On a real computer each wait takes some additional time.)
#
# If you read the loss once per step, you lose little time. If you read it once in a hundred
# steps, you lose almost none.
#
# ## On a real GPU
#
# If you have a GPU, measure it. There are two rules. Make some steps first that you do not
# measure, since the first calls compile kernels. And synchronise before you look at the clock:
# otherwise you measure only how fast the host fills the *queue*.

# %%
def seconds_per_step(xp, width, n, n_steps=20):
    """The shortest of three runs, with one synchronisation at the end of each."""
    net, batch, shortest = (
        network("cdni", width=width).to(xp),
        batch_on(xp, n=n),
        np.inf,
    )
    for attempt in range(4):                            # the first is the warm-up
        start = time.perf_counter()
        for step in range(n_steps):
            loss = net.step(*batch)
        float(loss)
        if attempt:
            shortest = min(shortest, (time.perf_counter() - start) / n_steps)
    return shortest

if reason:
    print("No GPU answers here, so there is nothing to measure.")
else:
    for width, n in ((256, 64), (256, 4096), (1024, 4096)):
        ratio = seconds_per_step(np, width, n, n_steps=3) / seconds_per_step(
            device, width, n
        )
        print(
            f"width {width}, batch of {n:,}: NumPy on one core takes {ratio:.1f} times "
            f"as long"
        )

# %% [markdown]
# ## On your own
#
# **1.** How many launches does one step of Adam make for one layer with weights and bias? And
# plain SGD? Look at `book` before and after `layer.update(td.Adam(1e-3))`.
#
# <details><summary>Hint</summary>
#
# Make a `td.Linear(64, 256, rng).to(xp)`, run forward and backward, clear the book, update. Adam
# makes 20 launches, SGD 4: each operation is one launch for W and one for b. Frameworks have
# *fused* kernels that do all operations at once. Or they put all arrays into one long array.
# </details>
#
# **2.** Which of these wait: `x[x > 0]`, `x[2:5]`, `len(x)`, `x.shape`, `print(x.sum())`,
# `xp.where(x > 0, x, 0)`? Think first, then try it on CuPy or on our stand-in.
#
# <details><summary>Hint</summary>
#
# The host knows shapes, lengths and slices, and `where` with three arguments makes an array of
# known shape. `print` has to read the value. The *length* of `x[x > 0]` depends on the values, so
# CuPy must wait to know how much memory it needs. Our stand-in does not know that; add it to
# `perform`.
# </details>
#
# **3.** For which w does the *memory* of that product take as long as one launch? For which
# batches does memory take longer than arithmetic?
#
# <details><summary>Hint</summary>
#
# The 4 w² bytes of the matrix at 500 GB/s take 10 µs from w = √(5 · 10⁶ / 4) = 1,100 on. For a
# batch of 64 the arithmetic needs 880. The two are close. For batches below 40 memory takes
# longer.
# </details>
#
# **4.** Make a mistake on purpose: put `np.float64(0.5) *` in front of an array of float32, and
# then `np.ones(3) *`. What is the result, on NumPy and on the stand-in? Why is it important on a
# GPU?
#
# <details><summary>Hint</summary>
#
# `(np.ones(3) * x).dtype` is float64 on NumPy, without a warning, and so are all results after
# it. The device refuses the array of the host. The scalar of type np.float64 makes float64 as
# well, while a plain 0.5 does not. Many GPUs compute float64 many times more slowly: look for the
# ratio in the data sheet.
# </details>
#
# **5.** Put `td.Dropout(0.5, rng)` into a block of a network on the stand-in. Does the host wait
# more often now? Is anything else copied to the device?
#
# <details><summary>Hint</summary>
#
# The host does not wait more often. But Dropout draws its mask on the host, so that the same seed
# gives the same mask everywhere. Then it copies the mask to the device: one `asarray` per step.
# To see it, let `StandIn.asarray` write into another list. A copy to the device takes time, too,
# but the host does not have to wait for it.
# </details>

# %% [markdown]
# ## In practice
#
# - `tinydni train mnist --backend cupy` does all this; so do the other jobs. `tinydni doctor`
#   says why if it does not.
# - Copy the data once, before the training, not batch by batch. If they do not fit, copy the next
#   batch while the device works on this one.
# - In this library, workers on several GPUs send their messages through the host. That takes
#   time, too.
#
# ## Further reading
#
# - The user guide of CuPy, on the differences from NumPy and on performance.
# - S. Williams, A. Waterman and D. Patterson, *Roofline: An Insightful Visual Performance Model
#   for Multicore Architectures*, 2009: memory or arithmetic?
# - `tests/fake_device.py`: a stand-in that is stricter than CuPy.
