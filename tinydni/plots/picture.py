"""A figure that says in words what it shows, appears in a notebook, and is written whole."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinydni.checks import brief
from tinydni.lab.files import check_folder, whole_file
from tinydni.plots.style import INK, LARGE, SMALL

DPI = 200                               # of files; a notebook shows them at half the size, sharp
ENDINGS = (".png", ".svg", ".pdf")


class Picture:
    """A Matplotlib figure, in `figure`, with its description. It leaves pyplot's state alone.

    Lengths are in inches, from the lower left corner.

    Parameters
    ----------
    width, height : size
    alt : what the picture shows, in full sentences, for readers who do not see it; it is stored in
        the file
    """

    def __init__(self, width: float, height: float, alt: str):
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # when the first is drawn
        from matplotlib.figure import Figure
        if not alt.strip().endswith("."):
            raise ValueError(f"alt must describe the picture in full sentences; got {alt!r}.")
        self.width, self.height, self.alt = width, height, alt
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)    # the canvas attaches itself to the figure

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """How Jupyter shows the picture: the bytes, and the words for those who do not see it."""
        buffer, half = io.BytesIO(), DPI / 2
        write(self, buffer, "png")
        return buffer.getvalue(), {"alt": self.alt, "width": int(self.width * half),
                                   "height": int(self.height * half)}

    @property
    def axes(self) -> list[Any]:
        """All axes of the figure."""
        return self.figure.axes

    def add_axes(self, box: tuple[float, float, float, float], **options: Any) -> Any:
        """Add axes at (left, bottom, width, height), as shares of the figure."""
        return self.figure.add_axes(box, **options)

    def panel(self, x: float, y: float, width: float, height: float, **options: Any) -> Any:
        """Add axes of this size, with their lower left corner at (x, y)."""
        return self.add_axes((x / self.width, y / self.height,
                              width / self.width, height / self.height), **options)

    def blank_axes(self) -> Any:
        """Add axes over the whole figure, without frame, measured in inches."""
        axes = self.panel(0, 0, self.width, self.height, xlim=(0, self.width),
                          ylim=(0, self.height))
        axes.set_axis_off()
        return axes

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        """Write a text at (x, y)."""
        self.figure.text(x / self.width, y / self.height, text, **{"color": INK, **options})

    def key(self, looks: Mapping[str, Any], x: float = 0.2, below_top: float = 0.48) -> None:
        """Explain looks, {label: line or patch}, in a row with its upper left corner there."""
        self.figure.legend(
            looks.values(), looks.keys(), loc="upper left", ncols=len(looks), frameon=False,
            bbox_to_anchor=(x / self.width, 1 - below_top / self.height), borderpad=0,
            borderaxespad=0, fontsize=SMALL + 0.5, labelcolor=INK, handlelength=2,
            columnspacing=1.8)

    def title(self, text: str, x: float = 0.2, below_top: float = 0.2) -> None:
        """Write the title of the picture, with its upper left corner there."""
        self.text(x, self.height - below_top, text, fontsize=LARGE, fontweight="bold", va="top")


def check_path(path: str | Path) -> None:
    """Raise ValueError for an ending that no picture has, FileNotFoundError for a missing folder.

    `save` asks this too; a long run asks before it begins.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"path must be a string or a Path; got {brief(path)}.")
    path = check_folder(path)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"path: a picture's file must end in {', '.join(ENDINGS[:-1])} or "
                         f"{ENDINGS[-1]}; got {str(path)!r}.")


def save(picture: Picture, path: str | Path) -> None:
    """Write a picture as .png, .svg or .pdf, with its description inside.

    A failure leaves no file behind. The same picture gives the same bytes. Raises what check_path
    raises.
    """
    import matplotlib
    check_path(path)
    with whole_file(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "tinydni"}):
        write(picture, temporary, Path(path).suffix.lower()[1:])


def write(picture: Picture, file: Any, kind: str) -> None:
    """Write a picture with its description, under the name that each format has, and no date."""
    metadata = {"png": {"Description": picture.alt, "Software": None},
                "svg": {"Description": picture.alt, "Date": None},
                "pdf": {"Subject": picture.alt, "CreationDate": None}}[kind]
    picture.figure.savefig(file, format=kind, metadata=metadata)
