"""Images with heat maps and outlines over them: one panel, and panels in rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import PathPatch
from matplotlib.transforms import Affine2D
from PIL import Image

from daam_bench.figures.outlines import outline_shape
from daam_bench.figures.style import INK, OVERLAY, PAGE, PALE, new_figure, styled
from daam_bench.types import BoolMask
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

_ALPHA = 0.65
_LARGE = 256  # pixels; images are enlarged to at least this, so that their maps are smooth
_PALED = 0.55  # weight of the white over what is paled

Place = tuple[float, float, float, float]
"""Where an image stands in axes whose y grows downwards: (left, top, width, height)."""

_TIGHT = {"w_pad": 0.02, "h_pad": 0.01, "wspace": 0.01, "hspace": 0.01}


@dataclass(frozen=True, slots=True)
class Panel:
    """An image in a figure.

    Attributes:
        title: What stands above it.
        image: The image.
        heat_map: A heat map to lay over it, stretched to its own maximum; None for the image alone.
        outline: A mask of the image's (height, width) to outline, or masks by the colours of their outlines,
            the last one on top; None for none.
        paled: A mask of what to wash out with white; None for nothing.
    """

    title: str
    image: Image.Image
    heat_map: HeatMap | None = None
    outline: BoolMask | Mapping[str, BoolMask] | None = None
    paled: BoolMask | None = None


def in_rows(panels: Sequence[Panel], columns: int) -> list[Sequence[Panel]]:
    """Part panels into rows of equal length, the last one shorter if need be."""
    return [panels[start : start + columns] for start in range(0, len(panels), columns)]


@styled
def panel_grid(
    rows: Sequence[Sequence[Panel]],
    *,
    width: float = PAGE,
    title: str = "",
    labels: Sequence[str] | None = None,
) -> Figure:
    """Draw images in rows, with a colour bar where there is a heat map.

    Args:
        rows: The images of each row, at least one in all.
        width: Width of the figure in millimetres.
        title: What stands above all.
        labels: What stands left of each row, if anything.

    Raises:
        InputError: There is no image.
    """
    columns = max(map(len, rows), default=0)
    if not columns:
        raise InputError("there is no image to draw")
    tallest = max(panel.image.height / panel.image.width for row in rows for panel in row)
    side = (width - 14 - (5 if labels else 0)) / columns
    figure = new_figure(width, len(rows) * (side * tallest + 3.5) + (7 if title else 1))
    if title:
        figure.suptitle(title, size=8, color=INK)
    figure.set_layout_engine("constrained", **_TIGHT)
    fill_grid(figure, rows, labels)
    return figure


@styled
def chart_with_panels(
    draw_chart: Callable[[Axes], None],
    rows: Sequence[Sequence[Panel]],
    *,
    labels: Sequence[str] | None = None,
    chart: float = 0.4,
    width: float = PAGE,
) -> Figure:
    """Draw a chart on the left and images in rows on the right.

    Args:
        draw_chart: Draws the chart into its axes.
        rows: The images of each row, square ones fit best.
        labels: What stands left of each row, if anything.
        chart: The chart's share of the width.
        width: Width of the figure in millimetres.
    """
    side = (width * (1 - chart) - 16) / max(map(len, rows))
    figure = new_figure(width, len(rows) * (side + 5) + 4)
    figure.set_layout_engine("constrained", **_TIGHT)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(chart, 1 - chart), wspace=0.02)[0]
    draw_chart(left.add_subplot())
    fill_grid(right, rows, labels)
    return figure


def fill_grid(
    figure: Figure | SubFigure, rows: Sequence[Sequence[Panel]], labels: Sequence[str] | None
) -> None:
    """Fill a figure, or a part of one, with images and the colour bar of their heat maps."""
    grid = figure.subplots(len(rows), max(map(len, rows)), squeeze=False)
    for index, (axes_row, row) in enumerate(zip(grid, rows, strict=True)):
        for axes in axes_row[len(row) :]:
            axes.set_axis_off()
        for axes, panel in zip(axes_row, row, strict=False):
            draw_panel(axes, panel)
        if labels:
            axes_row[0].set_ylabel(labels[index])
    if any(panel.heat_map is not None for row in rows for panel in row):
        _add_colour_bar(figure, list(grid.flat))


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw a panel with its title and a frame into axes of its own, its longer side filling them."""
    draw_image(axes, panel, (0, 0, panel.image.width, panel.image.height))
    axes.set_aspect("equal")
    axes.set_title(panel.title, parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE, linewidth=0.4)


def draw_image(axes: Axes, panel: Panel, place: Place) -> None:
    """Draw the image of a panel, with its heat map and outlines, at a place in axes.

    A small image is enlarged by repeating its pixels, unblurred.
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
    for mask, colour, thickness in outlines:
        if mask.any() and not mask.all():
            shape = outline_shape(mask).transformed(to_place)
            for edge, extra in (("white", 1.2), (colour, 0.0)):
                line = {"edgecolor": edge, "linewidth": thickness + extra, "joinstyle": "round"}
                axes.add_patch(PathPatch(shape, facecolor="none", clip_on=False, **line))


def _painted(panel: Panel, scale: int) -> Image.Image:
    """Enlarge the image of a panel by a whole factor, and lay its heat map and what is paled over it."""
    size = (panel.image.width * scale, panel.image.height * scale)
    large = panel.image.convert("RGB").resize(size, Image.Resampling.NEAREST)
    if panel.heat_map is not None:
        large = panel.heat_map.overlay(large, alpha=_ALPHA, colors=OVERLAY)
    if panel.paled is not None:
        paled = Image.fromarray(panel.paled).resize(size, Image.Resampling.NEAREST)
        large.paste(Image.blend(large, Image.new("RGB", size, "white"), _PALED), mask=paled)
    return large


def _add_colour_bar(figure: Figure | SubFigure, axes: list[Axes]) -> None:
    """Add the colour bar of heat maps: a share of each map's own maximum."""
    colours = ScalarMappable(Normalize(0, 1), OVERLAY)
    bar = figure.colorbar(colours, ax=axes, fraction=0.02, pad=0.01, aspect=30, ticks=[0, 0.5, 1])
    bar.set_label("share of the map's maximum", size=7, labelpad=2)
    bar.outline.set_visible(False)
