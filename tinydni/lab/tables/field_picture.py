"""The picture of the field: locks, costs and errors of every method in one figure."""

from tinydni.plots import Picture
from tinydni.plots.style import BLUE, GREEN, GREY, INK, NORMAL, QUIET, RULE, SMALL, VERMILION

NAME, LOCK, BAR, ROW = 2.55, 0.75, 1.75, 0.36       # widths of columns, height of a row [inches]
LOCKS = ("backward", "update")


def field_picture(report):
    """Draw a row for each method: which locks stay, then a bar for each error and each cost."""
    errors = {}
    for cell in report["rows"]:
        errors.setdefault(f"error [%]\n{cell['column']}", {})[cell["row"]] = cell["mean"]
    costs = report["costs"]
    bars = {**errors, "time of a step\nbackprop = 1": {row: cost["time"]
                                                      for row, cost in costs.items()},
            "kept between steps\n1,000 numbers": {row: cost["kept"] for row, cost in costs.items()}}
    width = NAME + LOCK * len(LOCKS) + BAR * len(bars) + 0.2
    height = ROW * len(costs) + 1.5
    picture = Picture(width, height, describe(report))
    axes, top = picture.blank_axes(), height - 1.3
    picture.title("Who waits, at what price, for what error")
    axes.text(0.2, height - 0.5, "A full circle is a lock that stays: the module waits for a "
              "gradient (backward), or for the forward pass of all (update).\nHalf: it does not "
              "wait, but what it learns from is late.", fontsize=SMALL, color=QUIET, va="top")
    for j, lock in enumerate(LOCKS):
        axes.text(NAME + LOCK * (j + 0.5), top + 0.12, lock, ha="center", fontsize=SMALL, color=INK)
    for j, head in enumerate(bars):
        axes.text(left(j), top + 0.06, head, fontsize=SMALL, color=INK)
    for i, (row, cost) in enumerate(costs.items()):
        y = top - ROW * (i + 0.5)
        axes.plot([0.2, width - 0.2], [y + ROW / 2] * 2, color=RULE, linewidth=0.7)
        axes.text(0.2, y, row, fontsize=NORMAL, color=INK, va="center")
        for j, lock in enumerate(LOCKS):
            stays, late = lock not in cost["removes"], "updates are late" in cost["removes"]
            axes.plot(NAME + LOCK * (j + 0.5), y, "o", markersize=8, color=VERMILION if stays
                      else GREEN, fillstyle="full" if stays else "left" if late else "none",
                      markerfacecoloralt="white")
        for j, values in enumerate(bars.values()):
            if row in values:
                color = BLUE if j < len(errors) else GREY
                draw_bar(axes, left(j), y, values[row], max(values.values()), color)
    return picture


def left(j):
    """Return where the bars of a column begin."""
    return NAME + LOCK * len(LOCKS) + BAR * j + 0.15


def draw_bar(axes, x, y, value, largest, color):
    """Draw a bar from x, and the value at its end."""
    length = 0.65 * BAR * value / max(largest, 1e-12)
    axes.barh(y, length, 0.5 * ROW, left=x, color=color, alpha=0.8)
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    axes.text(x + length + 0.05, y, text, fontsize=SMALL, color=INK, va="center")


def describe(report):
    """Say the figure in full sentences."""
    parts = []
    for row, cost in report["costs"].items():
        errors = ", ".join(f"{cell['mean']:.2f} % on {cell['column']}" for cell in report["rows"]
                           if cell["row"] == row)
        parts.append(f"{row}: locks removed: {cost['removes']}; error {errors}; time "
                     f"{cost['time']:.2f}; kept {cost['kept']:,} thousand numbers")
    return f"Methods, their locks, errors and costs. {'. '.join(parts)}."
