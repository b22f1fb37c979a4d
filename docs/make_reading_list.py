"""Makes reading-list.md: what one reads to follow a step, and the whole evening, from real runs.

    python docs/make_reading_list.py             write the page
    python docs/make_reading_list.py --check     fail where the page is not what the code is today

A tracer notes every line of the library that runs. The step is one of the README's loop: three
`DNI` modules that learn from a batch of digits and their labels (cDNI). The evening is `Training`
of such a network over the digits, from the loader to the last update; its list names the classes
and functions that run, whole, in the order in which one meets them.
"""

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import tinydni as td

HERE = Path(__file__).resolve().parent
CORE = Path(td.__file__).resolve().parent
PAGE = HERE / "reading-list.md"
MOST_FILES, MOST_EXECUTED, MOST_LINES = 9, 250, 1500
ORDER = ("layer", "linear", "activations", "containers", "losses", "optimizers", "synthesizers",
         "dni", "algorithms", "models", "training", "datasets/digits", "datasets/dataset", "checks",
         "backend", "random")


def executed(run: Callable[[], object]) -> dict[str, set[int]]:
    """Return the lines of each file of the library that run, by the name of the file."""
    lines: dict[str, set[int]] = defaultdict(set)

    def trace(frame, event, _):     # type: ignore[no-untyped-def]
        path = Path(frame.f_code.co_filename)
        if path.parent not in (CORE, CORE / "datasets") or path.stem == "__init__":
            return None
        if event == "line":
            lines[path.relative_to(CORE).with_suffix("").as_posix()].add(frame.f_lineno)
        return trace
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return dict(lines)


def blocks(data: "td.datasets.Dataset") -> list[td.Layer]:
    """Return three blocks for the digits."""
    rng = td.stream(0, "weights")
    return td.mlp((data.n_in, 64, 64, 10), rng, hidden=lambda n: [td.ReLU()])


def step() -> dict[str, set[int]]:
    """Trace the second step of the README's loop; the first makes what later steps only use."""
    data = td.datasets.digits()
    modules = [td.DNI(block, 0.1, td.LinearSynthesizer(64, 10), 0.1) for block in blocks(data)[:2]]
    modules.append(td.DNI(blocks(data)[2], 0.1, loss=td.SoftmaxCrossEntropy()))
    x, y, labels = data.x[:32], data.y[:32], data.context()[:32]

    def train() -> None:
        h = x
        for below, module in zip([None, *modules], modules):    # noqa: B905
            dx, h = module.forward_and_synthetic_update(h, labels, y)
            if below is not None:
                below.update_synthetic_weights(dx)
    train()
    return executed(train)


def evening() -> dict[str, list[tuple[str, int, int]]]:
    """Return the definitions that run in a short training, {file: [(name, first, last line)]}."""
    def run() -> None:
        data = td.datasets.digits()
        net = td.build(blocks(data), td.SoftmaxCrossEntropy(), lambda: td.Adam(1e-3),
                       lambda n_h: td.LinearSynthesizer(n_h, 10), lambda: td.Adam(1e-3))
        td.Training(net, data, 1, 256, seed=0, context=data.context()).run()
    run()                       # what is imported or made once is not what one reads
    lines, found = executed(run), {}
    for name in sorted(lines, key=ORDER.index):
        tree = ast.parse((CORE / f"{name}.py").read_text(encoding="utf-8"))
        found[name] = [(node.name, node.lineno, node.end_lineno or 0) for node in tree.body
                       if isinstance(node, (ast.ClassDef, ast.FunctionDef))
                       and lines[name] & set(range(node.lineno, (node.end_lineno or 0) + 1))]
    return found


def page() -> str:
    """Return the page; raise SystemExit where a list is longer than it may be."""
    lines, parts = step(), evening()
    n_executed = sum(map(len, lines.values()))
    n_read = sum(last - first + 1 for names in parts.values() for _, first, last in names)
    if len(lines) > MOST_FILES or n_executed > MOST_EXECUTED or n_read > MOST_LINES:
        raise SystemExit(f"too long: a step runs {n_executed} lines (at most {MOST_EXECUTED}) of "
                         f"{len(lines)} files (at most {MOST_FILES}), the evening reads {n_read} "
                         f"(at most {MOST_LINES}): {({k: len(v) for k, v in lines.items()})}")
    rows = [f"| [`{name}.py`](../tinydni/{name}.py) | {len(found)} |"
            for name, found in sorted(lines.items(), key=lambda item: -len(item[1]))]
    listed = [f"| [`{name}.py`](../tinydni/{name}.py) | "
              + ", ".join(f"`{what}`" for what, _, _ in names)
              + f" | {sum(last - first + 1 for _, first, last in names)} |"
              for name, names in parts.items()]
    return "\n".join([
        "# What to read", "",
        "This page is made by [`make_reading_list.py`](make_reading_list.py) from real runs.", "",
        "## One step", "",
        f"One cDNI step of the README's loop, three modules from batch to updated weights, runs "
        f"{n_executed} different",
        f"lines of {len(lines)} files. Begin with `DNI.forward_and_synthetic_update` in `dni.py`.",
        "", "| file | lines that run |", "| --- | --- |", *rows, "",
        "## One evening", "",
        f"From the first layer to the training loop: {n_read} lines, in this order. With them you "
        "have read",
        "everything that runs when a network of synthetic gradients learns the digits.", "",
        "| file | read | lines |", "| --- | --- | --- |", *listed, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail where the page is out of date")
    check, text = parser.parse_args().check, page()
    if check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("docs/reading-list.md is out of date; run python docs/make_reading_list.py")
        print("docs/reading-list.md is what the code is today.")
    else:
        PAGE.write_text(text, encoding="utf-8")
        print(text)
