"""Writes the tables of docs/benchmarks.md anew, from what `bench` and `gpu-day` have written.

python -m tinydni.lab.benchmarks.page docs/benchmarks.md docs/results/benchmarks*.json
"""

import json
import sys
import textwrap
from pathlib import Path

from tinydni.lab.files import markdown, write_text

CPU, GPU = (("<!-- tables -->", "<!-- end of tables -->"),
            ("<!-- gpu -->", "<!-- end of gpu -->"))
NOT_MEASURED = ("**Not measured.** The same code runs on CuPy, but no GPU was available for this "
                "page:\nnothing in this section has run on one.")
PEERS = {"torch-eager": "PyTorch eager", "torch-channels-last": "PyTorch, channels last",
         "jax-jit": "JAX, jit", "literal": "the literal tutorial",
         "bare": "the same without layers", "tinydni-backprop": "our own backpropagation",
         "tinydni-plain": "our own, without numba", "torch-by-hand": "PyTorch, gradient by hand",
         "torch-graph": "PyTorch, CUDA graph", "tinydni-launches": "our own, without a graph"}
HEAD = ["workload", "against", "ours [ms]", "peer [ms]", "ratio (quartiles)", "products",
        "memory [MB]"]


def page(text, reports):
    """Return the page with its tables replaced. Those of a GPU day have "parts"."""
    days = [gpu_section(report) for report in reports if "parts" in report]
    runs = [section(report) for report in reports if "parts" not in report]
    return between(GPU, between(CPU, text, runs), days or [NOT_MEASURED])


def between(marks, text, sections):
    """Return a text with something else between two marks; ValueError where they are missing."""
    begin, end = marks
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page must have one line {begin} and one line {end}, with the tables "
                         "between.")
    before, after = text.partition(begin)[0], text.partition(end)[2]
    return before + "\n\n".join([begin, *sections, end]) + after


def section(report):
    """Return the conditions of one run and its table, without the rows of the curves."""
    machine, threads = report["machine"], report["threads"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    rows = [cells(row) for row in report["rows"]
            if not row["row"].startswith(("width", "depth", "batch"))]
    return "\n".join([
        f"### {report['kernel']} kernels, {threads} thread{'s' * (threads > 1)}", "",
        textwrap.fill(f"{machine['CPU']}, {machine['cores']} cores, load {machine['load']} at the "
                      f"start and {machine['load_at_end']} at the end. {versions}. Settings: "
                      f"{machine['settings']}.", 100, break_on_hyphens=False), "",
        markdown(HEAD, rows)])


def gpu_section(report):
    """Return the tables of a GPU day, and in sentences what else it found."""
    found = {part: each["cases"] for part, each in report["parts"].items()}
    card = found["machine"]["card"]
    if "card" not in card:
        raise ValueError("a rehearsal without a GPU has no place on the page; run `tinydni "
                         "gpu-day` on a GPU.")
    lines = [f"{card['card']}, {card['memory_gb']} GB, driver {card['driver']}, "
             f"CuPy {card['CuPy']}, "
             + ", ".join(f"{name} {version}" for name, version in card["versions"].items()) + "."]
    for part, title in (("times", "float32"), ("times-tf32", "float32, products in TF32")):
        rows = [cells(row)[:-1] for case in found[part].values() for row in case.get("rows", ())]
        lines.append(f"### {card['card']}, {title}\n\n{markdown(HEAD[:-1], rows)}")
    captures = [each for each in found["captures"].values() if "refused" not in each]
    lines.append("Captured steps equal ordinary ones bit for bit in "
                 f"{sum(bool(each.get('equal')) for each in captures)} of {len(captures)} methods.")
    lines += [f"MNIST, {case.replace('-', ', ')} layers: {each['step']:,} of {each['of']:,} steps, "
              f"test error {each['errors'][-1]:.2f} %."
              for case, each in found["training"].items() if each.get("errors")]
    failed = [f"{part} {case}" for part, cases in found.items() for case, each in cases.items()
              if "failed" in each]
    return "\n\n".join([*lines, f"Failed: {', '.join(failed) or 'nothing'}."])


def cells(row):
    """Return a row of the table."""
    theirs, ratio = "", ""
    if row["peer"]:
        theirs = milliseconds(row["peer_us"])
        ratio = f"**{row['ratio']:.2f}** ({row['q1']:.2f}–{row['q3']:.2f})"
    return [row["row"], PEERS.get(row["peer"], "nobody"), milliseconds(row["our_us"]), theirs,
            ratio, *("" if row.get(name) is None else f"{row[name]:.{digits}f}"
                     for name, digits in (("floor_share", 2), ("memory_mb", 0)))]


def milliseconds(us):
    """Return a time with three digits."""
    return f"{us / 1000:.3g}" if us < 1e6 else f"{us / 1000:.0f}"


def main(path, *reports):
    """Rewrite the page in its place."""
    read = [json.loads(Path(report).read_text(encoding="utf-8")) for report in reports]
    write_text(path, page(Path(path).read_text(encoding="utf-8"), read))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
