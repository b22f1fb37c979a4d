"""The command `tinydni bench`: runs workloads, prints a line for each row as it comes, writes the report."""

import argparse
from functools import partial

from tinydni.lab.benchmarks import conditions, dense, images, samples, sequences, tutorial
from tinydni.lab.benchmarks.compare import compare
from tinydni.lab.doctor import blas_kernel, slow_kernel
from tinydni.lab.jobs.arguments import OptionError, whole
from tinydni.lab.files import check_folder, write_json

WORKLOADS = {                               # name: functions of the dtype
    "W1": (partial(dense.w1, 3), partial(dense.w1, 6)),
    "W2": (partial(dense.w2, 3), partial(dense.w2, 6)),
    "W3a": (images.w3a,),
    "W3b": (images.w3b,),
    "W4": (partial(tutorial.w4, "backprop"), partial(tutorial.w4, "dni")),
    "W5": (sequences.w5,),
    "W7": (samples.w7,),
    "W8": (partial(dense.w8, 3), partial(dense.w8, 6)),
    "curves": tuple(make for axis, values in dense.CURVES.items() for make in dense.along(axis, values)),
}

MEANING = "time training steps beside PyTorch's and others', with the same weights, in turns"


def add_arguments(parser):
    parser.add_argument("names", nargs="*", type=known, metavar="NAME",
                        help=f"of {', '.join(WORKLOADS)}; all if none is named")
    parser.add_argument("--threads", type=whole(1), default=1, help="threads of the matrix products (default 1)")
    parser.add_argument("--blocks", type=whole(1), default=30, help="blocks of the clock per contender (default 30)")
    parser.add_argument("--json", metavar="FILE", help="write the rows here, too")
    parser.add_argument("--figure", metavar="FILE", help="draw the rows of the curves (.png, .svg or .pdf)")


def known(name):
    if name not in WORKLOADS:
        raise argparse.ArgumentTypeError(f"no workload {name!r}; there are {', '.join(WORKLOADS)}")
    return name


def main(arguments):
    """Runs the workloads. Returns 0."""
    names = arguments.names or list(WORKLOADS)
    check_outputs(arguments, names)
    conditions.set_threads(arguments.threads)
    report = {"machine": conditions.machine(), "versions": conditions.versions(), "kernel": blas_kernel(),
              "threads": arguments.threads, "rows": []}
    print(" | ".join(f"{name} {value}" for name, value in (report["machine"] | report["versions"]).items()))
    for sentence in remarks(report):
        print(sentence)
    print(HEADING)
    for name in names:
        for make in WORKLOADS[name]:
            for row in compare(make, arguments.blocks, arguments.threads):
                report["rows"].append(row)
                print(line(row), flush=True)
            report["machine"]["load_at_end"] = conditions.machine()["load"]
            if arguments.json:                      # whole after every workload: a run that is stopped is not lost
                write_json(arguments.json, report)
    if arguments.figure:
        from tinydni.lab.benchmarks.curves import scaling
        from tinydni.plots import save
        save(scaling(report["rows"]), arguments.figure)
    return 0


def check_outputs(arguments, names):
    """Raises before a long run rather than at its end."""
    if arguments.json:
        check_folder(arguments.json)
    if arguments.figure:
        from tinydni.plots.picture import check_path
        try:
            check_path(arguments.figure)
        except ValueError as error:
            raise OptionError(f"--figure: {error}") from None
        if "curves" not in names or not conditions.installed("torch"):
            raise OptionError("--figure draws the rows of curves beside PyTorch: it needs curves among the names, "
                              "and torch.")


def remarks(report):
    """What a reader of the table should know first: who is missing, and which inner loops NumPy's BLAS runs."""
    found = [f"{package} is not installed: no ratio to it (pip install {package})."
             for package in conditions.PACKAGES if not conditions.installed(package)]
    return found + list(filter(None, [slow_kernel()]))


HEADING = (f"{'':26}{'against':20}{'ours':>12}{'peer':>12}{'ratio':>8}{'quartiles':>16}{'wall':>8}"
           f"{'floor':>8}{'memory':>10}{'losses':>20}")


def line(row):
    """One row as text: times per step, our time over the peer's with quartiles, the floor's share of our time."""
    end = f"{row['floor_share']:8.2f}{row['memory_mb']:7.1f} MB"
    ours = f"{row['row']:26}{row['peer'] or '(nobody)':20}{row['our_us']:9,.0f} us"
    if row["peer"] is None:
        return f"{ours}{'':44}{end}{row['our_loss']:10.5f}"
    quarts = f"{row['q1']:.3f} - {row['q3']:.3f}"
    losses = f"{row['our_loss']:10.5f}" + ("" if row["peer_loss"] is None else f"{row['peer_loss']:10.5f}")
    return f"{ours}{row['peer_us']:9,.0f} us{row['ratio']:8.3f}{quarts:>16}{row['wall_ratio']:8.3f}{end}{losses:>20}"
