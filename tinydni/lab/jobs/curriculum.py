"""A task that grows: it gets longer whenever the network has learned its present length."""

SOLVED = 0.15           # bits per symbol of the running mean  (Jaderberg et al. 2016, section 3.2)
KEPT = 0.9              # share of the running mean that a new sequence leaves


class Curriculum:
    """level rises by one whenever the running mean of the bits per symbol falls below SOLVED.

    level: what is being learned    longest: the length of the last level that was solved, 0 before the first
    length: function (level) -> length of its sequences in symbols
    """

    def __init__(self, length):
        self.length, self.level, self.longest = length, 1, 0
        self.bits = 1.0

    def hear(self, bits):
        """Takes the bits per symbol of one more sequence."""
        self.bits = KEPT * self.bits + (1 - KEPT) * bits
        if self.bits < SOLVED:
            self.longest = self.length(self.level)
            self.level, self.bits = self.level + 1, 1.0

    def state(self):
        """What a continued run needs, as JSON can hold it."""
        return {"level": self.level, "longest": self.longest, "bits": self.bits}

    def load_state(self, state):
        """Takes a state from `state()`."""
        self.level, self.longest, self.bits = state["level"], state["longest"], state["bits"]
