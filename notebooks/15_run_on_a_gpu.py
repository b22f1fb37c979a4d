# %% [markdown]
# # 15. Run on a GPU
#
# **What you'll do.** Run the network of notebook 5 on CuPy, without changing a line of it. Build
# a stand-in for a GPU that computes with NumPy and keeps account of everything a GPU would be
# asked to do; and find out with it where the time goes, what it costs to look at a number, and
# why a small network leaves a large GPU idle.
#
# **What you'll learn.** What crosses the border between host and device; that a GPU works through
# a queue, and what empties it; how to tell whether a program is bound by launches, by memory or
# by arithmetic.
#
# **What you need.** Notebooks 1 to 5. One minute. No GPU: where none answers, the notebook says
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
# (`tinydni doctor` says so, too.) Note that `import cupy` proves nothing: it works on
# machines without a GPU, and fails at the first array. So the library asks the driver, then the
# device, and then multiplies two small matrices.
#
# ## Ordinary NumPy, with `xp` in front
#
# CuPy has the functions of NumPy under the same names, for arrays in the memory of the GPU. So
# every layer holds its array module as `self.xp`, and what it computes is written once. Here is
# the tanh:

# %%
print(inspect.getsource(td.Tanh))

# %% [markdown]
# Operators need not even know: `h @ W` is computed where h and W live. Three words cross the
# border, and no other:
#
# | | |
# | --- | --- |
# | `backend.asarray(xp, array)` | host to device |
# | `backend.to_numpy(array)` | device to host |
# | `network.to(xp)` | all weights, statistics and states of optimizers |
#
# ## A stand-in
#
# What would a GPU be asked to do? We build a "device" that computes with NumPy and keeps a book.
# It has two parts. A class of arrays: everything that is done to them goes through one function,
# `perform`, which writes down how much arithmetic and how much memory it takes. And a module `xp`
# with the functions of NumPy for these arrays. As on a real device, host arrays are refused, and
# reading a value is a thing of its own:

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
# Four operations; the transpose is only another way to look at the same memory. On a GPU each of
# the four would be a **kernel**, a small program that the host *launches*. (The tests of the
# library have a stricter device of this kind, `tests/fake_device.py`, which also knows what CuPy
# lacks.)
#
# ## The same cells
#
# Now the network of notebook 5, as it is: cDNI, three layers, batch normalisation, Adam. Ten
# steps on NumPy, and ten of its twin on the device, which is CuPy where a GPU answers, and else
# the stand-in.

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
# The same numbers, to rounding: a GPU adds up in another order, and Adam, which divides by the
# size of the gradient, makes much of the last digit of gradients near zero.
#
# What the border refuses is as useful as what it lets pass. Each of these runs happily on NumPy,
# and would on a GPU be slow, or fail in the middle of a night:

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
# The host does not wait for a kernel. It puts the launch into a queue and goes on to the next
# line; the device takes one after the other out of it. As long as the queue is not empty, the
# device is busy.
#
# But if the host wants to *know* a value, it must wait until everything in the queue is done.
# That is a **synchronisation**. Afterwards the queue is empty, and the device waits for the host
# in its turn. Printing does it, `float()`, and, less visibly, `if`:

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
# Note the second: a sum over everything is an array without axes, still on the device. That is
# why `step` returns its loss as such an array, and why nobody may write `if loss > 10` inside a
# layer. How does the library do?

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
# One wait per step, for the loss; and that one is ours, since we read it. There are hundreds of
# launches, and with synthesizers almost half as many again. (CuPy makes two kernels of one
# operation here and there, such as a large sum. The order of magnitude is what counts.) What they
# are made of:

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
# Three things can limit a step:
#
# - **launches**: the host needs some microseconds for each, however little it asks for;
# - **memory**: every byte has to come and go;
# - **arithmetic**.
#
# A small model of it, with two clocks. The host's goes on by `launch` for each operation. The
# device begins when it has finished what came before *and* has been told, and takes as long as
# memory or arithmetic need, whichever is more:
#
# $$device \leftarrow \max(device, host) + \max\left(\frac{flop}{rate}, \frac{bytes}{bandwidth}\right)$$
#
# The figures below are **assumed**, round numbers of the kind that data sheets and forums give
# for a middle-sized card under Python. They are not measured. Put in those of yours.
#
# **Now you.** How long does the device need for one operation of `flop` operations on `size`
# bytes, if it computes `rate` operations and moves `bandwidth` bytes in a second?
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
# **Now you.** And the two clocks: from `host` and `device` to (host, device) after one more
# operation.
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
# With these figures the card of ten teraflops would do nothing for most of the step. The network is
# **launch-bound**: it would take the same time with half the width, or on a card of half the price.
#
# How large must a product be to hide its launch?
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
# What else helps? Not the number of layers, since every layer brings its own launches. But batch
# and width do: there are as many launches for 64 examples as for 4,096, and each does more. We
# count once more, for larger batches and for two widths:

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
# This is why GPUs want large batches, and why "the GPU is slower than my laptop" is an ordinary
# experience with small networks. It also says where a decoupled network stands: synthesizers
# are *more launches* of little work each, so in one queue they cost time even where their
# arithmetic is next to nothing. Decoupling pays where the modules have queues of their own.
#
# ## What a synchronisation costs
#
# Let the host wait after every operation, as if someone had put a `print` into each layer for
# debugging, or after every tenth. In the model:

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
# With a wait after each operation launches and work are no longer at the same time but one after
# the other: the times *add*. It hurts most where both are about equal, and can at most double the
# step. (In the model. On a real machine waking up the host takes some time as well.)
#
# A loss that is read once per step is harmless by comparison, and one that is read once per
# hundred steps is free.
#
# ## On the real thing
#
# Where a GPU answers, measure it. Two rules: warm up first, since the first calls compile
# kernels; and before looking at the clock, synchronise, for otherwise you measure how fast
# the *queue* takes orders.

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
# **1.** How many launches does one step of Adam make for one layer with weights and bias, and how
# many does plain SGD? Use `book` around `layer.update(td.Adam(1e-3))`.
#
# <details><summary>Hint</summary>
#
# Make a `td.Linear(64, 256, rng).to(xp)`, run forward and backward, clear the book, update. Adam
# makes 20 launches, SGD 4: each line of an optimizer is a launch for each of its arrays, W and b.
# Frameworks write *fused* kernels that do all lines at once, or lay all arrays into one long
# buffer.
# </details>
#
# **2.** Which of these wait: `x[x > 0]`, `x[2:5]`, `len(x)`, `x.shape`, `print(x.sum())`,
# `xp.where(x > 0, x, 0)`? Think first, then ask: on CuPy, and of our stand-in.
#
# <details><summary>Hint</summary>
#
# Shapes, lengths and slices are known to the host without asking, and `where` with three
# arguments makes an array of known shape. `print` has to read. And `x[x > 0]`: its *length*
# depends on the values, so CuPy must wait to know how much memory to take. Our stand-in does not
# know that; add it to `perform`.
# </details>
#
# **3.** For which w does the *memory* of that product take as long as one launch? For which
# batches does it decide?
#
# <details><summary>Hint</summary>
#
# The 4 w² bytes of the matrix at 500 GB/s take 10 µs from w = √(5 · 10⁶ / 4) = 1,100 on. For a
# batch of 64 the arithmetic needs 880. Both are near; for batches below 40 it is the memory that
# decides.
# </details>
#
# **4.** Make a mistake on purpose: put `np.float64(0.5) *` in front of an array of float32, and
# `np.ones(3) *`. What comes out, on NumPy and on the stand-in? Why does it matter on a GPU?
#
# <details><summary>Hint</summary>
#
# `(np.ones(3) * x).dtype` is float64 on NumPy, without a word; from then on everything is. The
# device refuses the array of the host. The scalar of type np.float64 makes float64 as well, while
# a plain 0.5 does not. Cards that are not made for science compute float64 many times more
# slowly: look for the ratio in their data sheet.
# </details>
#
# **5.** Put `td.Dropout(0.5, rng)` into a block of a network on the stand-in. Does anything else
# wait now, or cross the border?
#
# <details><summary>Hint</summary>
#
# Nothing waits. But Dropout draws its mask on the host, so that the same seed gives the same mask
# everywhere, and copies it to the device: one `asarray` per step. Let `StandIn.asarray` write
# into a book of its own to see it. A copy to the device takes time, too, though the host need not
# wait for the result.
# </details>

# %% [markdown]
# ## In practice
#
# - `tinydni train mnist --backend cupy` does all this; so do the other jobs. `tinydni doctor`
#   says why if it does not.
# - Copy the data once, before the training, not batch by batch. If they do not fit, copy the next
#   batch while the present one is computed.
# - Workers on several GPUs send their messages through the host in this library. That takes time,
#   too.
#
# ## Further reading
#
# - The user guide of CuPy, on the differences from NumPy and on performance.
# - S. Williams, A. Waterman and D. Patterson, *Roofline: An Insightful Visual Performance Model
#   for Multicore Architectures*, 2009: memory or arithmetic?
# - `tests/fake_device.py`, for a stand-in that is as strict as CuPy and stricter.
