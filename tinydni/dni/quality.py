"""How good the synthetic gradients are: beside the true ones, on one batch."""

from copy import deepcopy


def gradient_quality(network, x, target, context=None):
    """Compares guess and truth at every interface, bottom to top; the network stays as it is.

    Both are of the same forward pass, flattened over the batch to g (guess) and t (truth):
    cosine = <g, t> / (|g| |t|),   norm_ratio = |g| / |t|,   sign_agreement = share of entries with the same sign,
    loss = 1/2 mean over N of |g - t|² (per example).

    The cosine is of the whole batch: single examples that are already right have no gradient, and their cosine is
    noise. It is an instrument and not a result: methods with a lower cosine have been seen to learn better.

    x (N, D), target, context: as in Network.step    Returns a list of {name: number}, None where a norm is zero.
    Costs a copy of the network and a forward and backward pass.
    """
    modules = deepcopy(network.modules)
    hs, contexts = [x], [context]
    for module in modules:
        hs.append(module.forward(hs[-1]))
        contexts.append(module.context_above(hs[-1], contexts[-1]))
    dh = modules[-1].gradient_at_output(hs[-1], context, target)
    found = []
    for module, below, h, seen in zip(modules[:0:-1], modules[-2::-1], hs[-2::-1], contexts[-3::-1]):
        dh = module.backward(dh)
        if below.synthesizer is not None:
            found.append(compare(below.block.xp, below.synthesizer.forward(h, seen), dh * len(h)))
    return found[::-1]


def compare(xp, guess, truth):
    """The four numbers of `gradient_quality` for delta_hat and delta (N, H)."""
    N, g, t = len(guess), guess.ravel(), truth.ravel()
    gg, tt, gt = (float(xp.vdot(a, b)) for a, b in ((g, g), (t, t), (g, t)))
    known = gg > 0 and tt > 0
    return {"cosine": gt / (gg * tt)**0.5 if known else None, "norm_ratio": (gg / tt)**0.5 if tt > 0 else None,
            "sign_agreement": float((xp.sign(g) == xp.sign(t)).mean()), "loss": 0.5 * (gg + tt - 2 * gt) / N}
