"""Swapped nouns: whether a noun's map goes with the word or stays with its place in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Asked, Case, Picture, Row, Table
from daam_bench.analysis.cases.measures import cell, correlation, dot, estimate, intersection_over_union
from daam_bench.analysis.cases.scenes import PAIRS, one, place
from daam_bench.figures.charts import draw_dots
from daam_bench.figures.panels import Panel, chart_with_panels

_KINDS = ("as given", "swapped")
_MEASURES = {
    "same word": "same_word",
    "same place in the prompt": "same_place",
}


def _ask(seeds: int) -> list[Asked]:
    prompts = []
    for kind in _KINDS:
        for pair in PAIRS:
            nouns = pair[:2] if kind == "as given" else (pair[1], pair[0])
            prompts += [
                Asked(f"{one(nouns[0])} and {one(nouns[1])} {place(pair[2])}", seed, kind, nouns, nouns)
                for seed in range(seeds)
            ]
    return prompts


def _measure(pictures: Sequence[Picture], tau: float) -> list[Row]:
    """Measure each noun of each two images that come from one seed and differ in their nouns' order."""
    rows: list[Row] = []
    half = len(pictures) // 2
    for index, (given, swapped) in enumerate(zip(pictures[:half], pictures[half:], strict=True)):
        for noun, other in (given.asked.words, swapped.asked.words):
            own = given.map_of(noun)
            rows.append(
                {
                    "picture": index,
                    "prompt": given.asked.text,
                    "swapped_prompt": swapped.asked.text,
                    "seed": given.asked.seed,
                    "noun": noun,
                    "same_word": correlation(own, swapped.map_of(noun)),
                    "same_place": correlation(own, swapped.map_of(other)),
                    **_pointing("given", given, noun, other, tau),
                    **_pointing("swapped", swapped, noun, other, tau),
                }
            )
    return rows


def _pointing(name: str, picture: Picture, noun: str, other: str, tau: float) -> Row:
    """Compare a noun's map with the annotator's masks of both nouns."""
    own, others = (None, None) if picture.masks is None else (picture.masks[noun], picture.masks[other])
    mask = picture.map_of(noun).threshold(tau)
    own_iou = None if own is None else intersection_over_union(mask, own)
    other_iou = None if others is None else intersection_over_union(mask, others)
    right = None if own_iou is None or other_iou is None else int(own_iou > other_iou)
    return {f"{name}_own_iou": own_iou, f"{name}_other_iou": other_iou, f"{name}_points_right": right}


def _summarize(rows: Sequence[Row]) -> Table:
    measures = (
        ("nearer to its own object than to the other (%)", "points_right", 0, 100),
        ("IoU with its own object", "own_iou", 2, 1),
        ("IoU with the other object", "other_iou", 2, 1),
    )
    lines = [
        (name, *(cell(estimate(rows, f"{order}_{column}"), digits, scale) for order in ("given", "swapped")))
        for name, column, digits, scale in measures
    ]
    lines += [
        (f"correlation of the two orders' maps, {name}", cell(estimate(rows, column)), "")
        for name, column in _MEASURES.items()
    ]
    return Table(("a noun's map", *_KINDS), tuple(lines))


def _draw(rows: Sequence[Row], pictures: Sequence[Picture], tau: float) -> Figure:
    panels = [
        [
            Panel(" and ".join(picture.asked.words), picture.image),
            *(
                Panel(f"“{noun}”", picture.image, picture.map_of(noun), picture.mask_of(noun, tau))
                for noun in sorted(picture.asked.words)
            ),
        ]
        for picture in (pictures[0], pictures[len(pictures) // 2])
    ]
    return chart_with_panels(partial(_draw_agreement, rows), panels)


def _draw_agreement(rows: Sequence[Row], axes: Axes) -> None:
    draw_dots(
        axes,
        ["same\nword", "same\nplace"],
        {"": [dot(estimate(rows, column)) for column in _MEASURES.values()]},
        axis="correlation of the two orders' maps",
        level=(0, ""),
    )


CASE = Case("Swapped nouns", _ask, _measure, _summarize, _draw)
