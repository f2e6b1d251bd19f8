"""Sheets to check masks on: an image enlarged, its outlines, and its numbered regions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image
from scipy import ndimage
from skimage.segmentation import find_boundaries

from daam_bench.commands.options import choose_splits
from daam_bench.datasets.load import load_whole
from daam_bench.figures.panels import DOTS, Panel, Sheet
from daam_bench.figures.style import INK, PALE, save, styled
from daam_bench.types import Example
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode
from tools.emoji.checking.decisions import examples_by_id, writing
from tools.emoji.checking.regions import Regions, colour_regions, space_of

_SIDE, _GAP, _HEAD, _EDGE = 512, 34, 64, 28
_COLOURS = ("#ff008c", "#005aff", "#ff9600")
_TICK = 8  # pixels of the image


def write_sheets(
    *, dataset: str, split: Sequence[str], ids: Sequence[str] | None, blind: bool, output: Path
) -> None:
    """Write the sheets of some examples (None: of all) as PNG files."""
    splits = load_whole(dataset).splits
    chosen = choose_splits(split, list(splits))
    examples = examples_by_id(splits[name] for name in chosen)
    wanted = list(examples) if ids is None else ids
    for name in wanted:
        if name not in examples:
            raise InputError(f"no example {name!r} in {','.join(split)} of {dataset}")
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            save(check_sheet(examples[name], blind=blind), output / f"{name}.png", dpi=DOTS)
    print(f"{output}/: {len(wanted)} sheets")


@styled
def check_sheet(example: Example, *, blind: bool = False) -> Figure:
    """Draw the sheet of one image: as it is, with the outlines of its masks, with its regions' numbers.

    A `blind` one has no outlines and other regions, for an annotation from nothing.

    Raises:
        InputError: The image is not square, or has more nouns than there are colours.
    """
    query = example.query
    if query.image.width != query.image.height:
        raise InputError(f"{query.id}: sheets are of square images, not {query.image.size}")
    if len(query.nouns) > len(_COLOURS):
        raise InputError(f"{query.id}: a sheet has colours for {len(_COLOURS)} nouns, not {len(query.nouns)}")
    colours = _COLOURS[: len(query.nouns)]
    regions = colour_regions(query.image, space_of(blind=blind))
    small_labels = Image.fromarray(regions.astype(np.uint8))
    labels = np.asarray(small_labels.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)).astype(np.int64)
    large = query.image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    paled = (0.75 * np.asarray(large) + 0.25 * 255).astype(np.uint8)
    paled[find_boundaries(labels + 1, mode="inner")] = 0
    panels = [Panel("", large), Panel("", Image.fromarray(paled))]
    if not blind:
        masks = {colour: decode(mask) for mask, colour in zip(example.masks, colours, strict=True) if mask}
        panels.insert(1, Panel("", query.image, outline=masks, paled=np.ones(regions.shape, dtype=np.bool_)))
    sheet = Sheet(_EDGE + len(panels) * (_SIDE + _GAP), _HEAD + _SIDE + 8)
    sheet.words(_EDGE, 6, [(f"{query.id}   {query.prompt}", INK)], 18)
    words = [
        (noun.text if blind or mask is not None else f"{noun.text} (no mask)", colour)
        for noun, mask, colour in zip(query.nouns, example.masks, colours, strict=True)
    ]
    sheet.words(_EDGE, 30, words, 16, separator="     ")
    for index, panel in enumerate(panels):
        left = _EDGE + index * (_SIDE + _GAP)
        sheet.image(left, _HEAD, panel, _SIDE)
        _ticks(sheet, left, _HEAD, query.image.width)
    _numbers(sheet, left, _HEAD, labels)
    return sheet.figure


def _numbers(sheet: Sheet, left: float, top: float, labels: Regions) -> None:
    """Write the number of each region where it is widest."""
    for number in range(int(labels.max()) + 1):
        depth = ndimage.distance_transform_edt(np.pad(labels == number, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        edge = [withStroke(linewidth=3, foreground="black")]
        size = 16 if depth.max() >= 12 else 11
        middle = sheet.axes.text(left + int(x), top + int(y), str(number), size=size, path_effects=edge)
        middle.set(ha="center", va="center_baseline", color="white")


def _ticks(sheet: Sheet, left: float, top: float, pixels: int) -> None:
    """Mark the image's own pixels along two sides."""
    for at in range(0, pixels, _TICK):
        step = round(at * _SIDE / pixels)
        sheet.axes.text(left - 4, top + step, str(at), color=PALE, size=10, ha="right", va="center")
        sheet.axes.text(left + step, top - 4, str(at), color=PALE, size=10, ha="center", va="bottom")
        sheet.line([left - 3, left], [top + step, top + step])
        sheet.line([left + step, left + step], [top - 3, top])
