"""The figure of the README: the first images of a split under all methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from daam_bench.datasets.load import load_split
from daam_bench.figures.method_rows import MethodsRow, method_rows
from daam_bench.figures.panels import DOTS
from daam_bench.figures.style import save
from daam_bench.scoring.iou import iou
from daam_bench.segmenters.bundle import Bundle
from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types import Example
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

TAU = 0.4
RESOLUTION = 0.8 * DOTS
"""Dots an inch of the figure: as wide as two columns of a page, and no more bytes than needed."""


def draw_methods(
    methods: Sequence[str], output: Path, *, dataset: str, split: str, images: int, device: str
) -> Path:
    """Draw the first depicted noun of each of a split's first images under methods.

    Args:
        methods: Their names.
        output: The figure's file.
        dataset: The dataset.
        split: Its split.
        images: How many images that depict a noun.
        device: A torch device.

    Raises:
        InputError: No image depicts a noun, or see the methods.
    """
    examples = load_split(dataset, split)
    depicted = [(example, [one.mask is not None for one in example.nouns]) for example in examples]
    shown = [(example, nouns.index(True)) for example, nouns in depicted if any(nouns)][:images]
    if not shown:
        raise InputError(f"no image of split {split!r} of {dataset!r} has a mask to be outlined")
    bundle = Bundle([get_segmenter(m, device=device, default_model=examples.model) for m in methods])
    found = bundle.segment([example.query for example, _ in shown])
    rows = []
    for row, (example, noun) in enumerate(shown):
        maps = [method[row][noun] for method in found]
        rows.append(_row(example, noun, [one if isinstance(one, HeatMap) else None for one in maps]))
    return save(method_rows(rows, methods), output, dpi=RESOLUTION)


def _row(example: Example, noun: int, maps: Sequence[HeatMap | None]) -> MethodsRow:
    mask = example.nouns[noun].mask
    assert mask is not None
    ious = []
    for heat_map in maps:
        predicted = np.zeros_like(mask) if heat_map is None else heat_map.resize(example.image).threshold(TAU)
        ious.append(iou(predicted, mask))
    return MethodsRow(example.nouns[noun].text, example.image, mask, maps, ious)
