"""`tinydni calibrate`: move a sample of one's own onto a reference of one's own."""

from pathlib import Path

from tinydni import backend
from tinydni.datasets import DataError
from tinydni.lab.jobs.arguments import OptionError
from tinydni.lab.cytometry import tables
from tinydni.lab.cytometry.calibrator import Calibrator
from tinydni.lab.cytometry.discrepancy import discrepancy
from tinydni.lab.cytometry.populations import warnings
from tinydni.lab.cytometry.train import add_method_arguments, chosen_method, watched
from tinydni.lab.cytometry.transform import Transform
from tinydni.lab.files import check_folder
from tinydni.random import stream

name = "calibrate"
meaning = "move a sample of cells onto the distribution of a reference (CSV or FCS files)"


def add_arguments(parser):
    """Adds the options of this command to an argparse parser."""
    parser.add_argument("--sample", required=True, metavar="FILE", help="cells to calibrate: .csv, one row per cell, with "
                        "names on top or without; or .fcs")
    parser.add_argument("--out", required=True, metavar="FILE", help="the calibrated cells: the same columns, .csv or .fcs")
    fitted = parser.add_mutually_exclusive_group(required=True)
    fitted.add_argument("--reference", metavar="FILE", help="cells to calibrate to, in the same columns")
    fitted.add_argument("--model", metavar="FILE.npz", help="apply a calibration that was fitted before, without training")
    parser.add_argument("--transform", metavar="T",
                        help="log1p (counts; default), arcsinh:COFACTOR (such as arcsinh:5) or none")
    parser.add_argument("--markers", metavar="NAMES", help="columns to calibrate, with commas between (default: all); the "
                        "others, such as Time, are copied")
    parser.add_argument("--report", metavar="FOLDER", help="pictures, figures and the fitted model (default OUT-report)")
    add_method_arguments(parser)


def main(given):
    """Runs the command line. Returns the exit code."""
    check_folder(given.out)
    return apply(given) if given.model else fit(given)


def apply(given):
    """Calibrates a sample with a model that was fitted before."""
    options = {"--transform": given.transform, "--markers": given.markers, "--report": given.report, "--quick": given.quick,
               "--synthesizer": given.synthesizer, "--method": given.method != "dni"}
    for option, useless in options.items():
        if useless:
            raise OptionError(f"{option} does nothing with --model, which says all about the calibration; leave it out.")
    calibrator, table = Calibrator.load(given.model), tables.read(given.sample)
    columns = columns_of(table, given.sample, calibrator.columns, given.model)
    before = refused_as_data(given.sample, calibrator.standardised, table.select(columns))
    tables.write(given.out, table.replaced(columns, calibrator.raw(calibrator.move(before))))
    print(f"Wrote {given.out}: {len(before):,} cells, calibrated with {given.model}.")
    return 0


def fit(given):
    """Fits a calibration to the sample, applies it, and reports."""
    from tinydni.lab.cytometry.report import write_report
    method, xp, transform = chosen_method(given), backend.get(given.backend), chosen_transform(given.transform)
    reference, table = tables.read(given.reference), tables.read(given.sample)
    wanted = [text.strip() for text in given.markers.split(",")] if given.markers else reference.columns
    target_columns = columns_of(reference, given.reference, wanted, "--markers")
    columns = columns_of(table, given.sample, target_columns, given.reference, whole=not given.markers)
    target, source = reference.select(target_columns), table.select(columns)

    def train(watch, updates):
        return Calibrator.fit(target, source, columns, transform, method, given.seed, xp, updates=updates,
                              batch_size=given.batch_size, watch=watch)
    calibrator, mmd = refused_as_data(f"{given.sample} and {given.reference}", watched, given, train)
    y, before = calibrator.standardised(target), calibrator.standardised(source)
    after = calibrator.move(before)
    raw = calibrator.raw(after)
    tables.write(given.out, table.replaced(columns, raw))
    folder = Path(given.report or Path(given.out).with_suffix("").as_posix() + "-report")
    folder.mkdir(parents=True, exist_ok=True)
    calibrator.save(folder / "model.npz")
    facts = facts_of(given, calibrator, y, before, after)
    write_report(folder, facts, y, before, after, columns, mmd, given.seed)
    print("\n".join([*facts["lines"], *(f"WARNING: {text}" for text in facts["warnings"])]))
    print(f"Wrote {given.out} and {folder}/ (report.md, model.npz). Use the model again with --model {folder / 'model.npz'}.")
    return 0


def facts_of(given, calibrator, y, before, after):
    """The figures and sentences of the report."""
    order = stream(given.seed, "split").permutation(len(y))
    half, other = y[order[::2]], y[order[1::2]]         # of the reference, to know how far apart like samples are
    n_cells, numbers = min(1000, len(other), len(before)), {}
    for when, cells in (("before", before), ("after", after), ("reference", other)):
        numbers[f"mmd_{when}"], numbers[f"mmd_unbiased_{when}"] = discrepancy(
            cells, half, calibrator.m, stream(given.seed, "sample", 3), n_cells)
    lines = [f"{given.sample}: {len(before):,} cells, {len(calibrator.columns)} markers, calibrated to "
             f"{given.reference} ({len(y):,} cells). Transform {calibrator.transform}; method {given.method}, "
             f"seed {given.seed}.",
             f"MMD to the reference: {numbers['mmd_before']:.3f} before, {numbers['mmd_after']:.3f} after; two halves of "
             f"the reference itself are {numbers['mmd_reference']:.3f} apart ({n_cells:,} cells each)."]
    if calibrator.transform.name == "log1p":
        below = int((calibrator.standardisation.inverse(after) < 0).sum())
        lines.append(f"{below:,} of {after.size:,} calibrated values came out below zero and were set to zero, since counts "
                     "are not negative.")
    doubts = [f"{doubt}. Compare the pictures before you trust this calibration."
              for doubt in warnings(before, after, stream(given.seed, "sample", 5))]
    if numbers["mmd_after"] > numbers["mmd_before"]:
        doubts.append("The sample is farther from the reference than before; do not use this calibration.")
    return {"method": given.method, "seed": given.seed, "transform": str(calibrator.transform),
            "columns": calibrator.columns, "numbers": numbers, "lines": lines, "warnings": doubts}


def chosen_transform(text):
    """The Transform that --transform names. Raises OptionError for an unknown one."""
    try:
        return Transform.parse(text or "log1p")
    except ValueError as error:
        raise OptionError(f"--{error}") from None


def columns_of(table, path, wanted, owner, whole=False):
    """The columns of a table that are to be calibrated, in the order `wanted`; by place where one side has no names.

    whole: whether the table must have no other columns
    Raises DataError where a column is missing, or one is there that is not wanted.
    """
    unnamed = all(name == f"column {i + 1}" for i, name in enumerate(wanted))
    if not table.header or unnamed:
        if len(table.columns) != len(wanted) and (whole or not set(wanted) <= set(table.columns)):
            raise DataError(f"{path} has {len(table.columns)} columns, but {owner} has {len(wanted)}. Both samples need the "
                            "same markers in the same order; names in the first line would allow another order.")
        return list(wanted) if set(wanted) <= set(table.columns) else list(table.columns)
    missing = [name for name in wanted if name not in table.columns]
    other = [name for name in table.columns if name not in wanted] if whole else []
    if missing or other:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(other)} besides"] * bool(other)
        raise DataError(f"{path} {' and '.join(parts)}; it must have the columns of {owner}. Name the columns to "
                        "calibrate with --markers; all others are copied.")
    return list(wanted)


def refused_as_data(path, function, *arguments):
    """function(*arguments), its ValueError as a DataError that names the file."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
