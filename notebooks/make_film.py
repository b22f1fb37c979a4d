"""Makes one_step.gif, a training step of three blocks in time:  python notebooks/make_film.py

Both networks run for a few batches with every call recorded: which block, what it did, which arrays
went in and came out. An act begins when its arrays are there and its block is free. The film shows
when that is.
"""

from pathlib import Path

import matplotlib
import numpy as np

import tinydni as td

matplotlib.use("Agg")
from matplotlib.animation import FuncAnimation, PillowWriter  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402

BATCHES, TICKS, FRAMES = 14, 12, 6         # batches recorded; ticks shown, and frames for each
WORDS = {"forward": "runs", "backward": "learns", "forward_and_synthetic_update": "runs, guesses, learns",
         "update_synthetic_weights": "M learns"}
DECOUPLED = ("forward_and_synthetic_update",)
COLOURS = {"forward": "#9dc3e6", "backward": "#f4a582", "forward_and_synthetic_update": "#a8d5a2",
           "update_synthetic_weights": "#a8d5a2", None: "#eeeeee"}


def network(algorithm):
    blocks = td.mlp((6, 8, 8, 3), np.random.default_rng(0))
    guess = {} if algorithm is td.backprop else {"synthesizer": td.LinearSynthesizer, "synthesizer_lr": 0.1}
    return td.build(blocks, td.SoftmaxCrossEntropy(), 0.1, algorithm=algorithm, **guess)


def record(net):
    """Return [(block, act, arrays in, arrays out)] of some batches, in the order of the loop."""
    events, depth = [], [0]

    def watched(k, act, call):
        def run(*arguments):
            depth[0] += 1
            result = call(*arguments)
            depth[0] -= 1
            if not depth[0]:
                out = result if isinstance(result, tuple) else (result,)
                events.append((k, act, arguments[:1], out))
            return result
        return run

    for k, module in enumerate(net.modules):
        for act in WORDS:
            setattr(module, act, watched(k, act, getattr(module, act)))
    rng = np.random.default_rng(1)
    for _ in range(BATCHES):
        net.step(rng.standard_normal((5, 6)).astype(np.float32), rng.integers(0, 3, 5))
    return events


def schedule(events):
    """Return [(tick, block, act, messages)]: when each act can begin, every act taking one tick.

    messages : [(block it comes from, tick)] of the arrays that it waited for. What M learns takes no
    tick of its own: it belongs to the next act of its block.
    """
    free, made, found = {}, {}, []
    for k, act, arrays, out in events:
        sources = [made[id(a)] for a in arrays if id(a) in made]
        if act == "backward" and not any(s[0] == k + 1 for s in sources):
            sources.append((k, free.get(k, 0)))                 # the loss, in the same block
        learns = act == "update_synthetic_weights"
        start = max([free.get(k, 0), *(tick for _, tick in sources)])
        found.append((start, k, act, [s for s in sources if s[0] != k]))
        if not learns:
            free[k] = start + 1
        for array in out:
            if array is not None:
                made[id(array)] = (k, start + 1)
    return found


def batches(found):
    """Number the batches that each block works on."""
    count, numbered = {}, []
    for tick, k, act, messages in found:
        if act in ("forward", "forward_and_synthetic_update"):
            count[k] = count.get(k, 0) + 1
        numbered.append((tick, k, act, messages, count.get(k, 1)))
    return numbered


def draw(axes, acts, title, time):
    """Draw one network at a time, measured in ticks."""
    axes.clear()
    axes.set(xlim=(0, 5), ylim=(-0.5, 4.1))
    axes.set_axis_off()
    axes.set_title(title, fontsize=11, loc="left")
    tick = int(time)
    for k in range(3):
        now = [a for a in acts if a[0] == tick and a[1] == k and a[2] != "update_synthetic_weights"]
        act = now[0][2] if now else None
        axes.add_patch(FancyBboxPatch((0.5, 1.4 * k + 0.15), 4, 0.75, boxstyle="round,pad=0.05",
                                      facecolor=COLOURS[act], edgecolor="#444444"))
        words = "runs, sees the loss, learns" if k == 2 and act in DECOUPLED else WORDS.get(act)
        text = f"batch {now[0][4]}: {words}" if now else "waits"
        axes.text(2.5, 1.4 * k + 0.52, f"block {k + 1}\n{text}", ha="center", va="center", fontsize=8.5)
    for start, k, act, messages, _ in acts:
        for source, ready in messages:
            share = time - (start - 0.5)        # it travels in the half tick before it is used
            if 0 <= share <= 0.5 and ready <= start:
                share *= 2
                up = source < k
                x, low, high = (1.7 if up else 3.3), 1.4 * min(k, source) + 1.05, 1.4 * max(k, source)
                colour = "#1f4e79" if up else "#b2182b" if act == "backward" else "#1b7837"
                y = low + share * (high - low) if up else high - share * (high - low)
                axes.plot([x], [y], "^" if up else "v", color=colour, markersize=9)
    done = sum(a[1] == 0 and a[0] < tick and a[2] in ("backward", "forward_and_synthetic_update") for a in acts)
    axes.text(2.5, -0.4, f"block 1 has learned from {done} batch{'es' * (done != 1)}", ha="center", fontsize=8.5)


def film(path):
    """Write the film."""
    parts = [(title, batches(schedule(record(network(algorithm)))))
             for title, algorithm in (("Backpropagation", td.backprop), ("Decoupled", td.update_decoupled))]
    figure = Figure(figsize=(6.4, 3.6), dpi=100, facecolor="white")
    axes = figure.subplots(1, 2, gridspec_kw={"left": 0.01, "right": 0.99, "top": 0.92, "bottom": 0.09,
                                              "wspace": 0.04})
    for x, mark, colour, text in ((0.03, "^", "#1f4e79", "output h"), (0.25, "v", "#b2182b", "true gradient"),
                                  (0.53, "v", "#1b7837", "message: teaches the guesser below")):
        figure.text(x + 0.02, 0.025, text, fontsize=8.5)
        figure.add_artist(Line2D([x], [0.04], marker=mark, color=colour, markersize=8))

    def frame(number):
        for one, (title, acts) in zip(axes, parts):
            draw(one, acts, title, number / FRAMES)
        return axes

    animation = FuncAnimation(figure, frame, frames=TICKS * FRAMES, interval=150)
    animation.save(path, writer=PillowWriter(fps=6))


if __name__ == "__main__":
    film(Path(__file__).parent / "one_step.gif")
