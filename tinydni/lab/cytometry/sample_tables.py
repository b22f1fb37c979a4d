"""A person's own samples: tables of cells, from CSV or FCS files, read with care, written whole."""

import codecs
import csv
import gzip
import io
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from tinydni.datasets import DataError
from tinydni.lab.cytometry.fcs_files import FcsFile, calibrated_fcs, read_fcs
from tinydni.lab.files import whole_file

SEPARATORS = ",;\t"
MISSING = {"", "na", "n/a", "nan", "null"}
COMMENT = re.compile(r"^(?:#|sep=)[^\r\n]*", re.MULTILINE)         # sep=; is Excel's
GZIP, WIDE = b"\x1f\x8b", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
OTHER_KINDS = {b"PK": "a zip archive or an Excel workbook", b"\xd0\xcf": "an old Excel workbook",
               b"\x89HDF": "an HDF5 file", b"\x93NUM": "a NumPy file"}
NO_MARKER = re.compile(             # of names without all but letters and digits
    "(event|cell|row|file|sample)?(id|no|number|index|names?|length)?|time|center|offset|width"
    r"|residual|beaddist(ance)?|bcseparationdist|mahalanobisdist|unnamed\d*|batch|label|cluster")


@dataclass
class Table:
    """The cells of a file.

    values (N, D) : float64, NaN where a field holds no number
    columns : D different names; "column 1", ... where the file has none
    named : whether it names its columns    path : of the file    notes : what was odd, in sentences
    aside : {column that is no marker: why}    fcs : what an FCS file holds beside
    comments, header, body, separator : of a text file; the names as they stand, all the rest
    troubles : {column: (line, field)}, the first field of text there
    """

    values: np.ndarray
    columns: list[str]
    named: bool = True
    path: str | Path = ""
    notes: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)
    fcs: FcsFile | None = None
    comments: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    body: str = ""
    separator: str = ","
    troubles: dict[int, tuple[int, str]] = field(default_factory=dict)

    @property
    def markers(self) -> list[str]:
        """The columns that are calibrated unless others are named."""
        return [name for name in self.columns if name not in self.aside]

    def select(self, columns: list[str]) -> np.ndarray:
        """Return the values (N, len(columns)) of the named columns.

        Raises DataError where one of them is not a number, with its place.
        """
        numbers = [self.columns.index(name) for name in columns]
        for i in sorted(set(numbers) & set(self.troubles)):
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
        if self.body:
            return (fields for _, fields in records(self.body, self.separator, self.header))
        exact = partial(np.format_float_positional, trim="-")       # read, it is the same number
        return map(list, zip(*([""] * len(column) if i in new else map(exact, column)
                               for i, column in enumerate(self.values.T))))


def read(path: str | Path, **of_fcs) -> Table:
    """Read the cells in a file; what it is, CSV or FCS, packed or not, its first bytes say.

    path : of the file
    **of_fcs : `offsets` and `data_set` of `read_fcs`

    Raises DataError where the file is missing, is something else, or contradicts itself.
    """
    try:
        content = Path(path).read_bytes()
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        for magic, kind in OTHER_KINDS.items():
            if content.startswith(magic):
                raise ValueError(f"is {kind}. Save the cells as CSV or FCS.")
        if content.startswith(b"FCS"):
            fcs = read_fcs(content, **of_fcs)
            table = Table(fcs.values, fcs.names, fcs=fcs)
            table.notes = [f"{path} {note}" for note in fcs.notes]
        else:
            table = table_of(content.decode("utf-16" if content[:2] in WIDE else "utf-8-sig"))
        table.path = path
        return checked(table)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the path.") from None
    except (UnicodeError, csv.Error, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a table of cells ({error}).") from None
    except ValueError as error:
        raise DataError(f"{path} {error}") from None


def checked(table: Table) -> Table:
    """Return the table, with what is no marker set aside. Raise ValueError for contradictions.

    No marker is what is named so, has no name among names, holds no number, or counts the cells.
    """
    n_cells, n_columns = table.values.shape
    if n_cells < 2:
        raise ValueError(f"holds {n_cells} row{'s' * (n_cells != 1)} of numbers. A sample is a "
                         "table with one row per cell and needs many of them.")
    name, times = Counter(table.columns).most_common(1)[0]
    if times > 1 or len(table.columns) != n_columns:
        raise ValueError(f"has two columns called {name!r}; give every column its own name.")
    for i, name in enumerate(table.columns):
        column = table.values[:, i]
        short = table.fcs.text.get(f"$P{i + 1}N", "") if table.fcs else ""
        words = [re.sub("[^a-z0-9]", "", text.lower()) for text in (name, short)]
        if any(word and NO_MARKER.fullmatch(word) for word in words):
            table.aside[name] = "by its name"
        elif table.named and name == f"column {i + 1}":
            table.aside[name] = "it has no name"
        elif np.isnan(column).all():
            table.aside[name] = "it holds no numbers"
        elif n_cells >= 10 and counts(column):
            table.aside[name] = "it counts the cells"
    return table


def counts(column: np.ndarray) -> bool:
    """Tell whether whole numbers grow from cell to cell: of rows or of time, not of a marker."""
    return bool(np.isfinite(column).all() and (column[1:] > column[:-1]).all()
                and (column % 1 == 0).all())


def table_of(text: str) -> Table:
    """Return a table of text: comma, semicolon or tab between the fields, names on top or none."""
    comments, body = COMMENT.findall(text), COMMENT.sub("", text)       # lines keep their numbers
    bare = re.sub('"[^"]*"', "", body[:2**16]).lstrip("\r\n")   # nothing in quotes separates
    separator = max(SEPARATORS, key=bare.partition("\n")[0].count)
    rows = (fields for _, fields in records(body, separator))
    first, second = next(rows, []), next(rows, [])
    if not first:
        raise ValueError("is empty. A sample is a table with one row per cell.")
    header = first if are_names(first, second) else []
    names = [name.strip() for name in header]
    if comments and not header:                         # names in a comment, as NumPy writes them
        said = next(csv.reader([comments[-1].lstrip("# ")], delimiter=separator))
        names = said if len(said) == len(first) > 1 and are_names(said, first) else []
    width = len(second if header and second else first)
    if names and len(names) == width - 1:               # R's row names, or a separator at the end
        names = [*names, ""] if not second[-1].strip() else ["", *names]
    if len(names) not in (0, width):
        raise ValueError(f"names {len(names)} columns, but its rows hold {width} numbers.")
    values, troubles = numbers_of(records(body, separator, header), width)
    added = values[:, names.index("")] if header and len(header) < width else np.empty(0)
    if not (np.isnan(added).all() or counts(added)):    # it is a column whose name is missing
        raise ValueError(f"names {width - 1} columns, but its rows hold {width} numbers.")
    columns = [name or f"column {i}" for i, name in enumerate(names or [""] * width, 1)]
    return Table(values, columns, bool(names), comments=comments, header=header, body=body,
                 separator=separator, troubles=troubles)


def records(body: str, separator: str, header: list[str] | None = None
            ) -> Iterator[tuple[int, list[str]]]:
    """Return (number of the line, fields) of every row that is not blank, but for a header."""
    rows = csv.reader(io.StringIO(body, newline=""), delimiter=separator, skipinitialspace=True)
    full = ((rows.line_num, fields) for fields in rows if any(map(str.strip, fields)))
    return islice(full, int(bool(header)), None)


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


def numbers_of(rows: Iterable[tuple[int, list[str]]], width: int
               ) -> tuple[np.ndarray, dict[int, tuple[int, str]]]:
    """Return the values (N, width), NaN for text, and the first field of text in each column."""
    flat, troubles = array("d"), dict[int, tuple[int, str]]()
    for line, fields in rows:
        if len(fields) != width:
            raise ValueError(f"is not a table of numbers: line {line} holds {len(fields)} fields, "
                             f"those above it {width}. Every line must hold one per column.")
        try:
            if "_" in "".join(fields):
                raise ValueError
            flat.fromlist([float(text) for text in fields])
        except ValueError:
            for i, text in enumerate(fields):
                if (value := number(text)) is None:
                    if re.fullmatch(r"\s*[+-]?\d+,\d+\s*", text):
                        raise ValueError(f"writes {text} in line {line}: save the numbers with "
                                         "decimal points, not commas.") from None
                    troubles.setdefault(i, (line, text))
                flat.append(np.nan if value is None else value)
    return np.array(flat).reshape(-1, width), troubles


def is_fcs(path: str | Path) -> bool:
    """Tell whether a file that is to be written is an FCS file."""
    return str(path).lower().endswith((".fcs", ".lmd"))


def check_output(path: str | Path, table: Table) -> None:
    """Raise DataError where `write` could not write the table."""
    if is_fcs(path) and table.troubles:
        names = ", ".join(table.columns[i] for i in table.troubles)
        raise DataError(f"{path} cannot hold the text of {names} ({table.path}); name a .csv file.")


def write(path: str | Path, table: Table, columns: Iterable[str] = (),
          values: np.ndarray | None = None) -> None:
    """Write a table as .fcs, .csv or .csv.gz, whole or not at all.

    path : of the new file; its name says the format
    table : that was read; all that is not replaced is written as it stands there
    columns, values (N, len(columns)) : what replaces those columns
    """
    new = [table.columns.index(name) for name in columns]
    changed = np.empty((len(table.values), 0)) if values is None else values
    with whole_file(path) as temporary:
        if is_fcs(path):
            everything = table.values.copy()
            everything[:, new] = changed
            content = calibrated_fcs(table.fcs, table.columns, everything, new)
            Path(temporary).write_bytes(content)
            return
        opener = gzip.open if str(path).lower().endswith(".gz") else open
        with opener(temporary, "wt", newline="", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in table.comments)
            rows = csv.writer(file, delimiter=table.separator, lineterminator="\n")
            if table.header or table.fcs:
                rows.writerow(table.header or table.columns)
            for fields, numbers in zip(table.fields(set(new)), changed):
                for i, value in zip(new, numbers.tolist()):
                    fields[i] = f"{value:.7g}"
                rows.writerow(fields)
