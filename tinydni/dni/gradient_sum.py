"""Gradients that are added up over several backward passes before one update."""


class GradientSum:
    """The sum of the gradients of one layer tree: `add` after every backward, `release` before the update.

    In truncated backpropagation through time it sums the windows of an episode.
    """

    def __init__(self):
        self.sums = {}

    def add(self, layer):
        """Adds the gradients that the last backward pass has set."""
        for path, owner, name in layer.slots():
            gradient = getattr(owner, "d" + name)
            if path in self.sums:
                self.sums[path] += gradient
            else:
                self.sums[path] = gradient.copy()

    def release(self, layer):
        """Sets every gradient to its sum, and begins a new one. Raises RuntimeError if nothing was added."""
        if not self.sums:
            raise RuntimeError("no gradient was added since the last update; call backward and add before release.")
        for path, owner, name in layer.slots():
            setattr(owner, "d" + name, self.sums[path])
        self.sums = {}
