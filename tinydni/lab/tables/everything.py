"""All tables of `tinydni reproduce`, and the command that makes them one after the other."""

import argparse

from tinydni.lab.cytometry.cytometry_table import CYTOMETRY
from tinydni.lab.jobs.ranges import whole
from tinydni.lab.tables import field, images, sequences

TABLES = (*images.TABLES, *sequences.TABLES, *field.TABLES, CYTOMETRY)

name, meaning = "all", "every table, one after the other; what is finished is not made again"


def add_arguments(parser):
    """Add the options that all tables share."""
    parser.add_argument("--seeds", type=whole(1, 1000),
                        help="runs per figure (default: each table's own)")
    parser.add_argument("--out", default="results", metavar="FOLDER",
                        help="where the tables go (default results)")
    parser.add_argument("--quick", action="store_true",
                        help="one seed and short runs, to see that everything works")


def main(given):
    """Make every table. Return the exit code: 0, or that of the first that failed."""
    for i, table in enumerate(TABLES, 1):
        print(f"\n[{i} of {len(TABLES)}] {table.name}: {table.meaning}", flush=True)
        code = table.main(arguments_of(table, given))
        if code:
            return code
    return 0


def arguments_of(table, given):
    """Return what a table's parser makes of the options for all."""
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    seeds = ["--seeds", str(given.seeds)] if given.seeds else []
    return parser.parse_args(["--out", given.out, *seeds, *["--quick"] * given.quick])
