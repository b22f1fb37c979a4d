"""FCS files: HEADER and TEXT are read and written here; FlowIO reads the numbers."""

import io
import re
from dataclasses import dataclass, field

import numpy as np

BITS = {"I": (8, 16, 32), "F": (32,), "D": (64,)}       # by $DATATYPE: what FlowIO reads
PLACES = [f"${end}{segment}" for segment in ("DATA", "STEXT", "ANALYSIS")
          for end in ("BEGIN", "END")]


@dataclass
class FcsFile:
    """One data set of an FCS file.

    text : {keyword in capitals: value}    names : D different ones, long ($PnS) or short ($PnN)
    raw (N, D) : the numbers as they are stored    values (N, D) : on a linear scale, float64
    notes : what was odd, each a sentence without its subject, the file
    """

    text: dict[str, str]
    names: list[str] = field(default_factory=list)
    raw: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    notes: list[str] = field(default_factory=list)

    def number(self, key: str, default: float = 0) -> float:
        """Return the number that a keyword has; the default for none, NA or the like."""
        try:
            value = float(self.text.get(key, ""))
        except ValueError:
            return default
        return value if np.isfinite(value) else default

    def is_time(self, i: int) -> bool:
        """Tell whether channel i, from 1, is the one that $TIMESTEP is about."""
        return self.text.get(f"$P{i}N", "").strip().lower() == "time"

    def amplification(self, i: int) -> tuple[float, float]:
        """Return $PnE of channel i, from 1: (decades, value of 0), or (0, 0), which is linear."""
        try:
            decades, zero = map(float, self.text.get(f"$P{i}E", "").split(","))
        except ValueError:
            return 0, 0
        return (decades, zero or 1) if decades else (0, 0)


def read_fcs(content: bytes, offsets: str | None = None, data_set: int | None = None) -> FcsFile:
    """Read one data set.

    content : the bytes of the file
    offsets : "header" or "text", which to believe where they differ about the place of the data
    data_set : its number, from 1, in a file with several; None is the first

    Raises ValueError where the file is cut off, contradicts itself, or is of a kind that is not
    read: a sentence without its subject, the file.
    """
    sets, number = data_sets(content), data_set or 1
    if number > len(sets):
        raise ValueError(f"holds {len(sets)} data set(s); --data-set {number} is none.")
    base, header, file = sets[number - 1]
    if len(sets) > 1:
        file.notes.append(f"holds {len(sets)} data sets; number {number} was read (--data-set).")
    start, size = data_segment(file, header, offsets)
    n_channels, n_cells, n_bytes = shape(file, size)
    data = content[base + start:base + start + n_bytes]
    if len(data) < n_bytes:
        raise ValueError(f"is not a whole FCS file: {n_cells:,} cells of {n_channels} channels "
                         f"take {n_bytes:,} bytes; it holds {len(data):,} of them.")
    file.names = channel_names(file, n_channels)
    file.raw, file.values = decoded(file, data, n_channels, n_cells)
    file.notes += [f"holds a spillover matrix ({word}); it was not applied: values count as they "
                   "are stored, and .fcs output carries it over."
                   for word in ("$SPILLOVER", "SPILL", "$COMP") if word in file.text]
    return file


def data_sets(content: bytes) -> list[tuple[int, list[int], FcsFile]]:
    """Return (first byte, numbers of the HEADER, file with its TEXT alone) of every data set."""
    found, base, step = [], 0, 1
    while content[base:base + 3] == b"FCS" and step > 0:
        header = [whole(content[base + i:base + i + 8]) for i in range(10, 42, 8)]
        if not 0 < header[0] < header[1] < len(content) - base:
            raise ValueError("is not a whole FCS file: it ends before its TEXT segment does.")
        file = FcsFile(keywords(content[base + header[0]:base + header[1] + 1]))
        begin, end = int(file.number("$BEGINSTEXT")), int(file.number("$ENDSTEXT"))
        if 0 < begin < end and begin != header[0]:
            file.text = keywords(content[base + begin:base + end + 1]) | file.text
        found.append((base, header, file))
        step = int(file.number("$NEXTDATA"))
        base += step
    return found


def whole(field: bytes) -> int:
    """Return the whole number in a field of the HEADER, 0 where it is blank."""
    return int(field) if field.strip().isdigit() else 0


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


def data_segment(file: FcsFile, header: list[int], offsets: str | None) -> tuple[int, int]:
    """Return (first byte, number of bytes) of the data: what HEADER and TEXT say, or one of them.

    Zeros say nothing: large files have them in the HEADER, and some exports lack $BEGINDATA.
    """
    said = {"header": (header[2], header[3]),
            "text": (int(file.number("$BEGINDATA")), int(file.number("$ENDDATA")))}
    said = {who: place for who, place in said.items() if min(place) > 0}
    if not said:
        raise ValueError("says nowhere, in HEADER or TEXT, where its data begin.")
    starts = [start for start, _ in said.values()]
    if offsets is None and len(set(starts)) > 1:
        raise ValueError(f"has data that begin at byte {starts[0]} by its HEADER, at byte "
                         f"{starts[1]} by its TEXT segment. Say which to believe, --offsets header "
                         "or --offsets text, and look at the numbers: the wrong one is nonsense.")
    start, stop = said.get(offsets or "header") or next(iter(said.values()))
    return start, stop - start + 1


def shape(file: FcsFile, size: int) -> tuple[int, int, int]:
    """Return (channels, cells, bytes of them), where $PAR, $PnB and $TOT agree with the data."""
    said, told, bits = int(file.number("$PAR")), int(file.number("$TOT")), list[int]()
    while (key := f"$P{len(bits) + 1}B") in file.text:
        bits.append(int(file.number(key)))
    for n in dict.fromkeys((said, len(bits))):
        per_cell = sum(bits[:n]) // 8
        n_cells = told or size // max(per_cell, 1)
        if 0 < n <= len(bits) and n_cells * per_cell <= size < (n_cells + 1) * per_cell:
            if n != said:
                file.notes.append(f"says $PAR {said}, but describes {n} channels, and its data "
                                  "have as many: these were read.")
            return n, n_cells, n_cells * per_cell
    raise ValueError(f"is cut off or contradicts itself: $PAR {said}, {len(bits)} channels with "
                     f"$PnB, $TOT {told}, but {size:,} bytes of data. Export it again.")


def decoded(file: FcsFile, data: bytes, n_channels: int, n_cells: int
            ) -> tuple[np.ndarray, np.ndarray]:
    """Return (raw, values), both (N, D), by FlowIO, which gets a TEXT segment without oddities."""
    kind, mode, order = (file.text.get(key, "").strip().upper()
                         for key in ("$DATATYPE", "$MODE", "$BYTEORD"))
    digits = order.replace(",", "").replace(" ", "")
    little, big = (digits != "" and digits in text for text in ("12345678", "87654321"))
    if kind not in BITS or mode not in ("L", "") or not (little or big):
        raise ValueError(f"is of a kind that is not read: $DATATYPE {kind}, $MODE {mode}, $BYTEORD "
                         f"{order}. Export it as FCS 3.1.")
    plain = {"$PAR": str(n_channels), "$TOT": str(n_cells), "$DATATYPE": kind, "$MODE": "L",
             "$BYTEORD": "1,2,3,4" if little else "4,3,2,1",
             "$TIMESTEP": str(file.number("$TIMESTEP", 1))}
    for i in range(1, n_channels + 1):
        p, bits, top = f"$P{i}", int(file.number(f"$P{i}B")), int(file.number(f"$P{i}R"))
        decades, zero = file.amplification(i)
        if bits not in BITS[kind] or kind == "I" and decades and not (top and 0 < decades < 20):
            raise ValueError(f"has a channel, number {i}, that is not read: {bits} bits, $DATATYPE "
                             f"{kind}, {decades:g} decades, range {file.text.get(p + 'R')}. Export "
                             "it as FCS 3.1 with floating-point numbers.")
        if decades and kind != "I":
            file.notes.append(f"gives {p}E {file.text[p + 'E']} to floating-point numbers, which "
                              "are linear by the standard: it was ignored.")
            decades = zero = 0
        plain |= {p + "B": str(bits), p + "E": f"{decades},{zero}",
                  p + "G": str(file.number(p + "G", 1)), p + "R": str(min(top or 2**bits, 2**bits)),
                  p + "N": "Time" if file.is_time(i) else p}     # FlowIO multiplies by $TIMESTEP
    try:
        import flowio
    except ModuleNotFoundError:
        raise ValueError('is an FCS file, which needs the package FlowIO: pip install '
                         '"tinydni[fcs]".') from None
    flow = flowio.FlowData(io.BytesIO(fcs_bytes(plain, data)))
    with np.errstate(all="ignore"):     # what is not finite is refused when it is selected
        return np.asarray(flow.events).reshape(n_cells, n_channels), flow.as_array()


def channel_names(file: FcsFile, n_channels: int) -> list[str]:
    """Return D different names, each of its own channel: the long one where it is unique."""
    short, long = ([file.text.get(f"$P{i}{letter}", "").strip() for i in range(1, n_channels + 1)]
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

    file : that was read, or None for cells from elsewhere    calibrated : numbers, from 0, of the
    columns that are new    names, values (N, D) : of all columns, on a linear scale
    """
    events, old = values.astype(np.float64), file or FcsFile({})
    text = dict(old.text)
    for i, name in enumerate(names):
        p, (decades, zero) = f"$P{i + 1}", old.amplification(i + 1)
        is_log = old.raw.dtype.kind in "iu" and decades > 0
        if file is None:
            text |= {p + "N": name.replace(",", " "), p + "S": name,    # no comma in a short name
                     p + "R": f"{max(262144, values[:, i].max() + 1):.0f}"}
        elif i not in calibrated and not is_log:
            events[:, i] = old.raw[:, i]
        else:
            text[p + "G"] = "1.0"
            text |= {p + "R": f"{10**decades * zero:.0f}"} if is_log else {}
            if old.is_time(i + 1):
                text.pop("$TIMESTEP", None)             # it is in the values now
        text[p + "E"] = "0,0"
    with np.errstate(all="ignore"):
        exact = np.array_equal(events.astype(np.float32), events, equal_nan=True)
    kind, bits, dtype = ("F", "32", "<f4") if exact else ("D", "64", "<f8")
    text |= {"$PAR": str(len(names)), "$TOT": str(len(values)), "$DATATYPE": kind, "$MODE": "L",
             "$BYTEORD": "1,2,3,4"} | {f"$P{i + 1}B": bits for i in range(len(names))}
    return fcs_bytes(text, events.astype(dtype).tobytes())
