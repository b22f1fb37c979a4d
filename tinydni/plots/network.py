"""The drawing of networks with their interfaces, from the input at the bottom to the loss on top.

Black solid arrows go forward; vermilion dashes carry the true gradient; a green solid arrow is the
synthetic gradient that a block updates on; green dots carry the message from which a synthesizer
learns. Blue is the same for inputs: solid the synthetic input that a block runs on, dots the h from
which its synthesizer learns.
"""

import textwrap
from collections.abc import Sequence

from tinydni.dni import Network
from tinydni.plots.arguments import as_names
from tinydni.plots.diagram import diagram
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, LARGE, NORMAL, QUIET, ROLES, SMALL, rounded_box

# All lengths are in inches. A network stands around x = 0, its lowest block at y = 0.
PANEL = 4.4                             # width of one network
CENTRE = 1.93                           # of its blocks, from the left edge of the panel
PITCH = 1.24                            # from one block to the next
WIDTH, HEIGHT = 1.72, 0.56              # of a block
COLUMN = 1.36                           # where gradients travel down, right of the blocks
RISE = -1.8                             # where x travels up to the input synthesizers
DIAMOND = 0.25                          # from centre to corner of a synthesizer
STEP = 0.13                             # between what enters and what leaves a block at its side
BELOW, ABOVE, HEAD = 0.95, 0.42, 0.95   # room below the lowest block, over the loss, for the title
KEY = 2.08, 0.24                        # width and height of an entry of the key

LOOKS = {kind: {"facecolor": fill, "edgecolor": edge, "linewidth": 1.2} for kind, fill, edge in (
    ("block", "#eef2f7", INK), ("loss", "#fbeadd", ROLES["true gradient"].color),
    ("synthesizer", "#def3ea", ROLES["synthetic gradient"].color),
    ("input synthesizer", "#dcebf7", ROLES["synthetic input"].color))}
FROZEN = {"facecolor": "white", "edgecolor": QUIET, "linewidth": 1.2, "linestyle": (0, (2, 2))}
MEANING = {kind: kind for kind in ROLES} | {"message": "message that teaches M",
                                            "input message": "message that teaches I"}


def draw_network(*networks: Network, titles: Sequence[str] | None = None) -> Picture:
    """Draw networks side by side, each under its own algorithm.

    Raises ValueError for none, for another number of titles, or for a network that cannot be shown
    truthfully.

    Parameters
    ----------
    networks : see diagram.py for what can be shown
    titles : one per network; by default the name of the algorithm
    """
    if not networks:
        raise ValueError("networks is empty; name at least one network to draw.")
    diagrams = [diagram(network) for network in networks]
    if titles is not None:
        diagrams = [one._replace(title=title) for one, title in zip(
            diagrams, as_names(titles, "titles", len(networks)))]
    drawn = {arrow.kind for one in diagrams for arrow in one.arrows}
    kinds, columns = [kind for kind in MEANING if kind in drawn], 2 * len(diagrams)
    key_rows = -(-len(kinds) // columns)
    bottom = BELOW + KEY[1] * key_rows
    height = bottom + PITCH * max(len(network.modules) for network in networks) + ABOVE + HEAD
    opening = f"{len(diagrams)} networks, from left to right." if networks[1:] else "A network."
    picture = Picture(PANEL * len(networks), height,
                      " ".join([opening, *(one.describe() for one in diagrams)]))
    axes = picture.blank_axes()
    for i, one in enumerate(diagrams):
        nodes = {node.name: node for node in one.nodes}
        for arrow in one.arrows:
            draw_arrow(axes, arrow, nodes, PANEL * i + CENTRE, bottom)
        for node in one.nodes:
            draw_node(axes, node, PANEL * i + CENTRE, bottom)
        x, y = PANEL * i + 0.18, height - 0.22
        axes.text(x, y, one.title, fontsize=LARGE, fontweight="bold", color=INK, va="top")
        words = textwrap.fill(one.sentence[0].upper() + one.sentence[1:] + ".", 60)
        axes.text(x, y - 0.27, words, fontsize=NORMAL - 0.5, color=QUIET, va="top",
                  linespacing=1.3)
    for i, kind in enumerate(kinds):
        x, y = 0.2 + KEY[0] * (i % columns), 0.2 + KEY[1] * (key_rows - 1 - i // columns)
        stroke(axes, [(x, y), (x + 0.38, y)], ROLES[kind], "key: " + kind)
        axes.text(x + 0.47, y, MEANING[kind], fontsize=SMALL, color=INK, va="center_baseline")
    return picture


# Where things are ---------------------------------------------------------------------------------

def place(node):
    """Return the centre of a node, from the centre of the lowest block."""
    y = PITCH * node.number
    return {"input": (0, y - 0.68), "block": (0, y), "loss": (0, y + PITCH),
            "synthesizer": (COLUMN, y + PITCH / 2), "context": (COLUMN + 0.72, y + PITCH / 2),
            "input synthesizer": (-COLUMN, y - PITCH / 2),
            "target": (-WIDTH / 2 - 0.52, y + PITCH)}[node.kind]


def route(arrow, nodes):
    """Return the corners of an arrow, from the centre of the lowest block.

    Forward arrows are straight: up the middle, or sideways. Gradients leave a block or the loss at
    its right, travel down the column, and enter a block at its right or a synthesizer from above.
    What has to do with synthetic inputs keeps to the left.
    """
    start, end = nodes[arrow.start], nodes[arrow.end]
    (x0, y0), (x1, y1) = place(start), place(end)
    if arrow.kind == "input message":
        return [(x0 - WIDTH / 2, y0 + STEP), (x1, y0 + STEP), (x1, y1 - DIAMOND)]
    if arrow.kind == "synthetic input":
        return [(x0 + DIAMOND, y0), (-WIDTH / 4, y0), (-WIDTH / 4, y1 - HEIGHT / 2)]
    if arrow.kind == "forward":
        if end.kind == "input synthesizer":
            return [(x0 - 0.14, y0), (RISE, y0), (RISE, y1), (x1 - DIAMOND, y1)]
        if start.kind in ("context", "target"):
            side, near = (1, DIAMOND) if start.kind == "context" else (-1, WIDTH / 2)
            return [(x0 - side * 0.28, y1), (x1 + side * near, y1)]
        if end.kind == "synthesizer":       # from the arrow up; with a label, from the block itself
            return [(x0, y0 + HEIGHT / 2)] * bool(arrow.label) + [(x0, y1), (x1 - DIAMOND, y1)]
        return [(x0, y0 + (0.12 if start.kind == "input" else HEIGHT / 2)), (x1, y1 - HEIGHT / 2)]
    leave = [(x0 + WIDTH / 2, y0 - STEP), (COLUMN, y0 - STEP)]
    enter = [(COLUMN, y1 + STEP), (x1 + WIDTH / 2, y1 + STEP)]
    return ([(x0, y0 - DIAMOND)] if start.kind == "synthesizer" else leave) + (
        [(x1, y1 + DIAMOND)] if end.kind == "synthesizer" else enter)


# Ink ----------------------------------------------------------------------------------------------

def draw_node(axes, node, x, y):
    """Draw a box, a diamond or a word, with its text and remark."""
    from matplotlib.patches import Polygon
    x, y = x + place(node)[0], y + place(node)[1]
    look = FROZEN if node.frozen else LOOKS.get(node.kind)
    if node.kind in ("block", "loss"):
        rounded_box(axes, x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT, 0.1, gid=node.name,
                    zorder=3, **look)
    elif look:
        corners = [(x - DIAMOND, y), (x, y + DIAMOND), (x + DIAMOND, y), (x, y - DIAMOND)]
        axes.add_patch(Polygon(corners, gid=node.name, zorder=3, **look))
    size = SMALL if node.kind in ("context", "target") else SMALL + 0.5
    axes.text(x, y, "\n".join(node.text), fontsize=size, color=QUIET if node.frozen else INK,
              ha="center", va="center", linespacing=1.35, zorder=4)
    color = ROLES["true gradient" if "waits" in node.remark else "synthetic gradient"].color
    axes.text(x - WIDTH / 2 - 0.12, y, textwrap.fill(node.remark, 9), fontsize=SMALL, ha="right",
              color=QUIET if node.frozen else color, va="center", linespacing=1.3)


def draw_arrow(axes, arrow, nodes, x, y):
    """Draw an arrow with its label, and a dot where it leaves another arrow."""
    from matplotlib.patches import Circle
    points = [(x + a, y + b) for a, b in route(arrow, nodes)]
    role, forward = ROLES[arrow.kind], arrow.kind == "forward"
    stroke(axes, points, role, f"{arrow.kind}: {arrow.start} to {arrow.end}")
    kinds = nodes[arrow.start].kind, nodes[arrow.end].kind
    if forward and kinds == ("block", "synthesizer") and not arrow.label:
        axes.add_patch(Circle(points[0], 0.035, color=role.color, zorder=3))
    legs = zip(points, points[1:])
    (xa, ya), (xb, yb) = max(legs, key=lambda leg: abs(leg[0][1] - leg[1][1]))
    axes.text((xa + xb) / 2 + (-0.1 if forward else 0.1), (ya + yb) / 2, arrow.label,
              fontsize=NORMAL, color=role.color, ha="right" if forward else "left", va="center")


def stroke(axes, points, role, gid, head=0.12):
    """Draw a line along `points` with rounded corners, and a head at its end."""
    from matplotlib.patches import PathPatch, Polygon
    end = points[-1]
    neck = towards(end, points[-2], head)
    axes.add_patch(PathPatch(rounded([*points[:-1], neck]), gid=gid, facecolor="none",
                             edgecolor=role.color, linestyle=role.linestyle, linewidth=1.6,
                             capstyle="butt", zorder=2))
    wx, wy = 0.4 * (neck[1] - end[1]), 0.4 * (end[0] - neck[0])     # half the head's width, across
    corners = [end, (neck[0] + wx, neck[1] + wy), (neck[0] - wx, neck[1] - wy)]
    axes.add_patch(Polygon(corners, color=role.color, linewidth=0, zorder=3))


def rounded(points, radius=0.09):
    """Return the path through `points` with round corners (all legs run along an axis)."""
    from matplotlib.path import Path
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:]):
        vertices += [towards(corner, before, radius), corner, towards(corner, after, radius)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def towards(a, b, distance):
    """Return the point at `distance` from a on the way to b."""
    share = distance / ((b[0] - a[0])**2 + (b[1] - a[1])**2)**0.5
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
