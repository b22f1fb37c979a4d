"""One call for networks of every kind, so that tests can compare them by their options alone."""

import tinydni as td
from tinydni.layer import Stateful
from tinydni.variants.full_unlock import full_unlock
from tinydni.variants.heads import with_heads


class Saved(Stateful):
    """An optimizer with the layer that it belongs to, to save and load its state alone."""

    def __init__(self, optimizer, layer):
        self.optimizer, self.layer = optimizer, layer

    def arrays(self):
        return self.optimizer.arrays(self.layer)


def build(blocks, loss, lr, *args, heads=None, bottom_context=False, input_synthesizer=None,
          input_lr=None, algorithm=td.update_decoupled, input_shape=(None,), **options):
    """td.build, and what is put on top of it.

    blocks: the last may be a list of heads    heads: {"n_run": ..., "seed": ...} for them
    bottom_context: whether the output of the bottom block is the context above it
    algorithm: may be `full_unlock` itself, with input_synthesizer and input_lr
    """
    *below, top = blocks
    several = isinstance(top, (list, tuple))
    unlocked = algorithm is full_unlock
    network = td.build([*below, top[0] if several else top], loss, lr, *args,
                       algorithm=td.update_decoupled if unlocked else algorithm,
                       input_shape=input_shape, **options)
    network.modules[0].gives_context = bottom_context
    if unlocked:
        full_unlock(network, input_synthesizer, input_lr, input_shape)
    if several:
        with_heads(network, top, options.get("top_lr") or lr, **(heads or {}))
    return network
