"""`tinydni calibrate`: move a sample of one's own onto a reference of one's own."""

import contextlib
import csv
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydni import backend
from tinydni.datasets import DataError
from tinydni.lab.cytometry import sample_tables as tables
from tinydni.lab.cytometry.calibrator import Calibrator
from tinydni.lab.cytometry.discrepancy import discrepancy
from tinydni.lab.cytometry.populations import warnings
from tinydni.lab.cytometry.train_cytometry import (
    add_method_arguments,
    full_options,
    method_of,
    pictures,
    watching,
)
from tinydni.lab.cytometry.transform import Transform
from tinydni.lab.files import check_folder, write_json, write_text
from tinydni.lab.jobs.ranges import OptionError, whole
from tinydni.random import stream


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--sample", required=True, metavar="FILE",
                        help="cells to calibrate: CSV, one row per cell, with names on top or "
                        "without; or FCS (.fcs, .lmd); packed by gzip or not")
    parser.add_argument("--out", required=True, metavar="FILE",
                        help="the calibrated cells, the same columns: .csv, .csv.gz or .fcs")
    fitted = parser.add_mutually_exclusive_group(required=True)
    fitted.add_argument("--reference", metavar="FILE", help="cells to calibrate to")
    fitted.add_argument("--model", metavar="FILE.npz",
                        help="apply a calibration that was fitted before, without training")
    parser.add_argument("--transform", metavar="T", help="log1p (counts; default), "
                        "arcsinh:COFACTOR (such as arcsinh:5) or none")
    parser.add_argument("--markers", metavar="NAMES",
                        help="columns to calibrate, with commas between (default: all but those "
                        "that are no markers by name, such as Time); the others are copied")
    parser.add_argument("--report", metavar="FOLDER",
                        help="pictures, figures and the fitted model (default OUT-report)")
    parser.add_argument("--offsets", choices=("header", "text"), help="of FCS files: which to "
                        "believe where they differ about the place of the data")
    parser.add_argument("--data-set", type=whole(1), metavar="N",
                        help="of FCS files that hold several, such as .lmd (default 1)")
    add_method_arguments(parser)


def main(given: Namespace) -> int:
    """Run the command line. Return the exit code."""
    check_folder(given.out)
    for option in ("sample", "reference", "model"):
        path = getattr(given, option)
        if path and Path(path).exists() and Path(path).resolve() == Path(given.out).resolve():
            raise OptionError(f"--out and --{option} are one file, {path}; name another --out.")
    return apply(given) if given.model else fit(given)


def apply(given: Namespace) -> int:
    """Calibrate a sample with a model that was fitted before."""
    options = {"--transform": given.transform, "--markers": given.markers,
               "--report": given.report, "--quick": given.quick,
               "--synthesizer": given.synthesizer, "--method": given.method != "dni"}
    for option, useless in options.items():
        if useless:
            raise OptionError(f"{option} does nothing with --model, which says all about the "
                              "calibration; leave it out.")
    calibrator, (table,) = Calibrator.load(given.model), read(given, given.sample)
    columns = columns_of(table, calibrator.columns, given.model)
    with as_data_error(given.sample):
        before = calibrator.standardised(table.select(columns))
    tables.write(given.out, table, columns, calibrator.raw(calibrator.move(before)))
    print("\n".join([*table.notes, *copied(table, columns), f"Wrote {given.out}: {len(before):,} "
                     f"cells, calibrated with {given.model}."]))
    return 0


def fit(given: Namespace) -> int:
    """Fit a calibration to the sample, apply it, and report."""
    options, xp = full_options(vars(given)), backend.get(given.backend)
    method = method_of(options)
    try:
        transform = Transform.parse(given.transform or "log1p")
    except ValueError as error:
        raise OptionError(f"--{error}") from None
    reference, table = read(given, given.reference, given.sample)
    if given.markers:
        wanted = [text.strip() for text in next(csv.reader([given.markers],
                                                           skipinitialspace=True))]
        if len(set(wanted)) < len(wanted):
            raise OptionError(f"--markers names a column twice: {given.markers}.")
        target_columns = columns_of(reference, wanted, "--markers")
        columns = columns_of(table, target_columns, given.reference)
    else:
        if not (target_columns := reference.markers):
            raise DataError(f"{given.reference} has no column that is a marker by its name; name "
                            "those to calibrate with --markers.")
        columns = columns_of(table, target_columns, given.reference, whole=True)
    target, source = reference.select(target_columns), table.select(columns)
    with (watching(options["updates"], given.quiet) as watch,
          as_data_error(f"{given.sample} and {given.reference}")):
        calibrator, mmd = Calibrator.fit(
            target, source, columns, transform, method, given.seed, xp, watch=watch,
            updates=options["updates"], batch_size=given.batch_size)
    y, before = calibrator.standardised(target), calibrator.standardised(source)
    after = calibrator.move(before)
    tables.write(given.out, table, columns, calibrator.raw(after))
    bare = Path(given.out.removesuffix(".gz")).with_suffix("")
    folder = Path(given.report or f"{bare}-report")
    folder.mkdir(parents=True, exist_ok=True)
    calibrator.save(folder / "model.npz")
    facts = facts_of(given, calibrator, y, before, after)
    facts["lines"] += [*reference.notes, *table.notes, *copied(table, columns)]
    write_report(folder, facts, (y, before, after), mmd)
    print("\n".join([*facts["lines"], *(f"WARNING: {text}" for text in facts["warnings"])]))
    print(f"Wrote {given.out} and {folder}/ (report.md, model.npz). Use the model again with "
          f"--model {folder / 'model.npz'}.")
    return 0


def read(given: Namespace, *paths: str) -> list[tables.Table]:
    """Return the tables of the command line, the last of which will be written to --out."""
    found = [tables.read(path, offsets=given.offsets, data_set=given.data_set) for path in paths]
    for option, value in (("--offsets", given.offsets), ("--data-set", given.data_set)):
        if value and not any(table.fcs for table in found):
            raise OptionError(f"{option} is about FCS files, and there is none; leave it out.")
    tables.check_output(given.out, found[-1])
    return found


def copied(table: tables.Table, columns: list[str]) -> list[str]:
    """Say which columns were left as they are, and why, if any."""
    left = [f"{name} ({table.aside[name]})" if name in table.aside else name
            for name in table.columns if name not in columns]
    return [f"Left as they are: {', '.join(left)}. --markers NAMES says what to calibrate."] * (
        len(left) > 0)


def facts_of(given: Namespace, calibrator: Calibrator, y: np.ndarray, before: np.ndarray,
             after: np.ndarray) -> dict[str, Any]:
    """Return the figures and sentences of the report."""
    order = stream(given.seed, "split").permutation(len(y))
    half, other = y[order[::2]], y[order[1::2]]     # to know how far apart like samples are
    n_cells, numbers = min(1000, len(other), len(before)), {}
    for when, cells in (("before", before), ("after", after), ("reference", other)):
        numbers[f"mmd_{when}"], numbers[f"mmd_unbiased_{when}"] = discrepancy(
            cells, half, calibrator.m, stream(given.seed, "sample", 3), n_cells)
    lines = [f"{given.sample}: {len(before):,} cells, {len(calibrator.columns)} markers, "
             f"calibrated to {given.reference} ({len(y):,} cells). Transform "
             f"{calibrator.transform}; method {given.method}, seed {given.seed}.",
             f"MMD to the reference: {numbers['mmd_before']:.3f} before, "
             f"{numbers['mmd_after']:.3f} after; two halves of the reference itself are "
             f"{numbers['mmd_reference']:.3f} apart ({n_cells:,} cells each)."]
    if calibrator.transform.name == "log1p":
        below = int((calibrator.standardisation.inverse(after) < 0).sum())
        lines.append(f"{below:,} of {after.size:,} calibrated values came out below zero and were "
                     "set to zero, since counts are not negative.")
    doubts = [f"{doubt}. Compare the pictures before you trust this calibration."
              for doubt in warnings(before, after, stream(given.seed, "sample", 5))]
    if numbers["mmd_after"] > numbers["mmd_before"]:
        doubts.append("The sample is farther from the reference than before; do not use this "
                      "calibration.")
    return {"method": given.method, "seed": given.seed, "transform": str(calibrator.transform),
            "columns": calibrator.columns, "numbers": numbers, "lines": lines, "warnings": doubts}


def write_report(folder: Path, facts: dict[str, Any], samples: tuple[np.ndarray, ...],
                 mmd: list[float]) -> None:
    """Write report.md, report.json and the three pictures.

    samples : the reference, the sample before and after, standardised    mmd : one per update
    """
    from tinydni.plots import save
    made = pictures(facts["method"], mmd, samples, ("reference", "sample before", "sample after"),
                    facts["columns"], facts["seed"], "The sample calibrated to the reference",
                    {"reference to itself": facts["numbers"]["mmd_reference"]})
    write_json(folder / "report.json", {**facts, "history": mmd})
    images = [f"![{picture.alt}]({name}.png)" for name, picture in made.items()]
    warnings = [f"**Warning.** {text}" for text in facts["warnings"]]
    write_text(folder / "report.md", "\n\n".join([
        "# Calibration", *facts["lines"], *(warnings or ["No sign of merged populations."]),
        *images]) + "\n")
    for name, picture in made.items():
        save(picture, folder / f"{name}.png")


def columns_of(table: tables.Table, wanted: list[str], owner: str, whole: bool = False
               ) -> list[str]:
    """Return the columns to calibrate, in the order `wanted`; by place where a side has no names.

    Raise DataError, which names the owner of the wanted names, where one is missing, and, if the
    table must match as a whole, where it has another marker.
    """
    have = table.markers if whole else table.columns
    unnamed = all(re.fullmatch(r"column \d+", name) for name in wanted)
    if not table.named or unnamed:
        if set(wanted) <= set(have) and not (whole and len(wanted) < len(have)):
            return list(wanted)
        if len(have) != len(wanted):
            raise DataError(f"{table.path} has {len(have)} columns, but {owner} has {len(wanted)}. "
                            "Both samples need the same markers in the same order; names in the "
                            "first line would allow another order.")
        return list(have)
    missing = [name for name in wanted if name not in table.columns]
    other = [name for name in have if name not in wanted] if whole else []
    if missing or other:
        parts = ([f"lacks {', '.join(missing)}"] * bool(missing)
                 + [f"has {', '.join(other)} besides"] * bool(other))
        raise DataError(f"{table.path} {' and '.join(parts)}; it must have the columns of {owner}. "
                        "Name the columns to calibrate with --markers; all others are copied.")
    return list(wanted)


@contextlib.contextmanager
def as_data_error(path: str) -> Iterator[None]:
    """Raise a ValueError from inside as a DataError that names the file."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
