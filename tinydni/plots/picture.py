"""A figure that says in words what it shows, appears in a notebook, and is written whole or not at all."""

import io
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinydni.lab.files import check_folder, whole_file

DPI = 200                               # of files; a notebook shows them at half the size, sharp on any screen
ENDINGS = (".png", ".svg", ".pdf")


class Picture(Figure):
    """A Matplotlib figure with its description. It needs no display and leaves pyplot's state alone.

    width, height: size [inches]
    alt: what the picture shows, in full sentences, for readers who do not see it; it is stored in the file
    Raises ValueError for an alt text that is not a sentence.
    """

    def __init__(self, width, height, alt):
        if not alt.strip().endswith("."):
            raise ValueError(f"alt must describe the picture in full sentences; got {alt!r}.")
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self)           # the canvas attaches itself to the figure
        self.alt = alt

    def _repr_png_(self):
        """How Jupyter shows the picture: the bytes, and the words for readers who do not see it."""
        width, height = self.get_size_inches() * DPI / 2
        return png_bytes(self), {"alt": self.alt, "width": int(width), "height": int(height)}

    def blank_axes(self):
        """Axes over the whole figure without frame, measured in inches from the lower left corner."""
        width, height = self.get_size_inches()
        axes = self.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        axes.set_axis_off()
        return axes


def check_path(path):
    """Raises ValueError for an ending that is not .png, .svg or .pdf, FileNotFoundError for a missing folder.

    `save` asks this too; a long run asks before it begins.
    """
    path = check_folder(path)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"path: a picture's file must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; "
                         f"got {str(path)!r}.")


def save(picture, path):
    """Writes a picture as .png, .svg or .pdf, with its description inside; a failure leaves no file behind.

    The same picture gives the same bytes. Raises what check_path raises.
    """
    check_path(path)
    kind = Path(path).suffix.lower()[1:]
    with whole_file(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "tinydni"}):
        picture.savefig(temporary, format=kind, metadata=metadata(kind, picture.alt))


def png_bytes(picture):
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", metadata=metadata("png", picture.alt))
    return buffer.getvalue()


def metadata(kind, alt):
    """The description under the name that each format has for it, without the date of writing."""
    return {"png": {"Description": alt, "Software": None}, "svg": {"Description": alt, "Date": None},
            "pdf": {"Subject": alt, "CreationDate": None}}[kind]
