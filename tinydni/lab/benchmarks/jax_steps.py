"""Fully connected nets in JAX, as a JAX user writes them: one jit over gradient and Adam."""

import jax
import jax.numpy as jnp

from tinydni import BatchNorm, Linear, ReLU
from tinydni.backend import is_host

jax.config.update("jax_enable_x64", True)       # or the check in float64 would run in float32


def step(workload):
    """Return a function of the step's number that trains and returns the loss.

    On a CPU, once it is there; the clock of a GPU waits by itself.
    """
    layers = [layer for block in workload.blocks for layer in block.layers]
    parameters, statistics = (
        [{name: jnp.array(getattr(layer, name)) for name in getattr(layer, kind)}
         for layer in layers] for kind in ("parameters", "buffers"))
    m, v = (jax.tree.map(jnp.zeros_like, parameters) for _ in "mv")
    state = (parameters, statistics, m, v, jnp.zeros((), jnp.int32))
    batches = [(jnp.array(x), jnp.array(target)) for x, target, _ in workload.batches]
    adam = workload.optimizer(workload.lr)
    train = jax.jit(lambda *given: train_on(layers, adam, *given), donate_argnums=0)

    def take(i):
        nonlocal state
        state, loss = train(state, *batches[i % len(batches)])      # the old arrays are given away
        return loss.block_until_ready() if is_host(workload.xp) else loss

    return take


def train_on(layers, adam, state, x, target):
    """Make one step of Adam. Return the new state and the loss before it."""
    parameters, statistics, m, v, t = state
    loss_and_gradients = jax.value_and_grad(loss_of, has_aux=True)
    (loss, statistics), gradients = loss_and_gradients(parameters, statistics, layers, x, target)
    t, b1, b2 = t + 1, adam.b1, adam.b2
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, gradients)
    c1, c2 = ((1 - b ** t.astype(x.dtype)) for b in (b1, b2))
    parameters = jax.tree.map(
        lambda p, m, v: p - adam.lr * (m / c1) / (jnp.sqrt(v / c2) + adam.eps), parameters, m, v)
    return (parameters, statistics, m, v, t), loss


def loss_of(parameters, statistics, layers, x, target):
    """Return the cross-entropy of the net's logits, and the new statistics of its BatchNorms."""
    new = []
    for layer, p, s in zip(layers, parameters, statistics):
        match layer:
            case Linear():
                x = x @ p["W"] + p["b"]
            case ReLU():
                x = jnp.maximum(x, 0)
            case BatchNorm():
                mean, var, N = x.mean(0), x.var(0), len(x)
                x = (x - mean) * jax.lax.rsqrt(var + layer.eps) * p["gamma"] + p["beta"]
                new_s = {"running_mean": mean, "running_var": var * (N / (N - 1))}
                s = {name: (1 - layer.momentum) * s[name] + layer.momentum * value
                     for name, value in new_s.items()}
            case _:
                raise TypeError(f"no JAX twin is written for {layer!r}; add it to loss_of().")
        new.append(s)
    own = jnp.take_along_axis(x, target[:, None], 1)[:, 0]
    return (jax.nn.logsumexp(x, axis=1) - own).mean(), new
