"""Stochastic updates: a module does its backward work only now and then."""

from tinydni import checks
from tinydni.random import generator_to_array, restore_generator, stream


class Stochastic:
    """Each module updates in a step with probability p, independently  (Jaderberg et al. 2016, section 3.1).

    A module that acts updates its block and sends its message down; the module below then learns, whether or not it
    acted itself. One that does not act only runs forward and passes h on. With p = 1 this is `update_decoupled`.

    p: probability, above 0    n_modules: their number
    seed: of the draws; every module has a stream of its own, so that a module alone in a worker draws the same
    """

    def __init__(self, p, n_modules, seed):
        self.p = checks.in_range(p, "p", 0, 1, include_low=False)
        self.rngs = [stream(seed, "update", i) for i in range(n_modules)]

    def __call__(self, modules, x, target, context=None):
        h, seen = x, context
        for below, module, rng in zip([None, *modules[:-1]], modules, self.rngs, strict=True):
            h_below, seen_below, seen = h, seen, context
            if rng.random() < self.p:
                dx, h = module.forward_and_synthetic_update(h, context, target)
                if below is not None:
                    below.learn(h_below, seen_below, dx)
            else:
                h = module.forward(h)
                if module.loss is not None:
                    module.gradient_at_output(h, context, target)       # to report the loss of every step
            context = module.context_above(h, context)

    def state(self):
        """The state of the draws: {name: array}."""
        return {str(i): generator_to_array(rng) for i, rng in enumerate(self.rngs)}

    def load_state(self, state):
        """Takes a state from `state()`."""
        for i, rng in enumerate(self.rngs):
            restore_generator(rng, state[str(i)])
