"""The style of every figure: sizes of a paper's columns, type, colours, and how a figure is saved."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.files.replacing import replacing_file
from daam_bench.types.errors import InputError

COLUMN, PAGE = 85.0, 174.0
"""Width in millimetres of one column of a paper, and of both."""

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours of series, in order: those of Okabe and Ito, told apart with every kind of colour vision."""

INK, PALE, GRID, FRAME = "#1c1e24", "#70747e", "#dcdee3", "#cdd0d6"
"""Colours of text, of what stands back, of grid lines, and of lines around images on a sheet."""

FONT = "DejaVu Sans"
"""Font of all text; matplotlib brings it along."""

OVERLAY = "inferno"
"""Colour map of heat maps: even in lightness, so that it also reads in grey."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Markers of series, in order, so that colour is never the only difference."""

SUFFIXES = (".png", ".svg", ".pdf", ".jpg", ".jpeg")
"""What a figure can be saved as."""

PAPER_SUFFIXES = (".png", ".svg", ".pdf")
"""What the figures of a report are saved as."""

MILLIMETRES = 25.4  # an inch

_RC: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": PALE,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "axes.titlepad": 4,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": FONT,
    "font.size": 7.5,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "daam-bench",
    "text.color": INK,
    "xtick.color": PALE,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": PALE,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 7,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}

_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".jpg": {},
    ".jpeg": {},
}
"""Without dates and versions, so that the same figure is the same file."""

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in the style of the package, whatever the caller's own settings are.

    Letters that the font lacks become boxes, without a warning.
    """

    @wraps(draw)
    def drawing(*arguments: P.args, **options: P.kwargs) -> T:
        with mpl.rc_context(_RC), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            return draw(*arguments, **options)

    return drawing


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in millimetres, apart from pyplot's, for a `styled` function."""
    return Figure(figsize=(width / MILLIMETRES, height / MILLIMETRES), layout="constrained")


def percent_axis(axes: Axes, which: str, label: str) -> None:
    """Let the axis "x" or "y" of fractions in [0, 1] show percentages; its label gets their unit."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    axis.set_label_text(f"{label} (%)")
    axes.grid(True, axis="x" if which == "x" else "y")


@styled
def save(figure: Figure, path: Path | str, *, dpi: float = 300) -> Path:
    """Save a figure as PNG, SVG, PDF or JPEG, as its suffix says, with its type in the file.

    The same figure gives the same bytes. The file is complete or not there; its folder is made if needed. A
    PNG, and the images in the others, have so many dots an inch.

    Raises:
        InputError: Another suffix, or a place that can't be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"a figure can't be saved as {path.name!r}; give it one of the suffixes {', '.join(SUFFIXES)}"
        )
    try:
        with replacing_file(path) as partial:
            figure.savefig(partial, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix] or None)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; give another path") from None
    return path
