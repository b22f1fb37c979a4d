"""What every notebook of the course uses: a start, a sign of life, and the checks of its cells.

    SHORT = course.begin()              one thread, a line that says when this ran
    training.run([course.watch("cdni")])        a progress line while a network learns
    course.check("dW3", dW3, h2=h2, dz3=dz3)    is this answer right, and if not, how is it wrong?

The answers and the slips that `check` knows stand in exercises.py.
"""

import os
import sys
import time
from datetime import date

import numpy as np
from threadpoolctl import threadpool_limits

import tinydni as td


def begin():
    """Say what runs, and when. Return True for a quick pass, which claims nothing about results."""
    threadpool_limits(1)        # with small matrices a second thread costs more than it helps
    short = "TINYDNI_SHORT" in os.environ
    print(f"tinydni {td.__version__}, NumPy {np.__version__}, run on {date.today():%d %B %Y}"
          + ", a quick pass" * short)
    return short


class watch:        # noqa: N801, it is used like a function
    """A callback of a training, or a loop, with one line that says how far it is.

    The line vanishes at the end. Without a terminal or a notebook there is none.
    """

    def __init__(self, what):
        self.what, self.shown, self.last = what, 0, time.monotonic()
        self.quiet = not (sys.stdout.isatty() or "ipykernel" in sys.modules)

    def __call__(self, training):
        share = training.step / max(1, training.n_steps)
        self.say(f"{self.what}: {training.place()}, {share:.0%}")
        if training.finished or training.stopped:
            self.clear()

    def over(self, things):
        """Yield things, and say how many are done."""
        things = list(things)
        for number, thing in enumerate(things):
            self.say(f"{self.what}: {number} of {len(things)}")
            yield thing
        self.clear()

    def say(self, text):
        if not self.quiet and time.monotonic() - self.last > 0.5:
            print("\r" + text.ljust(self.shown), end="", flush=True)
            self.shown, self.last = len(text), time.monotonic()

    def clear(self):
        if self.shown:
            print("\r" + " " * self.shown + "\r", end="", flush=True)
            self.shown = 0


class NotYet(Exception):
    """An answer that is missing or wrong. A notebook shows the sentence alone."""

    def _render_traceback_(self):
        return [str(self)]


class Exercise:
    """One line, or a few, that a learner writes.

    Parameters
    ----------
    right : function of what is given -> the right value
    slips : {what to say: function of what is given -> the value that this slip makes}
    given : function rng -> {name: value}, an example of what is given
    otherwise : another way to write the right answer, for the tests
    run : function (answer, given) -> value, where the answer is not called with the given values
    """

    def __init__(self, right, slips, given, otherwise, run=None):
        self.right, self.slips, self.given, self.otherwise = right, slips, given, otherwise
        self.run = run or (lambda answer, given: answer(*given.values()))

    def problem(self, answer, given):
        """Say what is wrong with an answer; "" if it is right."""
        if answer is ...:
            return "not written yet. Put your line in the place of the three dots."
        if callable(answer):
            given = self.given(np.random.default_rng(0))
            try:
                with np.errstate(all="ignore"):
                    answer = self.run(answer, given)
            except Exception as error:
                if isinstance(error, NotImplementedError) or "ellipsis" in str(error).lower():
                    return "not written yet. Put your lines in the place that is marked."
                return f"it stops with {type(error).__name__}: {error}"
            given = self.given(np.random.default_rng(0))        # unchanged, whatever was done to it
        with np.errstate(all="ignore"):
            expected = self.right(**given)
            if same(answer, expected):
                return ""
            for message, slip in self.slips.items():
                if same(answer, slip(**given)):
                    return message
        return difference(answer, expected)


def flat(value):
    """Lay tuples, lists and dictionaries out as [(where, array)]."""
    if isinstance(value, dict):
        return [(f"[{key!r}]{where}", array) for key in value for where, array in flat(value[key])]
    if isinstance(value, (tuple, list)):
        return [(f"[{i}]{where}", array) for i, item in enumerate(value)
                for where, array in flat(item)]
    return [("", value if value is None or value is ... else np.asarray(value))]


def same(value, expected):
    """Tell whether two values agree to rounding."""
    pairs = flat(value), flat(expected)
    return len(pairs[0]) == len(pairs[1]) and all(
        close(v, e) for (_, v), (_, e) in zip(*pairs))


def close(v, e):
    if v is None or v is ... or e is None or v.shape != e.shape or v.dtype.kind not in "fiub":
        return v is e
    v, e = v.astype(float), e.astype(float)
    return bool(np.allclose(v, e, rtol=1e-5, equal_nan=True,
                            atol=1e-6 * np.abs(e).max(initial=0)))


def difference(value, expected):
    """Say in what way a value differs from the right one."""
    values, right = flat(value), flat(expected)
    if any(v is ... or v is not None and v.dtype == object and ... in v.ravel().tolist()
           for _, v in values):
        return "not written yet. Put your lines in the place of the three dots."
    if len(values) != len(right):
        return f"{len(right)} values are wanted; got {len(values)}."
    for (where, v), (_, e) in zip(values, right):
        if not close(v, e):
            return (f"entry {where}: " if where else "") + difference_of(v, e)
    return ""


def difference_of(v, e):
    if v is None:
        return "it is None. Does the function return something?"
    if v.dtype.kind not in "fiub":
        return f"numbers are wanted; got an array of {v.dtype}."
    if v.shape != e.shape:
        hint = " It looks transposed." if v.shape == e.shape[::-1] else ""
        return f"the shape is {v.shape}; {e.shape} is wanted.{hint}"
    v, e = v.astype(float), e.astype(float)
    if not np.isfinite(v).all():
        return "it holds NaN or infinity."
    if close(v, -e):
        return "the sign is flipped."
    factor = np.vdot(v, e) / max(np.vdot(e, e), 1e-300)
    if close(v, factor * e):
        return f"it is {factor:.4g} times the right answer: a factor is missing or too many."
    if v.ndim == 2 and v.shape[0] == v.shape[1] and close(v, e.T):
        return "it is transposed."
    worst = np.unravel_index(np.argmax(np.abs(v - e)), e.shape)
    where = str([int(i) for i in worst]) if e.ndim else ""
    return f"at {where} it is {v[worst]:.6g}; {e[worst]:.6g} is right."


def check(name, answer, **given):
    """Say whether the answer to an exercise is right. Raises NotYet, with a sentence, if not."""
    from exercises import EXERCISES
    problem = EXERCISES[name].problem(answer, given)
    if problem:
        raise NotYet(f"{name}: {problem}")
    print(f"{name}: right.")


def mnist(short, images=False):
    """Return (data, real): MNIST, or the small digits of the library where it cannot be had.

    real : whether results may be claimed, as they were measured on MNIST
    images : (N, H, W, 1) in place of rows
    """
    try:
        data = td.datasets.mnist()
    except td.datasets.DataError:
        print("MNIST cannot be had here. The library's small digits stand in for it: everything runs, "
              "the numbers differ.")
        data = td.datasets.digits()
    side = round(data.n_in**0.5)
    print(f"{data.name}: {len(data.x):,} images to train on, {len(data.x_test):,} to test on, "
          f"{side} x {side} pixels each")
    return data.as_images(side, side, 1) if images else data, data.name == "mnist" and not short
