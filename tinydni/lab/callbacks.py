"""What watches a training: progress, checkpoints, and Ctrl-C. Each is called after every step and every epoch."""

import contextlib
import signal
import time


class Progress:
    """A plain tqdm bar over all steps, with what the last evaluation found. Nothing is shown where `quiet`."""

    def __init__(self, training, quiet=False):
        from tqdm import tqdm
        self.bar = tqdm(total=training.n_steps, initial=training.step, unit="step", disable=quiet,
                        dynamic_ncols=True, smoothing=0.05)

    def __call__(self, training):
        self.bar.update(training.step - self.bar.n)
        if training.batch == 0 and not self.bar.disable:
            self.bar.set_description(training.headline())

    def close(self):
        self.bar.close()


class Checkpoints:
    """Calls `save` after every epoch, when the training stops, and every `seconds` in between."""

    def __init__(self, save, seconds=60):
        self.save, self.seconds = save, seconds
        self.last = time.monotonic()

    def __call__(self, training):
        if training.batch == 0 or training.stopped or time.monotonic() - self.last > self.seconds:
            self.save()
            self.last = time.monotonic()


@contextlib.contextmanager
def stop_on_interrupt(training):
    """Inside this block, Ctrl-C stops the training after the current step; a second Ctrl-C ends it at once."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:       # whoever started this process handles Ctrl-C
        yield
        return

    def stop(number, frame):
        training.stopped = True
        signal.signal(signal.SIGINT, previous)

    try:
        previous = signal.signal(signal.SIGINT, stop)
    except ValueError:              # not in the main thread: Ctrl-C does not arrive here
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
