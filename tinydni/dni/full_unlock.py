"""Full unlock: no module waits for any other, neither for a gradient nor for an input."""


def full_unlock(modules, x, target, context=None):
    """Every module runs on a synthetic input, made from the network's own input x  (Jaderberg et al. 2016, section 3.1).

    h_k = f_k(I_k(x)),   I_{k+1} learns from h_k,   M_k learns from the message of module k + 1.

    The first module reads x itself. Inside the first loop no value passes from module to module, so that all of its
    passes could run at once; in the second loop the messages are delivered. Use is the ordinary network.
    """
    sent = []
    for module in modules:
        h_hat = x if module.input_synthesizer is None else module.input_synthesizer.forward(x)
        sent.append(module.forward_and_synthetic_update(h_hat, context, target))
    for below, module, (_, h_below), (dx, _) in zip(modules, modules[1:], sent, sent[1:]):
        module.input_synthesizer.learn(x, None, h_below, module.input_optimizer)
        below.update_synthetic_weights(dx)
