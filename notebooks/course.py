"""What every notebook of the course uses: a start, a sign of life, and the checks of its cells.

    SHORT = course.begin()              one thread, a line that says when this ran
    training.run([course.watch("cdni")])        a progress line while a network learns
    course.check("dW3", dW3, h2=h2, dz3=dz3)    is this answer right, and if not, how is it wrong?
    course.learning_rates(eigenvalues)          pictures with a slider

The answers and the slips that `check` knows stand in exercises.py.
"""

import base64
import html
import io
import os
import sys
import threading
import time
from datetime import date
from functools import cache

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
        return [(f"{key}: {where}", array) for key in value for where, array in flat(value[key])]
    if isinstance(value, (tuple, list)):
        return [(f"value {i + 1} of {len(value)}: {where}", array) for i, item in enumerate(value)
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
            return where + difference_of(v, e)
    return ""


def difference_of(v, e):
    if v is None:
        return "it is None. Does the function return something?"
    if v.dtype.kind not in "fiub":
        return f"numbers are wanted; got an array of {v.dtype}."
    if v.shape != e.shape:
        hint = " It looks transposed." if v.shape == e.shape[::-1] else ""
        wanted = str(e.shape) if e.ndim else "one number"
        return f"the shape is {v.shape}; {wanted} is wanted.{hint}"
    v, e = v.astype(float), e.astype(float)
    if not np.isfinite(v).all():
        return "it holds NaN or infinity."
    if close(v, -e):
        return "the sign is flipped."
    factor = np.vdot(v, e) / max(np.vdot(e, e), 1e-300)
    if e.size > 1 and close(v, factor * e):
        return f"it is {factor:.4g} times the right answer: a factor is missing or too many."
    if v.ndim == 2 and v.shape[0] == v.shape[1] and close(v, e.T):
        return "it is transposed."
    worst = np.unravel_index(np.argmax(np.abs(v - e)), e.shape)
    where = f"at {[int(i) for i in worst]} " if e.ndim else ""
    return f"{where}it is {v[worst]:.6g}; {e[worst]:.6g} is right."


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


def transport(size):
    """Return what connects workers: threads, or one thread in which they take turns."""
    from tinydni.lab.workers.transports.in_turn import InTurn
    from tinydni.lab.workers.transports.threads import Threads
    return Threads(size) if threads() else InTurn(size, np.random.default_rng(0))


@cache
def threads():
    """Tell whether threads can be started. If not, say once what is done instead."""
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        print("This Python has no threads, so the workers take turns in one. They send the same "
              "messages, but only one of them works at a time.")
        return False
    return True


def scikit_learn():
    """Tell whether scikit-learn can be imported. If not, say what is left out."""
    try:
        import sklearn.cluster  # noqa: F401
    except ImportError as error:
        print(f"scikit-learn cannot be imported here ({error}). The notebook goes on without it: "
              "with a fixed width of the kernels, without the comparison of F1, and without the "
              "warnings at the end.")
        return False
    return True


# Something that moves.

class Slides:
    """Pictures with a slider below them. The page holds all that it needs.

    Parameters
    ----------
    pictures : {what stands next to the slider: td.plots.Picture}
    """

    MOVE = ("const box = this.parentNode; box.querySelectorAll('img').forEach((image, i) => "
            "{ image.style.display = i == this.value ? 'block' : 'none'; "
            "if (i == this.value) box.querySelector('output').textContent = image.title; })")

    def __init__(self, pictures):
        self.pictures = pictures

    def __repr__(self):
        return f"{len(self.pictures)} pictures with a slider"

    def _repr_html_(self):
        images = "".join(
            f'<img src="data:image/png;base64,{small_png(picture)}" title="{html.escape(label)}" '
            f'alt="{html.escape(picture.alt)}" style="display: {"none" if i else "block"}; '
            'max-width: 100%; background: white">'
            for i, (label, picture) in enumerate(self.pictures.items()))
        return (f'<div>{images}<input type="range" min="0" max="{len(self.pictures) - 1}" value="0" '
                f'step="1" style="width: 60%; vertical-align: middle" aria-label="which picture" '
                f'oninput="{self.MOVE}"> <output>{html.escape(next(iter(self.pictures)))}</output>'
                '</div>')


def small_png(picture):
    """Return a picture as base64, with 16 colours."""
    from PIL import Image
    buffer, packed = io.BytesIO(), io.BytesIO()
    picture.figure.savefig(buffer, dpi=100)
    Image.open(buffer).convert("RGB").quantize(16).save(packed, "png", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def learning_rates(eigenvalues, n=24):
    """Show what a learning rate does to the error along two eigenvectors, with a slider.

    eigenvalues : two, the larger first
    n : learning rates, up to 1.2 times the limit 2 / λ
    """
    limit, shares = 2 / eigenvalues[0], 1.2 * np.arange(1, n + 1) / n
    return Slides({f"a = {share:.2f} · 2/λmax = {share * limit:.3f}":
                   picture_of_rate(share * limit, eigenvalues, shares[-1] * limit)
                   for share in shares})


def picture_of_rate(a, eigenvalues, largest_rate):
    """Draw eight steps with learning rate a in the parabola of the largest λ, and all factors."""
    lam, start = eigenvalues[0], 1.0
    factor = 1 - a * lam
    what = ("the error shrinks" if abs(factor) < 0.995 else
            "the error stays" if abs(factor) < 1.005 else "the error grows")
    picture = td.plots.Picture(
        7.6, 3.1, f"Learning rate {a:.3f}, {a * lam / 2:.2f} times the limit. Left: steps in a "
        f"parabola; each multiplies the error by {factor:.2f}. Right: this factor without its sign, "
        f"along the learning rate, one line for each eigenvalue; {what}.")
    valley, lines = picture.panel(0.45, 0.55, 3.0, 2.1), picture.panel(4.3, 0.55, 3.1, 2.1)

    s = np.linspace(-1.6, 1.6, 100)
    path = start * factor ** np.arange(9)
    valley.plot(s, lam * s**2 / 2, color="#6b7280")
    valley.plot(path, lam * path**2 / 2, "o-", color="#c94f00", markersize=5, linewidth=1)
    valley.set(xlim=(-1.6, 1.6), ylim=(-0.05 * lam, 1.28 * lam), yticks=[])
    valley.set_xlabel("error along the eigenvector of λmax", fontsize=9)
    valley.set_title(f"times {factor:+.2f} in each step: {what}", fontsize=9, loc="left")

    rates = np.linspace(0, largest_rate, 200)
    for value, color, style in zip(eigenvalues, ("#0064a8", "#00805c"), ("-", "--")):
        lines.plot(rates, np.abs(1 - rates * value), color=color, linestyle=style,
                   label=f"λ = {value:.2f}")
        lines.plot([a], [abs(1 - a * value)], "o", color=color, markersize=5)
    lines.axhline(1, color="#1b1f27", linewidth=0.8)
    lines.axvline(a, color="#c94f00", linewidth=0.8)
    lines.set(xlim=(0, largest_rate), ylim=(0, 1.45), xticks=[0, 1 / lam, 2 / lam],
              xticklabels=["0", "1/λmax", "2/λmax"])
    lines.set_xlabel("learning rate a", fontsize=9)
    lines.set_title("factor |1 - aλ| of one step", fontsize=9, loc="left")
    lines.legend(fontsize=8, frameon=False, loc="upper left", ncols=2)
    return picture
