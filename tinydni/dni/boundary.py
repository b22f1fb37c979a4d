"""The interface between two windows of a recurrent network: what the steps to come would say."""

from tinydni import checks
from tinydni.synthesizers.auxiliary import AuxiliarySynthesizer


class Boundary:
    """dend = scale · M(state, context) / N: what enters a window at its end  (Jaderberg et al. 2016, section 2.1).

    synthesizer: M, of the width of the state    optimizer: of M
    scale: from 0 to 1; below 1 it shortens how far M's own errors travel through time (0.1 in the paper's experiments)

    Raises ValueError for a scale outside [0, 1].
    """

    def __init__(self, synthesizer, optimizer, scale=1.0):
        self.synthesizer, self.optimizer = synthesizer, optimizer
        self.scale = checks.in_range(scale, "scale", 0, 1)

    def gradient(self, state, context=None):
        """dend (N, S): for the state (N, S) at the end of a window; context (N, C): what else M may see, or None."""
        self.guess = self.synthesizer.forward(state, context)
        return (self.scale / len(state)) * self.guess

    def learn(self, state, context, dstate, last):
        """One step of M towards the gradient that arrived at the beginning of the window after the boundary.

        state, context: at the boundary    dstate (N, S): gradient of the batch-mean loss, the guess at the window's end
        included    last: the sequence ended with the window, so that nothing follows
        """
        target = dstate * len(dstate)
        if isinstance(self.synthesizer, AuxiliarySynthesizer):
            later = 0 * target if last else self.guess
            self.synthesizer.learn(state, context, target, self.optimizer, later)
        else:
            self.synthesizer.learn(state, context, target, self.optimizer)
