"""Fully connected nets in JAX, as a JAX user writes them: one jit over gradient and Adam, the old arrays given away."""

import jax
import jax.numpy as jnp

from tinydni.activations import ReLU
from tinydni.batchnorm import BatchNorm
from tinydni.linear import Linear

jax.config.update("jax_enable_x64", True)       # or the check in float64 would run in float32


def step(workload):
    """A function of the step's number that trains on one batch and returns the loss, once it is there."""
    layers = [layer for block in workload.blocks for layer in block.layers]
    parameters = [{name: jnp.array(getattr(layer, name)) for name in layer.parameters} for layer in layers]
    statistics = [{name: jnp.array(getattr(layer, name)) for name in layer.buffers} for layer in layers]
    m, v = (jax.tree.map(jnp.zeros_like, parameters) for _ in "mv")
    state = (parameters, statistics, m, v, jnp.zeros((), jnp.int32))
    batches = [(jnp.array(x), jnp.array(target)) for x, target, _ in workload.batches]
    ours = workload.optimizer(workload.lr)
    train = jax.jit(lambda state, x, target: train_on(layers, ours, state, x, target), donate_argnums=0)

    def take(i):
        nonlocal state
        state, loss = train(state, *batches[i % len(batches)])
        return loss.block_until_ready()

    return take


def train_on(layers, adam, state, x, target):
    """One step of Adam. Returns the new state and the loss before it."""
    parameters, statistics, m, v, t = state
    (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters, statistics, layers, x, target)
    t, b1, b2 = t + 1, adam.b1, adam.b2
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, gradients)
    c1, c2 = ((1 - b ** t.astype(x.dtype)) for b in (b1, b2))
    parameters = jax.tree.map(lambda p, m, v: p - adam.lr * (m / c1) / (jnp.sqrt(v / c2) + adam.eps), parameters, m, v)
    return (parameters, statistics, m, v, t), loss


def loss_of(parameters, statistics, layers, x, target):
    """The cross-entropy of the net's logits, and the new running statistics of its BatchNorms."""
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
                keep = 1 - layer.momentum
                s = {"running_mean": keep * s["running_mean"] + layer.momentum * mean,
                     "running_var": keep * s["running_var"] + layer.momentum * var * (N / (N - 1))}
            case _:
                raise TypeError(f"no JAX twin is written for {layer!r}; add it to loss_of().")
        new.append(s)
    own = jnp.take_along_axis(x, target[:, None], 1)[:, 0]
    return (jax.nn.logsumexp(x, axis=1) - own).mean(), new
