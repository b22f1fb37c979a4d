"""How good the synthetic gradients are: beside the true ones, on the batches of a training."""

from copy import deepcopy
from typing import Any

from tinydni.backend import Array
from tinydni.dni import Network, to_delta
from tinydni.training import Training

__all__ = ["gradient_quality", "measure_gradients"]


def measure_gradients(training: Training, every: int | None = None) -> Training:
    """Let a training compare synthetic and true gradients, on batches yet to be learned from.

    Its history gets `gradients`, lists with one dict per interface (see `gradient_quality`), and
    `gradients_at`, the places [epochs].

    Parameters
    ----------
    training : is changed, and returned
    every : k, before every k-th step; None, before the last step of every epoch
    """
    every, step = every or training.n_batches, training.network_step
    training.history |= {"gradients": [], "gradients_at": []}

    def measured(x: Array, target: Array, context: Array | None = None) -> Array:
        if (training.step + 1) % every == 0:
            found = gradient_quality(training.network, x, target, context)
            training.history["gradients"].append(found)
            training.history["gradients_at"].append(training.step / training.n_batches)
        return step(x, target, context)

    training.network_step = measured
    return training


def gradient_quality(network: Network, x: Array, target: Array,
                     context: Array | None = None) -> list[dict[str, float | None]]:
    """Compare guess and truth at every interface, bottom to top; the network stays as it is.

    Both are of the same forward pass, flattened over the batch to g (guess) and t (truth):
    cosine = <g, t> / (|g| |t|),   norm_ratio = |g| / |t|,   sign_agreement = share of entries with
    the same sign,   loss = 1/2 mean over N of |g - t|² (per example).

    The cosine is of the whole batch: single examples that are already right have no gradient, and
    their cosine is noise. It is an instrument and not a result: methods with a lower cosine have
    been seen to learn better. Costs a copy of the network and one forward and backward pass.

    x (N, D), target, context: as in Network.step. A number is None where a norm is zero.
    """
    modules = deepcopy(network.modules)
    hs, contexts = [x], [context]
    for module in modules:
        hs.append(module.forward(hs[-1]))
        contexts.append(module.context_above(hs[-1], contexts[-1]))
    dh = modules[-1].gradient_at_output(hs[-1], context, target)
    found = []
    for module, below, h, seen in zip(modules[:0:-1], modules[-2::-1], hs[-2::-1],
                                      contexts[-3::-1]):
        dh = module.backward(dh)
        if below.synthesizer is not None:
            guess = below.synthesizer.forward(h, seen)
            found.append(compare(below.block.xp, guess, to_delta(dh)))
    return found[::-1]


def compare(xp: Any, guess: Array, truth: Array) -> dict[str, float | None]:
    """Return the four numbers of `gradient_quality` for delta_hat and delta (N, H)."""
    N, g, t = len(guess), guess.ravel(), truth.ravel()
    gg, tt, gt = (float(xp.vdot(a, b)) for a, b in ((g, g), (t, t), (g, t)))
    return {"cosine": gt / (gg * tt)**0.5 if gg > 0 and tt > 0 else None,
            "norm_ratio": (gg / tt)**0.5 if tt > 0 else None,
            "sign_agreement": float((xp.sign(g) == xp.sign(t)).mean()),
            "loss": 0.5 * (gg + tt - 2 * gt) / N}
