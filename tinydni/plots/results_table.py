"""Tables of results beside a paper's, as a picture and as Markdown, from the rows of a table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinydni.checks import brief, check_positive_int, check_range
from tinydni.plots.arguments import check_named
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, NORMAL, QUIET, RULE, SMALL

FIRST, COLUMN, ROW = 1.15, 1.25, 0.46   # width of row names, of a column, height of a row [inches]
MIDDLE = {"ha": "center", "va": "center"}


def results_table(rows: Sequence[Mapping[str, Any]], title: str = "", unit: str = "") -> Picture:
    """Draw mean ± standard deviation of each cell, the paper's figure below it in grey.

    Raises ValueError for no rows, a missing entry, or two entries for one cell.

    Parameters
    ----------
    rows : list of {"row", "column", "mean", "std", "seeds", "paper"}, as `tinydni reproduce` writes
        it; std is None for a single seed, paper is None where the paper has no figure
    unit : of the figures, such as "Test error [%]"
    """
    names, columns, cells = layout(rows)
    first = max(FIRST, 0.4 + 0.085 * max(map(len, names)))
    below = explanation(rows, unit)
    texts = [*columns, *map(ours, cells.values())]
    widest = max(COLUMN, 0.15 + 0.09 * max(map(len, texts)))
    width = max(first + widest * len(columns) + 0.3, 4.2, 0.4 + 0.105 * len(title),
                0.4 + 0.073 * len(below))
    column_width, height = (width - first - 0.3) / len(columns), ROW * len(names) + 1.45
    picture = Picture(width, height, describe(cells, title, unit))
    axes, top = picture.blank_axes(), height - 0.85
    picture.title(title, below_top=0.22)
    axes.text(0.2, height - 0.52, below, fontsize=SMALL, color=QUIET, va="top")
    for y, weight in ((top, 1.3), (top - 0.36, 0.7), (top - 0.36 - ROW * len(names), 1.3)):
        axes.plot([0.2, width - 0.2], [y, y], color=INK, linewidth=weight)
    middles = [first + column_width * (j + 0.5) for j in range(len(columns))]
    for x, column in zip(middles, columns):
        axes.text(x, top - 0.18, column, fontsize=NORMAL, fontweight="bold", color=INK, **MIDDLE)
    for i, name in enumerate(names):
        y = top - 0.36 - ROW * (i + 0.5)
        axes.text(0.28, y, name, fontsize=NORMAL, color=INK, va="center")
        if i:
            axes.plot([0.2, width - 0.2], [y + ROW / 2] * 2, color=RULE, linewidth=0.7)
        for x, column in zip(middles, columns):
            draw_cell(axes, cells.get((name, column)), x, y)
    return picture


def draw_cell(axes, cell, x, y):
    """Write our figure, and the paper's below it."""
    if cell is None:
        axes.text(x, y, "–", fontsize=NORMAL, color=QUIET, **MIDDLE)
        return
    lift = 0.09 if cell["paper"] is not None else 0
    axes.text(x, y + lift, ours(cell), fontsize=NORMAL, color=INK, **MIDDLE)
    if lift:
        axes.text(x, y - 0.11, f"paper {cell['paper']}", fontsize=SMALL, color=QUIET, **MIDDLE)


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of `results_table` as Markdown, the paper's figure in brackets."""
    names, columns, cells = layout(rows)
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name in names:
        found = [cells.get((name, column)) for column in columns]
        texts = ["–" if cell is None else ours(cell) + paper(cell, " ({})") for cell in found]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def layout(rows):
    """Return the names of rows and columns, as they first come, and {(row, column): entry}."""
    if not isinstance(rows, (list, tuple)):
        raise TypeError(f"rows must be a list of entries; got {brief(rows)}.")
    if not rows:
        raise ValueError("rows is empty; a table needs at least one entry.")
    cells = {}
    for entry in rows:
        check_named(entry, "rows: an entry", "value")
        missing = {"row", "column", "mean", "std", "seeds", "paper"} - entry.keys()
        if missing:
            raise ValueError(f"rows: the entry {entry} lacks {', '.join(sorted(missing))}.")
        check_positive_int(entry["seeds"], "rows: seeds")
        numbers = {name: check_range(entry[name], f"rows: {name}", None, None)
                   for name in ("mean", "std") if name == "mean" or entry[name] is not None}
        key = str(entry["row"]), str(entry["column"])
        if key in cells:
            raise ValueError(f"rows: there are two entries for row {key[0]!r}, "
                             f"column {key[1]!r}.")
        cells[key] = {**entry, **numbers}
    names, columns = (list(dict.fromkeys(part)) for part in zip(*cells))
    return names, columns, cells


def ours(cell):
    """Return our figure, with its spread where there is more than one seed."""
    return f"{cell['mean']:.2f}" + (f" ± {cell['std']:.2f}" if cell["std"] is not None else "")


def paper(cell, form):
    """Return the paper's figure in a form, nothing where it has none."""
    return form.format(cell["paper"]) if cell["paper"] is not None else ""


def explanation(rows: Iterable[Mapping[str, Any]], unit):
    """Say what the figures are, in one line."""
    seeds = sorted({entry["seeds"] for entry in rows})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    what = "one seed" if seeds == [1] else f"mean ± standard deviation over {count} seeds"
    return f"{unit}; {what}" if unit else what


def describe(cells, title, unit):
    """Return the figure in full sentences."""
    parts = [f"{row}, {column}: {ours(cell)}{paper(cell, ', the paper {}')}"
             for (row, column), cell in cells.items()]
    return (f"A table of results{f', {title}' if title else ''}. "
            f"{explanation(cells.values(), unit)}. {'; '.join(parts)}.")
