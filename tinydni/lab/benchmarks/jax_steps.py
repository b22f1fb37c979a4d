"""Fully connected nets in JAX, as a JAX user writes them: one jit over gradients and optimizer."""

import jax
import jax.numpy as jnp

import tinydni as td
from tinydni.backend import is_host
from tinydni.lab.benchmarks.our_steps import synthesizers

jax.config.update("jax_enable_x64", True)       # or the check in float64 would run in float32
LOSSES = {td.SoftmaxCrossEntropy: lambda y, target: (
              jax.nn.logsumexp(y, axis=1) - jnp.take_along_axis(y, target[:, None], 1)[:, 0]),
          td.MeanSquaredError: lambda y, target: ((y - target) ** 2).sum(1) / 2}
GUESSES = {"linear": lambda s, h, context: (
               h @ s["A"] + s["b"] + (context @ s["C"] if "C" in s else 0)),
           "virtual": lambda s, h, context: (
               (jax.nn.softmax(h @ s["V"] + s["c"]) - context) @ s["V"].T)}


def step(workload):
    """Return a function of the step's number that trains and returns the loss.

    On a CPU, once it is there; the clock of a GPU waits by itself.
    """
    blocks = [block.layers for block in workload.blocks]
    parameters, statistics = ([[arrays(layer, getattr(layer, kind)) for layer in block]
                               for block in blocks] for kind in ("parameters", "buffers"))
    learned = parameters, [arrays(each, each.parameters) for each in synthesizers(workload)]
    m, v = (jax.tree.map(jnp.zeros_like, learned) for _ in "mv")
    state = learned, statistics, m, v, jnp.zeros((), jnp.int32)
    batches = jax.tree.map(jnp.array, workload.batches)
    train = jax.jit(lambda *given: train_on(workload, blocks, *given), donate_argnums=0)

    def take(i):
        nonlocal state
        state, loss = train(state, *batches[i % len(batches)])      # the old arrays are given away
        return loss.block_until_ready() if is_host(workload.xp) else loss

    return take


def arrays(part, names):
    """Return {name: array} of what a layer has of these."""
    return {name: jnp.array(getattr(part, name)) for name in names
            if getattr(part, name) is not None}


def train_on(workload, blocks, state, x, target, context):
    """Make one step. Return the new state and the loss before it."""
    learned, statistics, m, v, t = state
    gradients_of = decoupled if workload.synthesizer else backprop
    loss_of = lambda y: LOSSES[type(workload.loss)](y, target).mean()
    loss, statistics, gradients = gradients_of(
        workload, blocks, loss_of, *learned, statistics, x, context)
    t, rates = t + 1, (workload.lr, workload.synthesizer_lr)
    learned, m, v = zip(*(descend(workload.optimizer(rate or 1), t, *given)
                          for rate, *given in zip(rates, learned, gradients, m, v)))
    return (learned, statistics, m, v, t), loss


def backprop(workload, blocks, loss_of, parameters, guesses, statistics, x, context):
    """One function from all parameters to the loss."""
    def loss_and_statistics(parameters):
        h, new = x, []
        for given in zip(blocks, parameters, statistics):
            h, s = run(*given, h)
            new.append(s)
        return loss_of(h), new

    (loss, new), gradients = jax.value_and_grad(loss_and_statistics, has_aux=True)(parameters)
    return loss, new, (gradients, [])


def decoupled(workload, blocks, loss_of, parameters, guesses, statistics, x, context):
    """DNI: a `vjp` for each block, pulled by its guess; the message teaches the guess below."""
    guess, h, new, gradients, taught, below = GUESSES.get(workload.synthesizer), x, [], [], [], None
    for k, (block, p, s) in enumerate(zip(blocks, parameters, statistics)):
        h, pull, s = jax.vjp(lambda p, x, block=block, s=s: run(block, p, s, x), p, h, has_aux=True)
        new.append(s)
        if k < len(guesses):
            dp, message = pull(guess(guesses[k], h, context) / len(h))
        else:
            loss, dy = jax.value_and_grad(loss_of)(h)
            dp, message = pull(dy)
        if k > 0:
            miss = lambda s, h=below, dh=message: 0.5 / len(h) * (
                (guess(s, h, context) - len(h) * dh) ** 2).sum()
            taught.append(jax.grad(miss)(guesses[k - 1]))
        gradients.append(dp)
        below = h
    return loss, new, (gradients, taught)


def descend(optimizer, t, p, g, m, v):
    """Return the parameters after a step, and the new moments, which plain descent has not."""
    if isinstance(optimizer, td.SGD):
        return jax.tree.map(lambda p, g: p - optimizer.lr * g, p, g), m, v
    b1, b2 = optimizer.b1, optimizer.b2
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)

    def moved(p, m, v):         # the corrections as two numbers: one division for each parameter
        c1, c2 = (1 - b ** t.astype(p.dtype) for b in (b1, b2))
        rate, eps = optimizer.lr * jnp.sqrt(c2) / c1, optimizer.eps * jnp.sqrt(c2)
        return p - rate * (m / (jnp.sqrt(v) + eps))
    return jax.tree.map(moved, p, m, v), m, v


def run(block, parameters, statistics, x):
    """Return the output of a block, and the new statistics of its BatchNorms."""
    new = []
    for layer, p, s in zip(block, parameters, statistics):
        match layer:
            case td.Linear():
                x = x @ p["W"] + p.get("b", 0)
            case td.ReLU():
                x = jnp.maximum(x, 0)
            case td.Sigmoid():
                x = jax.nn.sigmoid(x)
            case td.BatchNorm():
                mean, var, N = x.mean(0), x.var(0), len(x)
                x = (x - mean) * jax.lax.rsqrt(var + layer.eps) * p["gamma"] + p["beta"]
                new_s = {"running_mean": mean, "running_var": var * (N / (N - 1))}
                s = {name: (1 - layer.momentum) * s[name] + layer.momentum * value
                     for name, value in new_s.items()}
            case _:
                raise TypeError(f"no JAX twin is written for {layer!r}; add it to run().")
        new.append(s)
    return x, new
