"""Ways to run the same modules: each function is one training step from x to updated weights.

modules: from the one that reads the data to the one that has the loss
x (N, D): inputs    target: what the loss compares with    context (N, C): what the synthesizers may see
"""


def update_decoupled(modules, x, target, context=None):
    """Every module updates on its own guess; only the top sees the true gradient  (Jaderberg et al. 2016, fig. 2).

    Nothing here waits: a module's update needs nothing from above, and a synthesizer learns from the message
    that the next module sends with its own forward pass, not from a full backward pass.
    """
    h = x
    for below, module in zip([None, *modules], modules):
        dx, h = module.forward_and_synthetic_update(h, context, target)
        if below is not None:
            below.update_synthetic_weights(dx)
        context = module.context_above(h, context)


def backprop(modules, x, target, context=None):
    """The same blocks, locked: forward to the top, then the true gradient back down through all of them."""
    h = x
    for module in modules:
        h = module.forward(h)
    dh = modules[-1].gradient_at_output(h, context, target)
    for module in reversed(modules):
        dh = module.backward(dh)
        module.update()


def top_only(modules, x, target, context=None):
    """The control "no backprop": the blocks below the top keep their random weights  (Jaderberg et al. 2016, table 1)."""
    h = x
    for module in modules[:-1]:
        h = module.forward(h)
    modules[-1].forward_and_synthetic_update(h, context, target)
