"""The figure: the image, and beside it one overlay a word with the outline of its mask."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil

from matplotlib.figure import Figure
from PIL import Image

from daam_bench.figures.panels import Panel, in_rows, panel_grid
from daam_bench.figures.style import INK, MILLIMETRES, PAGE, PALE, styled
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.printable import printable

_COLUMNS = 5
_SIDE, _MARGIN = 40.0, 16.0
"""Width of an image and of what stands beside the images, in millimetres."""

_LINE, _NOTE_LINE = 4.0, 3.2
"""Height of a line of the prompt and of the note, in millimetres."""

_LETTER = 1.6
"""Width of a letter of the prompt, in millimetres."""


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
    panels = [Panel("the image", image), *(_panel(image, *word, tau) for word in words)]
    columns = ceil(len(panels) / ceil(len(panels) / _COLUMNS))
    width = min(PAGE, _MARGIN + _SIDE * columns)
    title = textwrap.wrap(printable(prompt), max(20, int(width / _LETTER))) or [""]
    outlined = f"Outlined, with its share of the image: a word's map at τ = {tau:g} of its maximum and above."
    letters = int(1.25 * width / _LETTER)
    lines = [line for text in (note, outlined) for line in textwrap.wrap(printable(text), letters)]
    figure = panel_grid(in_rows(panels, columns), width=width)
    height = figure.get_figheight() * MILLIMETRES + _LINE * len(title) + _NOTE_LINE * len(lines) + 3
    figure.set_figheight(height / MILLIMETRES)
    figure.suptitle("\n".join(title), size=9, color=INK, parse_math=False)
    figure.supxlabel("\n".join(lines), size=6.5, color=PALE, parse_math=False)
    bar = figure.axes[-1]
    bar.set_yticks([0, tau, 1], ["0", "τ" if 0.05 < tau < 0.95 else "", "1"])
    bar.yaxis.labelpad = 6
    bar.axhline(tau, color="white", linewidth=1.2)
    figure.get_layout_engine().set(h_pad=0.04)  # type: ignore[union-attr,call-arg]
    return figure


def _panel(image: Image.Image, label: str, heat_map: HeatMap, tau: float) -> Panel:
    mask = heat_map.resize(image.size).threshold(tau)
    title = f"{textwrap.shorten(printable(label), 24)} ({100 * mask.mean():.0f} %)"
    return Panel(title, image, heat_map, mask)
