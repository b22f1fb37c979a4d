"""What a worker did when: the records from which the timeline is drawn."""

import time

import numpy as np

from tinydni.plots.timeline import WHAT


class Recorder:
    """Listens to a worker, by putting itself before its modules' steps and its wait for messages.

    They stay listened to: record a network that is made for this, and thrown away.

    steps: (first, last) batches to record, so that the records stay few
    records: list of (index into WHAT, step, start, end); the clock is that of the host [s]
    """

    def __init__(self, worker, steps):
        self.worker, (self.first, self.last) = worker, steps
        self.records = []
        for module in worker.modules:
            guess = "forward" if module.synthesizer is None else "synthesizer"
            self.listen(module, forward="forward", gradient_at_output=guess, backward="backward",
                        update="update", learn="synthesizer")
        for synthesizer in getattr(worker.stage.algorithm, "synthesizers", ()):
            if synthesizer is not None:
                self.listen(synthesizer, forward="synthesizer", learn="synthesizer")
        self.listen(worker, receive="waiting")

    def listen(self, owner, **methods):
        """Let every call of these methods pass by the recorder."""
        for name, what in methods.items():
            setattr(owner, name, self.timed(getattr(owner, name), WHAT.index(what)))

    def timed(self, method, what):
        """Return the method with its times recorded."""
        def call(*args):
            start = time.time()
            try:
                return method(*args)
            finally:
                if self.first <= self.worker.step <= self.last:
                    self.records.append((what, self.worker.step, start, time.time()))

        return call

    def array(self):
        """Return the records so far, (n, 4)."""
        return np.array(self.records, dtype=np.float64).reshape(-1, 4)
