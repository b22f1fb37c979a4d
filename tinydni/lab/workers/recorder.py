"""What a worker did when: the records from which the timeline is drawn."""

import time

import numpy as np

WHAT = ("forward", "backward", "update", "synthesizer", "waiting")


class Recorder:
    """Listens to a worker, by putting itself before the steps of its modules and before its wait for messages.

    They stay listened to: record a network that is made for this, and thrown away.

    steps: (first, last) batches to record, so that the records stay few

    records: list of (index into WHAT, step, start, end); the clock is that of the host [s]
    """

    def __init__(self, worker, steps):
        self.worker, (self.first, self.last) = worker, steps
        self.records = []
        for module in worker.modules:
            guess = "forward" if module.synthesizer is None else "synthesizer"
            for name, what in (("forward", "forward"), ("gradient_at_output", guess), ("backward", "backward"),
                               ("update", "update"), ("learn", "synthesizer")):
                self.listen(module, name, what)
        for synthesizer in getattr(worker.stage.algorithm, "synthesizers", ()):
            if synthesizer is not None:
                self.listen(synthesizer, "forward", "synthesizer")
                self.listen(synthesizer, "learn", "synthesizer")
        self.listen(worker, "receive", "waiting")

    def listen(self, owner, name, what):
        """Lets every call of a method pass by the recorder."""
        method, what = getattr(owner, name), WHAT.index(what)

        def timed(*args):
            start = time.time()
            try:
                return method(*args)
            finally:
                if self.first <= self.worker.step <= self.last:
                    self.records.append((what, self.worker.step, start, time.time()))

        setattr(owner, name, timed)

    def array(self):
        """The records so far, (n, 4)."""
        return np.array(self.records, dtype=np.float64).reshape(-1, 4)
