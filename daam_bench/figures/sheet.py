"""A sheet of images and coloured words at places in pixels: what contact sheets are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from daam_bench.figures.panels import Panel, draw_image
from daam_bench.figures.style import FONT, FRAME, INK, PALE
from daam_bench.types import Noun, Query
from daam_bench.types.printable import printable

PREDICTED, TRUE = "#e0245e", "#00a86b"
"""Colours of a predicted mask and of the ground truth; the noun in question has the first one."""

OTHER = "#006ee6"
"""Colour of the second of two annotations."""

Words = Sequence[tuple[str, str]]
"""Texts that stand side by side, each with its colour."""

DOTS = 72
"""Dots an inch of a sheet, so that a point of type is a pixel."""


class Sheet:
    """An empty white sheet; (0, 0) is its upper left corner. To be used in a function that is `styled`.

    Args:
        width: Width in pixels.
        height: Height in pixels.

    Attributes:
        figure: The sheet as a matplotlib figure of so many pixels.
        axes: Axes over all of it, in pixels.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width / DOTS, height / DOTS), dpi=DOTS)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def image(self, x: float, y: float, panel: Panel, side: float) -> None:
        """Draw a panel, its longer side `side` pixels, in a frame."""
        scale = side / max(panel.image.size)
        width, height = panel.image.width * scale, panel.image.height * scale
        draw_image(self.axes, panel, (x, y, width, height))
        self.line([x, x + width, x + width, x, x], [y, y, y + height, y + height, y])

    def line(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        """Draw a thin grey line through points."""
        self.axes.plot(xs, ys, color=FRAME, linewidth=1)

    def words(self, x: float, y: float, words: Words, size: float, separator: str = "") -> None:
        """Write words side by side, the tops of their letters about `y`."""
        for index, (text, colour) in enumerate(words):
            shown = printable(text) + (separator if index < len(words) - 1 else "")
            self.axes.text(x, y + size, shown, color=colour, size=size, va="baseline", parse_math=False)
            x += text_width(shown, size)

    def caption(self, x: float, y: float, score: str, query: Query, noun: Noun, width: float) -> None:
        """Write a noun's score, itself and its example's id, and below them the prompt."""
        self.words(x, y, [(score, INK), (noun.text, PREDICTED), (query.id, PALE)], 14, separator="  ")
        self.prompt(x, y + 19, query.prompt, (noun.start, noun.end), width)

    def prompt(self, x: float, y: float, prompt: str, span: tuple[int, int], width: float) -> None:
        """Write a prompt on one line with a span in colour, cut off around the span if it is too long."""
        size, (start, end) = 13, span
        first, last = 0, len(prompt)
        widths = [text_width(printable(letter), size) for letter in prompt]
        excess = sum(widths) + 2 * text_width("…", size) - width
        while excess > 0 and (first < start or last > end):
            if last - end >= start - first:
                last -= 1
                excess -= widths[last]
            else:
                excess -= widths[first]
                first += 1
        before = ("…" if first else "") + prompt[first:start]
        after = prompt[end:last] + ("…" if last < len(prompt) else "")
        self.words(x, y, [(before, PALE), (prompt[start:end], PREDICTED), (after, PALE)], size)


@cache
def text_width(text: str, size: float) -> float:
    """Return the width of a text on a sheet, in pixels."""
    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(FONT, size=size), ismath=False
    )
    return float(width)
