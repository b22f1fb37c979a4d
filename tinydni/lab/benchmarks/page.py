"""Writes the tables of docs/benchmarks.md anew, from the JSON of `tinydni bench`.

python -m tinydni.lab.benchmarks.page docs/benchmarks.md docs/results/benchmarks*.json
"""

import json
import sys
from pathlib import Path

from tinydni.lab.files import write_text

BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
PEERS = {"torch-eager": "PyTorch eager", "torch-channels-last": "PyTorch, channels last",
         "jax-jit": "JAX, jit", "literal": "the literal tutorial",
         "bare": "the same without layers", "tinydni-backprop": "our own backpropagation"}
HEAD = ["workload", "against", "ours [ms]", "peer [ms]", "ratio (quartiles)", "products",
        "memory [MB]"]


def page(text, reports):
    """Return the page with its tables replaced, or raise ValueError for one without two marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page must have one line {BEGIN} and one line {END}, with the tables "
                         "between.")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return before + "\n\n".join([BEGIN, *map(section, reports), END]) + after


def section(report):
    """Return the conditions of one run and its table, without the rows of the curves."""
    machine, threads = report["machine"], report["threads"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    rows = [cells(row) for row in report["rows"]
            if not row["row"].startswith(("width", "depth", "batch"))]
    return "\n".join([
        f"### {report['kernel']} kernels, {threads} thread{'s' * (threads > 1)}", "",
        f"{machine['CPU']}, {machine['cores']} cores, load {machine['load']} at the start and "
        f"{machine['load_at_end']} at the end. {versions}. Settings: {machine['settings']}.", "",
        markdown(HEAD, rows)])


def cells(row):
    """Return a row of the table."""
    theirs, ratio = "", ""
    if row["peer"]:
        theirs = milliseconds(row["peer_us"])
        ratio = f"**{row['ratio']:.2f}** ({row['q1']:.2f}–{row['q3']:.2f})"
    return [row["row"], PEERS.get(row["peer"], "nobody"), milliseconds(row["our_us"]), theirs,
            ratio, f"{row['floor_share']:.2f}", f"{row['memory_mb']:.0f}"]


def markdown(head, rows):
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


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
