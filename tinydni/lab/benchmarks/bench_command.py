"""The command `tinydni bench`: runs workloads, prints each row as it comes, writes the report."""

import argparse

from tinydni.lab.benchmarks import conditions, page
from tinydni.lab.benchmarks.ratios import compare
from tinydni.lab.benchmarks.workloads import WORKLOADS
from tinydni.lab.doctor import blas_kernel, slow_kernel
from tinydni.lab.files import write_json
from tinydni.lab.jobs.ranges import THREADS, OptionError, whole
from tinydni.lab.outputs import Outputs


def add_arguments(parser):
    """Add the options of this command to an argparse parser."""
    parser.add_argument("names", nargs="*", type=known, metavar="NAME",
                        help=f"of {', '.join(WORKLOADS)}; all if none is named")
    parser.add_argument("--threads", type=THREADS, default=1,
                        help="threads of the matrix products (default 1)")
    parser.add_argument("--blocks", type=whole(1), default=30,
                        help="blocks of the clock per contender (default 30)")
    parser.add_argument("--json", metavar="FILE", help="write the rows here, too")
    parser.add_argument("--figure", metavar="FILE",
                        help="draw the rows of the curves (.png, .svg or .pdf)")


def known(name):
    """Return the name of a workload."""
    if name not in WORKLOADS:
        raise argparse.ArgumentTypeError(f"no workload {name!r}; there are {', '.join(WORKLOADS)}")
    return name


def main(arguments):
    """Run the workloads. Return 0."""
    names = arguments.names or list(WORKLOADS)
    Outputs({"json": arguments.json, "figure": arguments.figure}, force=True)
    if arguments.figure and ("curves" not in names or not conditions.installed("torch")):
        raise OptionError("--figure draws the rows of curves beside PyTorch: it needs curves among "
                          "the names, and torch.")
    conditions.set_threads(arguments.threads)
    report = {"machine": conditions.machine(), "versions": conditions.versions(),
              "kernel": blas_kernel(), "threads": arguments.threads, "rows": []}
    facts = report["machine"] | report["versions"]
    print(" | ".join(f"{name} {value}" for name, value in facts.items()))
    for package in conditions.PACKAGES:
        if not conditions.installed(package):
            print(f"{package} is not installed: no ratio to it (pip install {package}).")
    if "numba" not in report["versions"]:
        print('numba is not in use: no loops (pip install "tinydni[fast]").')
    if slow_kernel():
        print(slow_kernel())
    print(line(page.HEAD))
    for name in names:
        for make in WORKLOADS[name]:
            for row in compare(make, arguments.blocks, arguments.threads):
                report["rows"].append(row)
                print(line(page.cells(row)), flush=True)
            report["machine"]["load_at_end"] = conditions.machine()["load"]
            if arguments.json:      # whole after every workload: what is stopped is not lost
                write_json(arguments.json, report)
    if arguments.figure:
        from tinydni.lab.benchmarks.scaling_picture import scaling
        from tinydni.plots import save
        save(scaling(report["rows"]), arguments.figure)
    return 0


def line(cells):
    """Return the cells of the page's table as a line of text."""
    return "".join(f"{cell:{width}}" for cell, width in zip(cells, (26, 27, 11, 11, 23, 10, 12)))
