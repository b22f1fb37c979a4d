"""Tables of results beside a paper's, as a picture and as Markdown, from the `rows` that `tinydni reproduce` writes."""

from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, LARGE, NORMAL, QUIET, RULE, SMALL

FIRST, COLUMN, ROW = 1.15, 1.25, 0.46       # width of short row names, of a narrow column, height of a row [inches]


def results_table(rows, title="", unit=""):
    """Draws mean ± standard deviation of each cell, the paper's figure below it in grey. Returns a Picture.

    rows: list of {"row", "column", "mean", "std", "seeds", "paper"}; std is None for a single seed, paper is None
    where the paper has no figure
    Raises ValueError for no rows, a missing entry, or two entries for one cell.
    """
    names, columns, cells = layout(rows)
    first = max(FIRST, 0.4 + 0.085 * max(map(len, names)))
    below = explanation(rows, unit)
    widest = max(COLUMN, 0.15 + 0.09 * max(map(len, [*columns, *map(ours, cells.values())])))
    width = max(first + widest * len(columns) + 0.3, 4.2, 0.4 + 0.105 * len(title), 0.4 + 0.073 * len(below))
    column_width, height = (width - first - 0.3) / len(columns), ROW * len(names) + 1.45
    picture = Picture(width, height, describe(cells, title, unit))
    axes = picture.blank_axes()
    axes.text(0.2, height - 0.22, title, fontsize=LARGE, fontweight="bold", color=INK, va="top")
    axes.text(0.2, height - 0.52, below, fontsize=SMALL, color=QUIET, va="top")
    top = height - 0.85
    for y, weight in ((top, 1.3), (top - 0.36, 0.7), (top - 0.36 - ROW * len(names), 1.3)):
        axes.plot([0.2, width - 0.2], [y, y], color=INK, linewidth=weight)
    for j, column in enumerate(columns):
        axes.text(first + column_width * (j + 0.5), top - 0.18, column, fontsize=NORMAL, fontweight="bold", color=INK,
                  ha="center", va="center")
    for i, name in enumerate(names):
        y = top - 0.36 - ROW * (i + 0.5)
        axes.text(0.28, y, name, fontsize=NORMAL, color=INK, va="center")
        if i:
            axes.plot([0.2, width - 0.2], [y + ROW / 2] * 2, color=RULE, linewidth=0.7)
        for j, column in enumerate(columns):
            draw_cell(axes, cells.get((name, column)), first + column_width * (j + 0.5), y)
    return picture


def draw_cell(axes, cell, x, y):
    """Our figure, and the paper's below it."""
    if cell is None:
        axes.text(x, y, "–", fontsize=NORMAL, color=QUIET, ha="center", va="center")
        return
    lift = 0.09 if cell["paper"] is not None else 0
    axes.text(x, y + lift, ours(cell), fontsize=NORMAL, color=INK, ha="center", va="center")
    if cell["paper"] is not None:
        axes.text(x, y - 0.11, f"paper {cell['paper']}", fontsize=SMALL, color=QUIET, ha="center", va="center")


def markdown_table(rows):
    """The same table as Markdown text: mean ± standard deviation, the paper's figure in brackets.

    rows: as for results_table    Raises ValueError as it does
    """
    names, columns, cells = layout(rows)
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name in names:
        texts = ["–" if (name, column) not in cells else in_brackets(cells[name, column]) for column in columns]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def layout(rows):
    """The names of rows and columns in the order in which they first come, and {(row, column): entry}."""
    if not rows:
        raise ValueError("rows is empty; a table needs at least one entry.")
    cells = {}
    for entry in rows:
        missing = {"row", "column", "mean", "std", "seeds", "paper"} - entry.keys()
        if missing:
            raise ValueError(f"rows: the entry {entry} lacks {', '.join(sorted(missing))}.")
        key = entry["row"], entry["column"]
        if key in cells:
            raise ValueError(f"rows: there are two entries for row {key[0]!r}, column {key[1]!r}.")
        cells[key] = entry
    return list(dict.fromkeys(row for row, _ in cells)), list(dict.fromkeys(column for _, column in cells)), cells


def ours(cell):
    """Our figure, with its spread where there is more than one seed."""
    return f"{cell['mean']:.2f}" + (f" ± {cell['std']:.2f}" if cell["std"] is not None else "")


def in_brackets(cell):
    """Our figure, then the paper's in brackets where it has one."""
    return ours(cell) + (f" ({cell['paper']})" if cell["paper"] is not None else "")


def explanation(rows, unit):
    """What the figures are, in one line."""
    seeds = sorted({entry["seeds"] for entry in rows})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    what = "one seed" if seeds == [1] else f"mean ± standard deviation over {count} seeds"
    return f"{unit}; {what}" if unit else what


def describe(cells, title, unit):
    """The table in full sentences."""
    parts = [f"{row}, {column}: {ours(cell)}" + (f", the paper {cell['paper']}" if cell["paper"] is not None else "")
             for (row, column), cell in cells.items()]
    return f"A table of results{f', {title}' if title else ''}. {explanation(cells.values(), unit)}. {'; '.join(parts)}."
