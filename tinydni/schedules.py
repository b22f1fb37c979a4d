"""Learning-rate schedules: functions from the number of the step to a factor of the learning rate.

The training loop gives every optimizer the factor of the common step, so that a module that updates rarely
decays with the clock of the run and not with its own.
"""

import math

from tinydni import checks


class Constant:
    """factor = 1."""

    def __call__(self, step):
        return 1.0


class LinearDecay:
    """factor = 1 - step / n_steps, zero from step n_steps on.

    n_steps: length of the run [steps]
    """

    def __init__(self, n_steps):
        self.n_steps = checks.positive_int(n_steps, "n_steps")

    def __call__(self, step):
        return max(0.0, 1 - step / self.n_steps)


class CosineDecay:
    """factor = (1 + cos(pi · share of the way)) / 2, after a linear rise over the first steps  (Loshchilov & Hutter 2017).

    n_steps: length of the run [steps]    warm_up: how many of them rise to the full rate
    Raises ValueError for a warm-up as long as the run.
    """

    def __init__(self, n_steps, warm_up=0):
        self.n_steps = checks.positive_int(n_steps, "n_steps")
        self.warm_up = checks.positive_int(warm_up, "warm_up", minimum=0)
        if self.warm_up >= self.n_steps:
            raise ValueError(f"warm_up must be shorter than the run of {n_steps} steps; got {warm_up}.")

    def __call__(self, step):
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        return (1 + math.cos(math.pi * min(1.0, (step - self.warm_up) / (self.n_steps - self.warm_up)))) / 2


class StepDecay:
    """factor = gamma ^ (number of boundaries passed).

    boundaries: the steps at which the rate drops, for example (300_000, 400_000)    gamma: each drop
    """

    def __init__(self, boundaries, gamma=0.1):
        self.boundaries = sorted(checks.positive_int(b, "boundaries") for b in boundaries)
        self.gamma = checks.in_range(gamma, "gamma", 0, 1, include_low=False)

    def __call__(self, step):
        return self.gamma ** sum(step >= b for b in self.boundaries)
