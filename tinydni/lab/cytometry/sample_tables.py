"""A person's own samples: tables of cells, from CSV or FCS files, read with care, written whole."""

import codecs
import csv
import gzip
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from tinydni.datasets import DataError
from tinydni.lab.cytometry.fcs_files import FcsFile, calibrated_fcs, read_fcs
from tinydni.lab.files import whole_file

SEPARATORS = ",;\t"
MISSING = {"", "na", "n/a", "nan", "null"}
GZIP = b"\x1f\x8b"
OTHER_KINDS = {b"PK": "a zip archive or an Excel workbook", b"\xd0\xcf": "an old Excel workbook",
               b"\x89HDF": "an HDF5 file", b"\x93NUM": "a NumPy file"}
NO_MARKER = re.compile(             # of names without all but letters and digits
    "time|(event|cell)(length|id|no|number)?|center|offset|width|residual|beaddist(ance)?|index|id"
    r"|row(id|no|number|names?)?|unnamed\d*|file(id|no|number)?|sample(id)?|batch|label|cluster"
    "|bcseparationdist|mahalanobisdist")


@dataclass
class Table:
    """The cells of a file.

    values (N, D) : float64, NaN where a field holds no number
    columns : D different names; "column 1", ... where the file has none
    named : whether the file names its columns    path : of the file
    notes : sentences about what was odd    aside : {column that is no marker: why}
    fcs : what an FCS file holds beside    lead, header, separator : comment lines, names and
    separator of a text file    troubles : {column: (line, field)}, the first field that is text
    """

    values: np.ndarray
    columns: list[str]
    named: bool = True
    path: str | Path | None = None
    notes: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)
    fcs: FcsFile | None = None
    lead: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    separator: str = ","
    troubles: dict[int, tuple[int, str]] = field(default_factory=dict)

    @property
    def markers(self) -> list[str]:
        """The columns that are calibrated unless others are named."""
        return [name for name in self.columns if name not in self.aside]

    def select(self, columns: list[str]) -> np.ndarray:
        """Return the values (N, len(columns)) of the named columns.

        Raises
        ------
        DataError
            Where one of them is not a number, with its place.
        """
        numbers = [self.columns.index(name) for name in columns]
        for i in numbers:
            if i in self.troubles:
                line, text = self.troubles[i]
                raise DataError(f"{self.path} is not a table of numbers: {text!r} in line {line}, "
                                f"column {i + 1}. Every line below the names must hold one number "
                                "per column; a column of text can be left out with --markers.")
        values = self.values[:, numbers]
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            entries = "1 entry that is" if len(bad) == 1 else f"{len(bad):,} entries that are"
            raise DataError(f"{self.path} holds {entries} not a number: the first is "
                            f"{values[row, column]} for cell {row + 1}, {columns[column]}. Remove "
                            "such cells first.")
        return values

    def fields(self, new: set[int]) -> Iterable[list[str]]:
        """Return the fields of every cell as the file has them; "" in the columns `new`."""
        if self.path and not self.fcs:
            return (fields for _, fields in records(self.path, self.separator, bool(self.header)))
        stored = self.fcs.raw if self.fcs else self.values
        columns = [[""] * len(stored) if i in new else
                   [shortest(b if a == b else a) for a, b in zip(*pair)]
                   for i, pair in enumerate(zip(self.values.T, stored.T))]
        return map(list, zip(*columns))


def read(path: str | Path, **of_fcs) -> Table:
    """Read the cells in a file; what it is, CSV or FCS, packed or not, its first bytes say.

    Parameters
    ----------
    path : of the file
    **of_fcs : `offsets` and `data_set` of `read_fcs`

    Raises
    ------
    DataError
        Where the file is missing, is something else, or contradicts itself.
    """
    try:
        with open_packed(path, "rb") as file:
            start = file.read(4)
        for magic, kind in OTHER_KINDS.items():
            if start.startswith(magic):
                raise DataError(f"{path} is {kind}. Save the cells as CSV or FCS.")
        if start.startswith(b"FCS"):
            with open_packed(path, "rb") as file:
                fcs = read_fcs(path, file.read(), **of_fcs)
            return checked(Table(fcs.values, fcs.names, True, path, fcs.notes, fcs=fcs))
        return checked(read_csv(path))
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the path.") from None
    except DataError:
        raise
    except (UnicodeError, csv.Error, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as a table of cells ({error}).") from None


def open_packed(path: str | Path, mode: str, **options):
    """Open a file that may be packed by gzip."""
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
    return (gzip.open if packed else open)(path, mode, **options)


def checked(table: Table) -> Table:
    """Return the table, with what is no marker set aside. Raise DataError if it contradicts itself.

    No marker is what is named so, has no name among names, holds no number, or counts the cells.
    """
    n_cells, n_columns = table.values.shape
    if n_cells < 2:
        raise DataError(f"{table.path} holds {n_cells} row{'s' * (n_cells != 1)} of numbers. A "
                        "sample is a table with one row per cell and needs many of them.")
    name, times = Counter(table.columns).most_common(1)[0]
    if times > 1 or len(table.columns) != n_columns:
        raise DataError(f"{table.path} has two columns called {name!r}; give every column its own "
                        "name.")
    for i, name in enumerate(table.columns):
        column = table.values[:, i]
        short = table.fcs.text.get(f"$P{i + 1}N", "") if table.fcs else ""
        if any(NO_MARKER.fullmatch(re.sub("[^a-z0-9]", "", text.lower()))
               for text in (name, short)):
            table.aside[name] = "by its name"
        elif table.named and name == f"column {i + 1}":
            table.aside[name] = "it has no name"
        elif np.isnan(column).all():
            table.aside[name] = "it holds no numbers"
        elif n_cells >= 10 and counts(column):
            table.aside[name] = "it counts the cells"
    return table


def shortest(number: np.generic) -> str:
    """Return the shortest text of a number that is read as the same number."""
    if isinstance(number, np.integer):
        return str(number)
    return np.format_float_positional(number, trim="-")


def read_csv(path: str | Path) -> Table:
    """Return a table of text: comma, semicolon or tab between the fields, names on top or none."""
    lead, separator = layout(path)
    rows = (fields for _, fields in records(path, separator))
    first, second = next(rows, []), next(rows, [])
    if not first:
        raise DataError(f"{path} is empty. A sample is a table with one row per cell.")
    header = first if are_names(first, second) else []
    names = [name.strip() for name in header]
    if lead and not header:                             # names in a comment, as NumPy writes them
        said = next(csv.reader([lead[-1].lstrip("# ")], delimiter=separator))
        names = said if len(said) == len(first) > 1 and are_names(said, first) else []
    width = len(second if header and second else first)
    if len(names) == width - 1:                         # R's row names, or a separator at the end
        names = [*names, ""] if not second[-1].strip() else ["", *names]
    if len(names) not in (0, width):
        raise DataError(f"{path} names {len(names)} columns, but its rows hold {width} numbers.")
    values, troubles = numbers_of(path, records(path, separator, bool(header)), width)
    added = values[:, names.index("")] if header and len(header) < width else np.empty(0)
    if not (np.isnan(added).all() or counts(added)):    # it is a column whose name is missing
        raise DataError(f"{path} names {width - 1} columns, but its rows hold {width} numbers.")
    columns = [name or f"column {i}" for i, name in enumerate(names or [""] * width, 1)]
    return Table(values, columns, bool(names), path, lead=lead, header=header, separator=separator,
                 troubles=troubles)


def layout(path: str | Path) -> tuple[list[str], str]:
    """Return the comment lines on top, and the separator of the fields."""
    lead, line = [], ""
    with open_text(path) as file:
        for line in file:
            if is_comment(line):
                lead.append(line.rstrip("\r\n"))
            elif line.strip():
                break
        # What stands between quotes, line breaks too, separates nothing.
        bare = re.sub('"[^"]*"', "", line + file.read(2**16))
    first = (bare.splitlines() or [""])[0]
    return lead, max(SEPARATORS, key=first.count)


def open_text(path: str | Path):
    """Open a text file, packed or not, for the csv module."""
    with open_packed(path, "rb") as file:
        wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return open_packed(path, "rt", encoding="utf-16" if wide else "utf-8-sig", newline="")


def is_comment(line: str) -> bool:
    """Tell whether a line says something about the table; sep=; is Excel's."""
    return line.startswith(("#", "sep="))


def records(path: str | Path, separator: str, header: bool = False
            ) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the line, fields) of every row that is not blank, but for a header."""
    with open_text(path) as file:
        rows = csv.reader(("\n" if is_comment(line) else line for line in file),
                          delimiter=separator, skipinitialspace=True)
        full = ((rows.line_num, fields) for fields in rows if any(map(str.strip, fields)))
        yield from islice(full, int(header), None)


def are_names(first: list[str], second: list[str]) -> bool:
    """Tell whether a row names columns: most of it is words, and a number stands under one."""
    words = [number(text) is None for text in first]
    known = [text for text in first if text.strip().lower() not in MISSING]
    under = any(word and number(text) is not None
                for word, text in zip(words[::-1], second[::-1]))
    return 2 * sum(words) > len(known) and (under or not second)


def number(text: str) -> float | None:
    """Return the number in a field, NaN where it is missing, None where it is text."""
    if text.strip().lower() in MISSING:
        return np.nan
    try:
        return float(text) if "_" not in text else None         # float("1_2") is 12
    except ValueError:
        return None


def numbers_of(path: str | Path, rows: Iterable[tuple[int, list[str]]], width: int
               ) -> tuple[np.ndarray, dict[int, tuple[int, str]]]:
    """Return the values (N, width), NaN for text, and the first field of text in each column."""
    flat, troubles = array("d"), dict[int, tuple[int, str]]()
    for line, fields in rows:
        if len(fields) != width:
            raise DataError(f"{path} is not a table of numbers: line {line} holds {len(fields)} "
                            f"fields, those above it {width}. Every line must hold one number per "
                            "column.")
        try:
            if "_" in "".join(fields):
                raise ValueError
            flat.fromlist([float(text) for text in fields])
        except ValueError:
            for i, text in enumerate(fields):
                value = number(text)
                if value is None and re.fullmatch(r"\s*[+-]?\d+,\d+\s*", text):
                    raise DataError(f"{path} writes {text} in line {line}: save the numbers with "
                                    "decimal points, not commas.") from None
                if value is None:
                    troubles.setdefault(i, (line, text))
                flat.append(np.nan if value is None else value)
    return np.array(flat).reshape(-1, width), troubles


def counts(column: np.ndarray) -> bool:
    """Tell whether whole numbers grow from cell to cell: of rows or of time, not of a marker."""
    return bool((np.diff(column) > 0).all() and (column % 1 == 0).all())


def check_output(path: str | Path, table: Table) -> None:
    """Raise DataError where `write` could not write the table, or would replace its file."""
    if is_fcs(path) and table.troubles and not table.fcs:
        names = ", ".join(table.columns[i] for i in table.troubles)
        raise DataError(f"{path} cannot hold the text of {names} ({table.path}); name a .csv file.")


def is_fcs(path: str | Path) -> bool:
    """Tell whether a file that is to be written is an FCS file."""
    return str(path).lower().endswith((".fcs", ".lmd"))


def write(path: str | Path, table: Table, columns: list[str] | None = None,
          values: np.ndarray | None = None) -> None:
    """Write a table as .fcs, .csv or .csv.gz, whole or not at all.

    Parameters
    ----------
    path : of the new file; its name says the format
    table : that was read; all that is not replaced is written as it stands there
    columns, values (N, len(columns)) : what replaces those columns
    """
    new = [table.columns.index(name) for name in columns or []]
    with whole_file(path) as temporary:
        if is_fcs(path):
            everything = table.values.copy()
            everything[:, new] = values
            content = calibrated_fcs(table.fcs, table.columns, everything, new)
            Path(temporary).write_bytes(content)
            return
        opener = gzip.open if str(path).lower().endswith(".gz") else open
        with opener(temporary, "wt", newline="", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in table.lead)
            rows = csv.writer(file, delimiter=table.separator, lineterminator="\n")
            if table.header or table.fcs:
                rows.writerow(table.header or table.columns)
            for i, fields in enumerate(table.fields(set(new))):
                for j, value in zip(new, () if values is None else values[i].tolist()):
                    fields[j] = f"{value:.7g}"
                rows.writerow(fields)
