"""FCS files: HEADER and TEXT are read and written here; FlowIO reads the numbers."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinydni.datasets import DataError

BITS = {"I": (8, 16, 32), "F": (32,), "D": (64,)}       # by $DATATYPE: what FlowIO reads
LINEAR = 0.0, 0.0
PLACES = [f"${end}{segment}" for segment in ("DATA", "STEXT", "ANALYSIS")
          for end in ("BEGIN", "END")]


@dataclass
class FcsFile:
    """One data set of an FCS file.

    text : {keyword in capitals: value}    names : D different ones, long ($PnS) or short ($PnN)
    raw (N, D) : the numbers as they are stored    values (N, D) : on a linear scale, float64
    notes : sentences about what was odd
    """

    text: dict[str, str]
    raw: np.ndarray
    values: np.ndarray
    names: list[str]
    notes: list[str]


def read_fcs(path: str | Path, content: bytes, offsets: str | None = None,
             data_set: int | None = None) -> FcsFile:
    """Read one data set.

    Parameters
    ----------
    path : for messages
    content : the bytes of the file
    offsets : "header" or "text", which to believe where they differ about the place of the data
    data_set : its number, from 1, in a file with several; None is the first

    Raises
    ------
    DataError
        Where the file is cut off, contradicts itself, or is of a kind that is not read.
    """
    try:
        sets, number = data_sets(content), data_set or 1
        if number > len(sets):
            raise DataError(f"{path} holds {len(sets)} data set(s); --data-set {number} is none.")
        base, header, text = sets[number - 1]
        notes = [f"{path} holds {len(sets)} data sets; number {number} was read (--data-set)."
                 ] * (len(sets) > 1)
        start, size = data_segment(path, header, text, offsets)
        n_channels, n_cells, n_bytes = shape(path, text, size, notes)
        data = content[base + start:base + start + n_bytes]
        if len(data) < n_bytes:
            raise DataError(f"{path} is not a whole FCS file: {n_cells:,} cells of {n_channels} "
                            f"channels take {n_bytes:,} bytes; it holds {len(data):,} of them.")
        raw, values = decoded(path, text, data, n_channels, n_cells, notes)
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not a whole FCS file, or its TEXT segment is wrong "
                        f"({type(error).__name__}: {error}).") from None
    notes += [f"{path} holds a spillover matrix ({word}); it was not applied: values count as they "
              "are stored, and .fcs output carries it over."
              for word in ("$SPILLOVER", "SPILL", "$COMP") if word in text]
    return FcsFile(text, raw, values, channel_names(text, n_channels), notes)


def data_sets(content: bytes) -> list[tuple[int, list[int], dict[str, str]]]:
    """Return (first byte, numbers of the HEADER, TEXT) of every data set."""
    found, base = [], 0
    while content[base:base + 3] == b"FCS":
        header = [whole(content[base + i:base + i + 8].decode()) for i in range(10, 42, 8)]
        if base + header[1] >= len(content):
            raise ValueError("it ends within its TEXT segment")
        text = keywords(content[base + header[0]:base + header[1] + 1])
        begin, end = (whole(text.get(key)) for key in ("$BEGINSTEXT", "$ENDSTEXT"))
        if 0 < begin < end and begin != header[0]:
            text = keywords(content[base + begin:base + end + 1]) | text
        found.append((base, header, text))
        if (step := whole(text.get("$NEXTDATA"))) <= 0:
            break
        base += step
    return found


def keywords(segment: bytes) -> dict[str, str]:
    """Return a TEXT segment as {keyword: value}.

    A delimiter that is doubled inside a value belongs to it; right after a keyword, it ends an
    empty value, which the standard forbids and instruments write.
    """
    try:
        text = segment.decode()
    except UnicodeDecodeError:
        text = segment.decode("latin-1")
    d = re.escape(text[0])
    pairs = re.findall(f"([^{d}]+){d}((?:[^{d}]|{d}{d})*)(?:{d}|$)", text[1:])
    return {key.strip().upper(): value.replace(text[0] * 2, text[0]) for key, value in pairs}


def whole(value: str | None) -> int:
    """Return the whole number in a field such as 1024 or 1024.0; 0 for none, NA or the like."""
    try:
        return int(float(value or 0))
    except (ValueError, OverflowError):
        return 0


def amplification(text: dict[str, str], i: int) -> tuple[float, float]:
    """Return $PnE of channel i, from 1: (decades, value of 0); (0, 0) is linear."""
    try:
        decades, zero = map(float, text.get(f"$P{i}E", "").split(","))
    except ValueError:
        return LINEAR
    return (decades, zero or 1.0) if decades else LINEAR


def data_segment(path: str | Path, header: list[int], text: dict[str, str],
                 offsets: str | None) -> tuple[int, int]:
    """Return (first byte, number of bytes) of the data: what HEADER and TEXT say, or one of them.

    Zeros say nothing: large files have them in the HEADER, and some exports lack $BEGINDATA.
    """
    said = {"header": (header[2], header[3]),
            "text": (whole(text.get("$BEGINDATA")), whole(text.get("$ENDDATA")))}
    said = {who: place for who, place in said.items() if min(place) > 0}
    if not said:
        raise DataError(f"{path} says nowhere, in HEADER or TEXT, where its data begin.")
    starts = [start for start, _ in said.values()]
    if offsets is None and len(set(starts)) > 1:
        raise DataError(f"{path}: by its HEADER the data begin at byte {starts[0]}, by its TEXT "
                        f"segment at byte {starts[1]}. Say which to believe, --offsets header or "
                        "--offsets text, and look at the numbers: the wrong one gives nonsense.")
    start, stop = said.get(offsets or "header") or next(iter(said.values()))
    return start, stop - start + 1


def shape(path: str | Path, text: dict[str, str], size: int, notes: list[str]
          ) -> tuple[int, int, int]:
    """Return (channels, cells, bytes of them), where $PAR, $PnB and $TOT agree with the data."""
    said, told, bits = whole(text.get("$PAR")), whole(text.get("$TOT")), list[int]()
    while (key := f"$P{len(bits) + 1}B") in text:
        bits.append(whole(text[key]))
    for n in dict.fromkeys((said, len(bits))):
        per_cell = sum(bits[:n]) // 8
        n_cells = told or size // max(per_cell, 1)
        if 0 < n <= len(bits) and n_cells * per_cell <= size < (n_cells + 1) * per_cell:
            if n != said:
                notes.append(f"{path} says $PAR {said}, but describes {n} channels, and its data "
                             "have as many: these were read.")
            return n, n_cells, n_cells * per_cell
    raise DataError(f"{path} is cut off or contradicts itself: $PAR {said}, {len(bits)} channels "
                    f"with $PnB, $TOT {told}, but {size:,} bytes of data. Export it again.")


def decoded(path: str | Path, text: dict[str, str], data: bytes, n_channels: int, n_cells: int,
            notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (raw, values), both (N, D), by FlowIO, which gets a TEXT segment without oddities."""
    kind, mode = (text.get(key, "").strip().upper() for key in ("$DATATYPE", "$MODE"))
    order = re.sub(r"\D", "", text["$BYTEORD"])
    if kind not in BITS or mode not in ("L", "") or order not in (
            "12345678"[:len(order)], "87654321"[-len(order):]):
        raise DataError(f"{path} is of a kind that is not read: $DATATYPE {kind}, $MODE {mode}, "
                        f"$BYTEORD {text['$BYTEORD']}. Export it as FCS 3.1.")
    plain = {"$PAR": str(n_channels), "$TOT": str(n_cells), "$DATATYPE": kind, "$MODE": "L",
             "$BYTEORD": "1,2,3,4" if order[0] == "1" else "4,3,2,1"}
    if number(text, "$TIMESTEP"):
        plain["$TIMESTEP"] = text["$TIMESTEP"]
    for i in range(1, n_channels + 1):
        p, bits, (decades, zero) = f"$P{i}", whole(text[f"$P{i}B"]), amplification(text, i)
        top = whole(text.get(p + "R"))
        if bits not in BITS[kind] or (kind == "I" and decades and not top):
            raise DataError(f"{path}: channel {i} is not read: {bits} bits ($DATATYPE {kind}), "
                            f"{decades:g} decades, range {text.get(p + 'R')}. Export it as FCS 3.1 "
                            "with floating-point numbers.")
        if decades and kind != "I":
            notes.append(f"{path} gives {p}E {text[p + 'E']} to floating-point numbers, which are "
                         "linear by the standard: it was ignored.")
            decades = zero = 0
        plain |= {p + "B": str(bits), p + "E": f"{decades},{zero}",
                  p + "G": text[p + "G"] if number(text, p + "G") else "1",
                  p + "R": str(min(top or 2**bits, 2**bits)),
                  p + "N": text.get(p + "N", "").strip() or p}
    try:
        import flowio
    except ModuleNotFoundError:
        raise DataError(f'{path}: FCS files need the package FlowIO: pip install "tinydni[fcs]".'
                        ) from None
    flow = flowio.FlowData(io.BytesIO(fcs_bytes(plain, data)))
    return np.asarray(flow.events).reshape(n_cells, n_channels), flow.as_array()


def number(text: dict[str, str], key: str) -> float:
    """Return the number that a keyword has; 0 for none, NA or the like."""
    try:
        return float(text.get(key, 0))
    except ValueError:
        return 0.0


def channel_names(text: dict[str, str], n_channels: int) -> list[str]:
    """Return D different names, each of its own channel: the long one where it is unique."""
    short, long = ([text.get(f"$P{i}{letter}", "").strip() for i in range(1, n_channels + 1)]
                   for letter in "NS")
    names = [b if b and long.count(b) == 1 else a or b for a, b in zip(short, long)]
    return [name if name and names.count(name) == 1 else f"{name or 'no name'} (channel {i})"
            for i, name in enumerate(names, 1)]


def fcs_bytes(text: dict[str, str], data: bytes) -> bytes:
    """Return an FCS 3.1 file of a TEXT segment and the bytes of its data."""
    text = {key: value for key, value in text.items() if value.strip()}     # none may be empty
    text |= {"$NEXTDATA": "0"} | dict.fromkeys(PLACES, "0" * 12)            # of constant length
    used = set("".join((*text, *text.values())))
    delimiter = next(chr(i) for i in (12, 124, 92, 33, *range(1, 127)) if chr(i) not in used)

    def segment() -> bytes:
        return delimiter.join(["", *(part for pair in text.items() for part in pair), ""]).encode()
    begin = 58 + len(segment())
    end = begin + len(data) - 1
    text |= {"$BEGINDATA": f"{begin:012}", "$ENDDATA": f"{end:012}"}
    said = (begin, end) if end <= 99_999_999 else (0, 0)            # what fits into the HEADER
    header = "FCS3.1    " + "".join(f"{n:8}" for n in (58, begin - 1, *said, 0, 0))
    return header.encode() + segment() + data


def calibrated_fcs(file: FcsFile | None, names: list[str], values: np.ndarray,
                   calibrated: list[int]) -> bytes:
    """Return a file with some columns calibrated; the others, and the keywords, as they were.

    Parameters
    ----------
    file : that was read, or None for cells from elsewhere
    names, values (N, D) : of all columns, on a linear scale
    calibrated : numbers, from 0, of the columns that are new
    """
    text: dict[str, str] = dict(file.text) if file else {}
    events = values.astype(np.float64)
    for i, name in enumerate(names):
        p, (decades, zero) = f"$P{i + 1}", amplification(text, i + 1)
        is_log = file is not None and file.raw.dtype.kind in "iu" and decades > 0
        if file is None:
            text |= {p + "N": name.replace(",", " "), p + "S": name,    # no comma in a short name
                     p + "R": f"{max(262144, values[:, i].max() + 1):.0f}"}
        elif i not in calibrated and not is_log:
            events[:, i] = file.raw[:, i]
        else:
            text[p + "G"] = "1.0"
            if is_log:
                text[p + "R"] = f"{10**decades * zero:.0f}"
            if text.get(p + "N", "").strip().lower() == "time":
                text.pop("$TIMESTEP", None)             # it is in the values now
        text[p + "E"] = "0,0"
    exact = np.array_equal(events.astype(np.float32), events, equal_nan=True)
    kind, bits, dtype = ("F", "32", "<f4") if exact else ("D", "64", "<f8")
    text |= {"$PAR": str(len(names)), "$TOT": str(len(values)), "$DATATYPE": kind, "$MODE": "L",
             "$BYTEORD": "1,2,3,4"} | {f"$P{i + 1}B": bits for i in range(len(names))}
    return fcs_bytes(text, events.astype(dtype).tobytes())
