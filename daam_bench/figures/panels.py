"""Images with heat maps and outlines over them, and the sheets they stand on with coloured words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D
from PIL import Image

from daam_bench.figures.style import FONT, FRAME, INK, OVERLAY, PALE
from daam_bench.types import BoolMask, Noun, Query
from daam_bench.types.errors import printable
from daam_bench.types.heat_map import HeatMap

PREDICTED, TRUE = "#e0245e", "#00a86b"
"""Colours of a predicted mask and of the ground truth; the noun in question has the first one."""

OTHER = "#006ee6"
"""Colour of the second of two annotations."""

DOTS = 72
"""Dots an inch of a sheet, so that a point of type is a pixel."""

ALPHA = 0.65
"""Weight of a heat map over its image, in [0, 1]."""

_LARGE = 256  # pixels; images are enlarged to at least this, so that their maps are smooth
_PALED = 0.55  # weight of the white over what is paled
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # east, south, west, north, as (x, y)

Corner = tuple[int, int]
"""A corner of a pixel, as (x, y)."""


@dataclass(frozen=True, slots=True)
class Panel:
    """An image in a figure.

    Attributes:
        title: What stands above it.
        image: The image.
        heat_map: A heat map to lay over it, stretched to its own maximum; None for the image alone.
        outline: A mask of the image's (height, width) to outline, or masks by the colours of their outlines,
            the later ones dashed on top, so that equal ones show both; None for none.
        paled: A mask of what to wash out with white; None for nothing.
    """

    title: str
    image: Image.Image
    heat_map: HeatMap | None = None
    outline: BoolMask | Mapping[str, BoolMask] | None = None
    paled: BoolMask | None = None


class Sheet:
    """An empty white sheet of pixels; (0, 0) is its upper left corner. To be used where `styled` holds.

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

    def words(
        self, x: float, y: float, words: Sequence[tuple[str, str]], size: float, separator: str = ""
    ) -> None:
        """Write (text, colour) side by side, the tops of their letters about `y`."""
        for index, (text, colour) in enumerate(words):
            shown = printable(text) + (separator if index < len(words) - 1 else "")
            self.axes.text(x, y + size, shown, color=colour, size=size, va="baseline", parse_math=False)
            x += _text_width(shown, size)

    def caption(self, x: float, y: float, score: str, query: Query, noun: Noun, width: float) -> None:
        """Write a noun's score, itself and its example's id, and below them the prompt."""
        self.words(x, y, [(score, INK), (noun.text, PREDICTED), (query.id, PALE)], 14, separator="  ")
        self.prompt(x, y + 19, query.prompt, (noun.start, noun.end), width)

    def prompt(self, x: float, y: float, prompt: str, span: tuple[int, int], width: float) -> None:
        """Write a prompt on one line with a span in colour, cut off around the span if it is too long."""
        size, (start, end) = 13, span
        first, last = 0, len(prompt)
        widths = [_text_width(printable(letter), size) for letter in prompt]
        excess = sum(widths) + 2 * _text_width("…", size) - width
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
def _text_width(text: str, size: float) -> float:
    font = FontProperties(FONT, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def draw_image(axes: Axes, panel: Panel, place: tuple[float, float, float, float]) -> None:
    """Draw the image of a panel, with its heat map and outlines, into axes whose y grows downwards.

    The place is (left, top, width, height). A small image is enlarged by repeating its pixels, unblurred.
    """
    left, top, width, height = place
    scale = max(1, -(-_LARGE // max(panel.image.size)))
    axes.imshow(
        _painted(panel, scale),
        extent=(left, left + width, top + height, top),
        interpolation="none" if scale > 1 else "antialiased",
        aspect="auto",
    )
    if isinstance(panel.outline, Mapping):
        outlines = [(mask, colour, 1.8) for colour, mask in panel.outline.items()]
    else:
        outlines = [] if panel.outline is None else [(panel.outline, INK, 0.6)]
    to_place = Affine2D().scale(width / panel.image.width, height / panel.image.height).translate(left, top)
    for place_in_row, (mask, colour, thickness) in enumerate(outlines):
        if mask.any() and not mask.all():
            shape = outline_shape(mask).transformed(to_place)
            edges = [("white", thickness + 1.2, "solid"), (colour, thickness, "solid")]
            for edge, width_of_line, dash in [(colour, thickness, (0, (2, 2)))] if place_in_row else edges:
                line = {
                    "edgecolor": edge,
                    "linewidth": width_of_line,
                    "linestyle": dash,
                    "joinstyle": "round",
                }
                axes.add_patch(PathPatch(shape, facecolor="none", clip_on=False, **line))


def _painted(panel: Panel, scale: int) -> Image.Image:
    """Enlarge the image of a panel by a whole factor, and lay its heat map and what is paled over it."""
    size = (panel.image.width * scale, panel.image.height * scale)
    large = panel.image.convert("RGB").resize(size, Image.Resampling.NEAREST)
    if panel.heat_map is not None:
        large = panel.heat_map.overlay(large, alpha=ALPHA, colors=OVERLAY)
    if panel.paled is not None:
        paled = Image.fromarray(panel.paled).resize(size, Image.Resampling.NEAREST)
        large.paste(Image.blend(large, Image.new("RGB", size, "white"), _PALED), mask=paled)
    return large


def outline_shape(mask: BoolMask) -> Path:
    """Return the outline of a mask as a matplotlib path, in pixels from the upper left corner."""
    loops = [np.array([*loop, loop[0]], dtype=np.float64) for loop in outline_loops(mask)]
    if not loops:
        return Path(np.empty((0, 2)))
    return Path.make_compound_path(*(Path(loop, closed=True) for loop in loops))


def outline_loops(mask: BoolMask) -> list[list[Corner]]:
    """Return the closed loops around the true pixels of a mask, each as the corners where it turns.

    True pixels lie to the right of the way, so that holes wind the other way than what surrounds them. Pixels
    that touch at a corner are not connected.
    """
    padded = np.pad(mask, 1)
    # For each side of a true pixel that has a false neighbour: the way along it, and where it begins.
    sides = (
        (mask & ~padded[:-2, 1:-1], (0, 0)),
        (mask & ~padded[1:-1, 2:], (1, 0)),
        (mask & ~padded[2:, 1:-1], (1, 1)),
        (mask & ~padded[1:-1, :-2], (0, 1)),
    )
    ways: dict[Corner, list[int]] = {}
    for way, (edges, (right, down)) in enumerate(sides):
        for y, x in np.argwhere(edges).tolist():
            ways.setdefault((x + right, y + down), []).append(way)
    ways = dict(sorted(ways.items(), key=lambda item: item[0][::-1]))
    loops = []
    while ways:
        loops.append(_take_loop(ways))
    return loops


def _take_loop(ways: dict[Corner, list[int]]) -> list[Corner]:
    """Take the first loop out of the ways (indices into `_STEPS`) that lead out of each corner."""
    start = x, y = next(iter(ways))
    way = min(ways[start])
    corners = [start]
    while True:
        open_ways = ways[x, y]
        # At a corner where two pixels touch, turn right: stay with the pixel.
        turned = next(turn for turn in (way, (way + 1) % 4, (way - 1) % 4) if turn in open_ways)
        if turned != way:
            corners.append((x, y))
            way = turned
        open_ways.remove(way)
        if not open_ways:
            del ways[x, y]
        x, y = x + _STEPS[way][0], y + _STEPS[way][1]
        if (x, y) == start:
            return corners
