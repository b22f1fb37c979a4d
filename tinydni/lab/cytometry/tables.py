"""A person's own samples: tables of cells in CSV or FCS files, read with care and written whole."""

import warnings
from dataclasses import dataclass

import numpy as np

from tinydni.datasets import DataError
from tinydni.lab.files import whole_file

SEPARATORS = ",;\t"


@dataclass
class Table:
    """The cells of a file.

    values (N, D) float64: one row per cell    columns: D names; without a header "column 1", "column 2", ...
    header: whether the file names its columns
    """

    values: np.ndarray
    columns: list
    header: bool
    separator: str = ","

    def select(self, columns):
        """The values (N, len(columns)) of the named columns."""
        return self.values[:, [self.columns.index(name) for name in columns]]

    def replaced(self, columns, values):
        """A table with the named columns replaced by `values` (N, len(columns)); all others stay as they are."""
        new = self.values.copy()
        new[:, [self.columns.index(name) for name in columns]] = values
        return Table(new, self.columns, self.header, self.separator)


def read(path):
    """The Table in a .csv (or .txt, .tsv) or .fcs file.

    Raises DataError, which names the file and the place, for a missing file, letters among the numbers, rows of
    different lengths, NaN or infinity, fewer than two cells.
    """
    try:
        table = read_fcs(path) if str(path).lower().endswith(".fcs") else read_csv(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; check the path.") from None
    except (UnicodeDecodeError, IsADirectoryError, PermissionError) as error:
        raise DataError(f"{path} cannot be read as a table of cells ({error}).") from None
    if len(table.values) < 2:
        raise DataError(f"{path} holds {len(table.values)} row{'s' * (len(table.values) != 1)} of numbers. A sample is a "
                        "table with one row per cell and needs many of them.")
    bad = np.argwhere(~np.isfinite(table.values))
    if len(bad):
        row, column = bad[0]
        entries = "1 entry that is" if len(bad) == 1 else f"{len(bad):,} entries that are"
        raise DataError(f"{path} holds {entries} not a number: the first is {table.values[row, column]} for cell {row + 1}, "
                        f"{table.columns[column]}. Remove such cells first.")
    return table


def read_csv(path):
    """A table of text: comma, semicolon or tab between the numbers, with a line of names on top or none."""
    with open(path, encoding="utf-8-sig") as file:
        first = file.readline().strip("\r\n")
    if not first.strip():
        raise DataError(f"{path} is empty, or its first line is. A sample is a table with one row per cell.")
    separator = max(SEPARATORS, key=first.count)
    names = [name.strip().strip('"') for name in first.split(separator)]
    header = not any(is_number(name) for name in names)
    if header and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path} has two columns called {twice!r}; give every column its own name.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)            # of no rows; `read` says so itself
            values = np.loadtxt(path, delimiter=separator, skiprows=int(header), ndmin=2, encoding="utf-8-sig",
                                comments=None)
    except ValueError as error:
        trouble = first_trouble(path, separator, header) or error
        raise DataError(f"{path} is not a table of numbers: {trouble}. Every line below the names must hold one number "
                        "per column.") from None
    if header and len(values) and values.shape[1] != len(names):
        raise DataError(f"{path} names {len(names)} columns, but its rows hold {values.shape[1]} numbers.")
    return Table(values, names if header else [f"column {i + 1}" for i in range(values.shape[1])], header, separator)


def first_trouble(path, separator, header):
    """The first line that does not hold as many numbers as the lines above it, in words, or None."""
    width = None
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if number <= header or not line.strip():
                continue
            fields = line.strip("\r\n").split(separator)
            width = width or len(fields)
            if len(fields) != width:
                return f"line {number} holds {len(fields)} fields, those above it {width}"
            for column, field in enumerate(fields, 1):
                if not is_number(field):
                    return f"{field!r} in line {number}, column {column}"
    return None


def is_number(text):
    """Whether a field of the first line is data."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_fcs(path):
    """The events of a flow cytometry file, by FlowIO; a channel goes by its long name where it has one."""
    flowio = fcs_library(path)
    try:
        data = flowio.FlowData(str(path))
        values = data.as_array()
    except FileNotFoundError:
        raise
    except Exception as error:          # a broken file fails in many ways inside the reader
        raise DataError(f"{path} is not a whole FCS file ({type(error).__name__}: {error}).") from None
    short, long = data.pnn_labels, data.pns_labels
    names = [label.strip() or short[i] for i, label in enumerate(long)]
    if len(set(names)) < len(names):
        names = list(short)
    return Table(np.asarray(values, dtype=np.float64), names, True)


def fcs_library(path):
    """FlowIO, or DataError where it is not installed."""
    try:
        import flowio
    except ModuleNotFoundError:
        raise DataError(f'{path}: FCS files need the package FlowIO: pip install "tinydni[fcs]".') from None
    return flowio


def write(path, table):
    """Writes a Table as .fcs or else as .csv: the same columns, whole or not at all."""
    with whole_file(path) as temporary:
        if str(path).lower().endswith(".fcs"):
            with open(temporary, "wb") as file:
                fcs_library(path).create_fcs(file, table.values.astype(np.float32).ravel(), table.columns)
        else:
            names = table.separator.join(table.columns) if table.header else ""
            np.savetxt(temporary, table.values, fmt="%.7g", delimiter=table.separator, header=names, comments="",
                       encoding="utf-8")
