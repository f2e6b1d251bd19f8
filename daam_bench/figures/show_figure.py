"""The figure: the image, and beside it one overlay a word with the outline of its mask."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from daam_bench.figures.panels import Panel, panel_grid
from daam_bench.figures.style import INK, PAGE, PALE, save, styled
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.printable import printable

_COLUMNS = 5
_SIDE, _MARGIN = 40.0, 16.0
"""Width of an image and of what stands beside the images, in millimetres."""

_LINE, _NOTE_LINE = 4.0, 3.2
"""Height of a line of the prompt and of the note, in millimetres."""

_LETTER = 1.6
"""Width of a letter of the prompt, in millimetres."""

_MILLIMETRES = 25.4  # an inch


@styled
def show_figure(
    image: Image.Image,
    prompt: str,
    words: Sequence[tuple[str, HeatMap]],
    *,
    tau: float = 0.4,
    note: str = "",
) -> Figure:
    """Draw an image and one overlay a word.

    Args:
        image: The image.
        prompt: Its prompt, which stands above.
        words: The words to show, each with its heat map, at least one.
        tau: Threshold in [0, 1] of the outlined masks.
        note: What stands below, before the explanation of the outline.
    """
    rows = _rows([Panel("the picture", image), *(_panel(image, *word, tau) for word in words)])
    width = min(PAGE, _MARGIN + _SIDE * max(map(len, rows)))
    title = textwrap.wrap(printable(prompt), max(20, int(width / _LETTER))) or [""]
    outlined = f"Outlined, with its share of the image: a word's map at τ = {tau:g} of its maximum and above."
    letters = int(1.25 * width / _LETTER)
    lines = [line for text in (note, outlined) for line in textwrap.wrap(printable(text), letters)]
    figure = panel_grid(rows, width=width)
    height = figure.get_figheight() * _MILLIMETRES + _LINE * len(title) + _NOTE_LINE * len(lines) + 3
    figure.set_figheight(height / _MILLIMETRES)
    figure.suptitle(_plain("\n".join(title)), size=9, color=INK)
    figure.supxlabel(_plain("\n".join(lines)), size=6.5, color=PALE)
    figure.axes[-1].set_yticks([0, tau, 1], ["0", "τ" if 0.05 < tau < 0.95 else "", "1"])
    figure.axes[-1].yaxis.labelpad = 6
    figure.axes[-1].axhline(tau, color="white", linewidth=1.2)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(h_pad=0.04)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Save a figure as its suffix says; letters that the font lacks become boxes.

    Raises:
        InputError: Another suffix than .png, .svg and .pdf, or a place that can't be written.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        return save(figure, path)


def _rows(panels: list[Panel]) -> list[list[Panel]]:
    """Part images into rows of equal length, the last one shorter if need be."""
    columns = ceil(len(panels) / ceil(len(panels) / _COLUMNS))
    return [panels[start : start + columns] for start in range(0, len(panels), columns)]


def _panel(image: Image.Image, label: str, heat_map: HeatMap, tau: float) -> Panel:
    mask = heat_map.resize(image.size).threshold(tau)
    return Panel(
        _plain(f"{textwrap.shorten(printable(label), 24)} ({100 * mask.mean():.0f} %)"), image, heat_map, mask
    )


def _plain(text: str) -> str:
    """Let matplotlib take dollar signs as they are instead of as mathematics."""
    return text.replace("$", r"\$")
