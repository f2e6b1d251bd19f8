"""The same images under several methods: a row an image, a column a method, heat maps over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from daam_bench.figures.panels import PREDICTED, TRUE, Panel, Sheet
from daam_bench.figures.style import INK, PALE, styled
from daam_bench.types import BoolMask
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

_SIDE, _GAP, _MARGIN = 124, 6, 8
_HEAD, _BELOW, _TYPE, _LINE = 54, 24, 17, 21


@dataclass(frozen=True, slots=True)
class MethodsRow:
    """An image and one noun of it under every method.

    Attributes:
        noun: The noun.
        image: The image.
        mask: Its ground truth, outlined everywhere.
        maps: One a method, in the order of the columns; None for no prediction.
        ious: What each scores, in [0, 1]; what stands below it.
    """

    noun: str
    image: Image.Image
    mask: BoolMask
    maps: Sequence[HeatMap | None]
    ious: Sequence[float]


@styled
def method_rows(rows: Sequence[MethodsRow], methods: Sequence[str]) -> Figure:
    """Draw images in rows under methods in columns, the ground truth outlined, the IoU below.

    Args:
        rows: At least one.
        methods: Names of the columns; a name breaks after its hyphens.

    Raises:
        InputError: There is nothing to draw, or a row has other many maps than there are methods.
    """
    if not rows or not methods:
        raise InputError("there is no image, or no method, to draw")
    if any(not len(row.maps) == len(row.ious) == len(methods) for row in rows):
        raise InputError(f"every row needs {len(methods)} maps and IoUs, one for each method")
    across, down = _SIDE + _GAP, _SIDE + _BELOW
    sheet = Sheet(2 * _MARGIN + (1 + len(methods)) * across - _GAP, _HEAD + len(rows) * down + _MARGIN)
    for column, method in enumerate(methods):
        lines = method.replace("-", "-\n", 1).split("\n")
        for place, line in enumerate(reversed(lines)):
            top = _HEAD - (place + 1) * _LINE - 4
            sheet.words(_MARGIN + (column + 1) * across, top, [(line, INK)], _TYPE)
    for index, row in enumerate(rows):
        top = _HEAD + index * down
        outlined = {TRUE: row.mask}
        sheet.image(_MARGIN, top, Panel("", row.image, outline=outlined), _SIDE)
        sheet.words(_MARGIN, top + _SIDE + 2, [(row.noun, PREDICTED)], _TYPE)
        best = max(row.ious)
        for column, (heat_map, iou) in enumerate(zip(row.maps, row.ious, strict=True)):
            left = _MARGIN + (column + 1) * across
            sheet.image(left, top, Panel("", row.image, heat_map, outlined), _SIDE)
            colour = INK if iou == best else PALE
            sheet.words(left, top + _SIDE + 2, [(f"{100 * iou:.0f}", colour)], _TYPE)
    return sheet.figure
