"""The drawing of networks with their interfaces and messages, from the input at the bottom to the loss at the top.

Black solid arrows go forward; vermilion dashes carry the true gradient; a green solid arrow is the synthetic
gradient that a block updates on; green dots carry the message from which a synthesizer learns. Blue is the same for
inputs: solid the synthetic input that a block runs on, dots the h from which its synthesizer learns.
"""

import textwrap

from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from tinydni.plots.diagram import diagram
from tinydni.plots.picture import Picture
from tinydni.plots.style import INK, LARGE, NORMAL, QUIET, ROLES, SMALL

# All lengths are in inches. A network stands around x = 0, its lowest block at y = 0.
PANEL = 4.4                             # width of one network
CENTRE = 1.93                           # of its blocks, from the left edge of the panel
PITCH = 1.24                            # from one block to the next
WIDTH, HEIGHT = 1.72, 0.56              # of a block
COLUMN = 1.36                           # where gradients travel down, right of the blocks; inputs are guessed as far left
RISE = -1.8                             # where x travels up to the input synthesizers
DIAMOND = 0.25                          # from centre to corner of a synthesizer
STEP = 0.13                             # between what enters and what leaves a block at its side
BELOW, ABOVE, HEAD = 0.95, 0.42, 0.95   # room below the lowest block, over the loss, for the title
KEY = 2.08, 0.24                        # width and height of an entry of the key

FILL = {"block": "#eef2f7", "loss": "#fbeadd", "synthesizer": "#def3ea", "input synthesizer": "#dcebf7"}
EDGE = {"block": INK, "loss": ROLES["true gradient"].color, "synthesizer": ROLES["synthetic gradient"].color,
        "input synthesizer": ROLES["synthetic input"].color}
MEANING = {
    "forward": "forward",
    "true gradient": "true gradient",
    "synthetic gradient": "synthetic gradient",
    "message": "message that teaches M",
    "synthetic input": "synthetic input",
    "input message": "message that teaches I",
}


def draw_network(*networks, titles=None):
    """Draws networks side by side, each under its own schedule. Returns a Picture.

    networks: tinydni Networks, see diagram.py for what can be shown
    titles: one per network; by default the name of the schedule
    Raises ValueError for none, for another number of titles, or for a network that cannot be shown truthfully.
    """
    if not networks:
        raise ValueError("networks is empty; name at least one network to draw.")
    if titles is not None and len(titles) != len(networks):
        raise ValueError(f"titles must name every network: {len(networks)} networks, {len(titles)} titles.")
    diagrams = [diagram(network) for network in networks]
    for one, title in zip(diagrams, titles or []):
        one.title = title
    kinds = [kind for kind in MEANING if any(arrow.kind == kind for one in diagrams for arrow in one.arrows)]
    key_rows = -(-len(kinds) // (2 * len(diagrams)))
    room_below = BELOW + KEY[1] * key_rows
    tallest = max(len(network.modules) for network in networks)
    picture = Picture(PANEL * len(networks), room_below + PITCH * tallest + ABOVE + HEAD, describe(diagrams))
    axes = picture.blank_axes()
    for i, one in enumerate(diagrams):
        draw_diagram(axes, one, PANEL * i + CENTRE, room_below)
        draw_title(axes, one, PANEL * i + 0.18, picture.get_size_inches()[1] - 0.22)
    draw_key(axes, kinds, 2 * len(diagrams), key_rows)
    return picture


def describe(diagrams):
    """All diagrams in full sentences."""
    opening = "A network." if len(diagrams) == 1 else f"{len(diagrams)} networks, from left to right."
    return opening + " " + " ".join(one.describe() for one in diagrams)


def draw_diagram(axes, one, x, y):
    """Draws one diagram with the centre of its lowest block at (x, y)."""
    nodes = {node.name: node for node in one.nodes}
    for arrow in one.arrows:
        draw_arrow(axes, arrow, nodes, x, y)
    for node in one.nodes:
        draw_node(axes, node, x + place(node)[0], y + place(node)[1])


def draw_title(axes, one, x, y):
    axes.text(x, y, one.title, fontsize=LARGE, fontweight="bold", color=INK, va="top")
    words = textwrap.fill(one.sentence[0].upper() + one.sentence[1:] + ".", 60)
    axes.text(x, y - 0.27, words, fontsize=NORMAL - 0.5, color=QUIET, va="top", linespacing=1.3)


def draw_key(axes, kinds, columns, rows):
    """Explains the arrows, below the networks."""
    for i, kind in enumerate(kinds):
        x, y = 0.2 + KEY[0] * (i % columns), 0.2 + KEY[1] * (rows - 1 - i // columns)
        stroke(axes, [(x, y), (x + 0.38, y)], ROLES[kind], "key: " + kind)
        axes.text(x + 0.47, y, MEANING[kind], fontsize=SMALL, color=INK, va="center_baseline")


# Where things are --------------------------------------------------------------------------------------------------

def place(node):
    """The centre of a node, from the centre of the lowest block."""
    y = PITCH * node.number
    return {"input": (0, y - 0.68), "block": (0, y), "loss": (0, y + PITCH),
            "synthesizer": (COLUMN, y + PITCH / 2), "context": (COLUMN + 0.72, y + PITCH / 2),
            "input synthesizer": (-COLUMN, y - PITCH / 2),
            "target": (-WIDTH / 2 - 0.52, y + PITCH)}[node.kind]


def route(arrow, nodes):
    """The corners of an arrow, from the centre of the lowest block.

    Forward arrows are straight: up the middle, or sideways. Gradients leave a block or the loss at its right,
    travel down the column, and enter a block at its right or a synthesizer from above. What has to do with
    synthetic inputs keeps to the left.
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
        if end.kind == "synthesizer":           # from the arrow to the next block, or, with a label, from the block itself
            return [(x0, y0 + HEIGHT / 2)] * bool(arrow.label) + [(x0, y1), (x1 - DIAMOND, y1)]
        return [(x0, y0 + (0.12 if start.kind == "input" else HEIGHT / 2)), (x1, y1 - HEIGHT / 2)]
    leave = [(x0, y0 - DIAMOND)] if start.kind == "synthesizer" else [(x0 + WIDTH / 2, y0 - STEP), (COLUMN, y0 - STEP)]
    enter = [(x1, y1 + DIAMOND)] if end.kind == "synthesizer" else [(COLUMN, y1 + STEP), (x1 + WIDTH / 2, y1 + STEP)]
    return leave + enter


# Ink ---------------------------------------------------------------------------------------------------------------

def draw_node(axes, node, x, y):
    """Draws a box, a diamond or a word, with its text and remark."""
    if node.kind in ("block", "loss"):
        edge, fill = (QUIET, "white") if node.frozen else (EDGE[node.kind], FILL[node.kind])
        axes.add_patch(FancyBboxPatch((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, gid=node.name, facecolor=fill,
                                      edgecolor=edge, linewidth=1.2, boxstyle="round,pad=0,rounding_size=0.1",
                                      linestyle=(0, (2, 2)) if node.frozen else "-", zorder=3))
    elif node.kind in ("synthesizer", "input synthesizer"):
        corners = [(x - DIAMOND, y), (x, y + DIAMOND), (x + DIAMOND, y), (x, y - DIAMOND)]
        axes.add_patch(Polygon(corners, gid=node.name, facecolor=FILL[node.kind], edgecolor=EDGE[node.kind], linewidth=1.2,
                               zorder=3))
    axes.text(x, y, "\n".join(node.text), fontsize=SMALL if node.kind in ("context", "target") else SMALL + 0.5,
              color=QUIET if node.frozen else INK, ha="center", va="center", linespacing=1.35, zorder=4)
    if node.remark:
        axes.text(x - WIDTH / 2 - 0.12, y, textwrap.fill(node.remark, 9), fontsize=SMALL, color=remark_color(node),
                  ha="right", va="center", linespacing=1.3)


def remark_color(node):
    """Green for a block that updates at once, vermilion for one that waits, grey for one that never learns."""
    if node.frozen:
        return QUIET
    return ROLES["true gradient"].color if "waits" in node.remark else ROLES["synthetic gradient"].color


def draw_arrow(axes, arrow, nodes, x, y):
    """Draws an arrow with its label, and a dot where it leaves another arrow."""
    points = [(x + a, y + b) for a, b in route(arrow, nodes)]
    role = ROLES[arrow.kind]
    stroke(axes, points, role, f"{arrow.kind}: {arrow.start} to {arrow.end}")
    branches_off = not arrow.label and nodes[arrow.start].kind == "block"
    if arrow.kind == "forward" and nodes[arrow.end].kind == "synthesizer" and branches_off:
        axes.add_patch(Circle(points[0], 0.035, color=role.color, zorder=3))
    (xa, ya), (xb, yb) = max(zip(points, points[1:]), key=lambda leg: abs(leg[0][1] - leg[1][1]))
    side = -1 if arrow.kind == "forward" else 1
    axes.text((xa + xb) / 2 + side * 0.1, (ya + yb) / 2, arrow.label, fontsize=NORMAL, color=role.color,
              ha="left" if side > 0 else "right", va="center")


def stroke(axes, points, role, gid, head=0.12):
    """A line along `points` with rounded corners, and a head at its end."""
    (xa, ya), (xb, yb) = points[-2:]
    length = ((xb - xa)**2 + (yb - ya)**2)**0.5
    ux, uy = (xb - xa) / length, (yb - ya) / length
    neck = (xb - head * ux, yb - head * uy)
    axes.add_patch(PathPatch(rounded([*points[:-1], neck]), gid=gid, facecolor="none", edgecolor=role.color,
                             linestyle=role.linestyle, linewidth=1.6, capstyle="butt", zorder=2))
    wx, wy = -0.4 * head * uy, 0.4 * head * ux          # half the width of the head, across the arrow
    corners = [(xb, yb), (neck[0] + wx, neck[1] + wy), (neck[0] - wx, neck[1] - wy)]
    axes.add_patch(Polygon(corners, color=role.color, linewidth=0, zorder=3))


def rounded(points, radius=0.09):
    """The Path through `points` with every corner rounded (all legs run along an axis)."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:]):
        vertices += [towards(corner, before, radius), corner, towards(corner, after, radius)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def towards(a, b, distance):
    """The point at `distance` from a on the way to b."""
    length = ((b[0] - a[0])**2 + (b[1] - a[1])**2)**0.5
    return (a[0] + distance * (b[0] - a[0]) / length, a[1] + distance * (b[1] - a[1]) / length)
