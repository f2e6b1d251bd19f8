"""Swapped nouns: whether a noun's map goes with the word or stays with its place in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Case, CaseImage, correlation, pair_prompts
from daam_bench.analysis.cases.estimates import CaseRow, CaseTable, cell, estimate, estimates
from daam_bench.figures.charts import draw_dots
from daam_bench.figures.grids import chart_with_panels
from daam_bench.figures.panels import Panel
from daam_bench.scoring.iou import iou

_KINDS = {
    "as given": ("{noun}", "{other}"),
    "swapped": ("{other}", "{noun}"),
}
_MEASURES = {"same word": "same_word", "same place in the prompt": "same_place"}
_POINTING = (
    ("nearer to its own object than to the other (%)", "points_right", 0, 100),
    ("IoU with its own object", "own_iou", 2, 1),
    ("IoU with the other object", "other_iou", 2, 1),
)


def _measure(images: Sequence[CaseImage], tau: float) -> list[CaseRow]:
    """Measure each noun of each two images that come from one seed and differ in their nouns' order."""
    rows: list[CaseRow] = []
    half = len(images) // 2
    for index, (given, swapped) in enumerate(zip(images[:half], images[half:], strict=True)):
        for noun, other in (given.prompt.words, swapped.prompt.words):
            own = given.map_of(noun)
            rows.append(
                {
                    "image": index,
                    "prompt": given.prompt.text,
                    "swapped_prompt": swapped.prompt.text,
                    "seed": given.prompt.seed,
                    "noun": noun,
                    "same_word": correlation(own, swapped.map_of(noun)),
                    "same_place": correlation(own, swapped.map_of(other)),
                    **_pointing("given", given, noun, other, tau),
                    **_pointing("swapped", swapped, noun, other, tau),
                }
            )
    return rows


def _pointing(name: str, image: CaseImage, noun: str, other: str, tau: float) -> CaseRow:
    """Compare a noun's map with the annotator's masks of both nouns."""
    own, others = (None, None) if image.masks is None else (image.masks[noun], image.masks[other])
    mask = image.map_of(noun).threshold(tau)
    own_iou = None if own is None else iou(mask, own)
    other_iou = None if others is None else iou(mask, others)
    right = None if own_iou is None or other_iou is None else int(own_iou > other_iou)
    return {f"{name}_own_iou": own_iou, f"{name}_other_iou": other_iou, f"{name}_points_right": right}


def _summarize(rows: Sequence[CaseRow]) -> CaseTable:
    lines = []
    for heading, column, digits, scale in _POINTING:
        both = estimates(rows, [f"given_{column}", f"swapped_{column}"])
        lines.append((heading, *(cell(found, digits, scale) for found in both)))
    for name, column in _MEASURES.items():
        lines.append((f"correlation of the two orders' maps, {name}", cell(estimate(rows, column)), ""))
    return CaseTable(("a noun's map", *_KINDS), tuple(lines))


def _figure(rows: Sequence[CaseRow], images: Sequence[CaseImage], tau: float) -> Figure:
    panels = [
        [
            Panel(" and ".join(one.prompt.words), one.image),
            *(one.panel(noun, one.mask_of(noun, tau)) for noun in sorted(one.prompt.words)),
        ]
        for one in (images[0], images[len(images) // 2])
    ]
    draw = partial(draw_dots, rows=["same\nword", "same\nplace"], axis="correlation of the two orders' maps")
    series = {"": estimates(rows, _MEASURES.values())}
    return chart_with_panels(partial(draw, series=series, level=(0, "")), panels)


CASE = Case(
    title="Swapped nouns",
    prompts=partial(pair_prompts, _KINDS),
    measure=_measure,
    summarize=_summarize,
    figure=_figure,
)
