"""What watches a training: progress, checkpoints, Ctrl-C. Each is called after every step."""

import contextlib
import signal
import sys
import threading
import time

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")
                if hasattr(signal, name)]       # Ctrl-C, a batch system, a terminal that is closed


class Progress:
    """A plain tqdm bar over all steps, with what the last evaluation found; nothing if `quiet`."""

    def __init__(self, training, quiet=None):
        from tqdm import tqdm
        self.bar = tqdm(total=training.n_steps, initial=training.step, unit="step",
                        disable=bool(quiet), dynamic_ncols=True, smoothing=0.05)

    def __call__(self, training):
        self.bar.update(training.step - self.bar.n)
        if training.batch == 0 and not self.bar.disable:
            self.bar.set_description(training.headline())

    def close(self):
        """Leave the bar as it is."""
        self.bar.close()


class Checkpoints:
    """Calls `save` after every epoch, when the training stops, and every `seconds` in between.

    A save that fails is told once; the training goes on. `failed` says whether the last one did.
    """

    def __init__(self, save, seconds=60):
        self.save, self.seconds = save, seconds
        self.last, self.failed = time.monotonic(), False

    def __call__(self, training):
        if training.batch and not training.stopped and time.monotonic() - self.last < self.seconds:
            return
        try:
            self.save()
            self.failed = False
        except OSError as error:
            if not self.failed:
                print(f"\ntinydni: warning: {error}; the training goes on.", file=sys.stderr)
            self.failed = True
        self.last = time.monotonic()


@contextlib.contextmanager
def on_signals(handle):
    """Inside this block, call handle(number, frame) on Ctrl-C, SIGTERM and SIGHUP.

    Signals that are ignored stay so: whoever started this process handles them. Only the main
    thread hears signals; in others nothing changes.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handle) for number in STOP_SIGNALS
                  if signal.getsignal(number) not in (signal.SIG_IGN, None)}
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stop_on_interrupt(training):
    """Inside this block, Ctrl-C and its like stop the training after the current step.

    A second one ends it at once.
    """
    def stop(number, frame):
        training.stopped = True
        signal.signal(number, before[number])

    with on_signals(stop) as before:
        yield
