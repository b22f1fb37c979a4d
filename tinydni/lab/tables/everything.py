"""All tables of `tinydni reproduce`, and the command that makes them one after the other."""

import argparse
from pathlib import Path

from tinydni.lab.jobs.arguments import whole
from tinydni.lab.cytometry import cytometry_table as cytometry
from tinydni.lab.tables import (bp_lambda, cifar10, controls, mnist_cnn, mnist_fcn, no_label, recurrent, unlock, updates,
                                        vfbn)

TABLES = (*(module.TABLE for module in (mnist_fcn, mnist_cnn, no_label, updates, unlock, bp_lambda, controls, vfbn, cifar10)),
          *recurrent.TABLES, cytometry)

name, meaning = "all", "every table, one after the other; what is finished is not made again"


def add_arguments(parser):
    """Adds the options that all tables share."""
    parser.add_argument("--seeds", type=whole(1), help="runs per figure (default: each table's own)")
    parser.add_argument("--out", default="results", metavar="FOLDER", help="where the tables go (default results)")
    parser.add_argument("--quick", action="store_true", help="one seed and short runs, to see that everything works")


def main(given):
    """Makes every table, each as its own command does. Returns the exit code: 0, or that of the first that failed."""
    for i, table in enumerate(TABLES, 1):
        print(f"\n[{i} of {len(TABLES)}] {table.name}: {table.meaning}", flush=True)
        code = table.main(arguments_of(table, given))
        if code:
            return code
    return 0


def arguments_of(table, given):
    """What the parser of one table makes of the options for all; the cells have a folder of their own."""
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    out = Path(given.out) / "cytometry" if table is cytometry else given.out
    return parser.parse_args(["--out", str(out), *(["--seeds", str(given.seeds)] if given.seeds else []), *["--quick"] * given.quick])
