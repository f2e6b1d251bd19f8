"""Repeated nouns: whether two occurrences of one noun look at two things, as two different nouns do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Asked, Case, Picture, Row, Table
from daam_bench.analysis.cases.measures import cell, correlation, dot, estimate, overlap
from daam_bench.analysis.cases.scenes import PAIRS, one, place
from daam_bench.emoji.annotator import instances
from daam_bench.figures.charts import draw_dots
from daam_bench.figures.panels import Panel, chart_with_panels
from daam_bench.types.heat_map import HeatMap

_KINDS = ("repeated", "different")
_MEASURES = {"correlation": "correlation", "IoU": "iou"}


def _ask(seeds: int) -> list[Asked]:
    prompts = []
    for kind in _KINDS:
        for noun, other, background in PAIRS:
            second = noun if kind == "repeated" else other
            nouns = tuple(dict.fromkeys((noun, second)))
            prompts += [
                Asked(f"{one(noun)} and {one(second)} {place(background)}", seed, kind, nouns, nouns)
                for seed in range(seeds)
            ]
    return prompts


def _measure(pictures: Sequence[Picture], tau: float) -> list[Row]:
    return [_row(index, picture, tau) for index, picture in enumerate(pictures)]


def _row(index: int, picture: Picture, tau: float) -> Row:
    first, second = _two_maps(picture)
    return {
        "picture": index,
        "prompt": picture.asked.text,
        "seed": picture.asked.seed,
        "kind": picture.asked.kind,
        "correlation": correlation(first, second),
        "iou": overlap(first, second, tau),
        "objects": _objects(picture),
    }


def _two_maps(picture: Picture) -> tuple[HeatMap, HeatMap]:
    """Return the maps of the first noun and of the second, which may be the same noun again."""
    words = picture.asked.words
    if len(words) == 1:
        return picture.map_of(words[0], 0), picture.map_of(words[0], 1)
    return picture.map_of(words[0]), picture.map_of(words[1])


def _objects(picture: Picture) -> int | None:
    if picture.masks is None:
        return None
    return sum(instances(mask) for mask in picture.masks.values() if mask is not None)


def _summarize(rows: Sequence[Row]) -> Table:
    lines = []
    for kind in _KINDS:
        chosen = [
            {**row, "two": None if row["objects"] is None else int(row["objects"] == 2)}
            for row in rows
            if row["kind"] == kind
        ]
        lines.append(
            (
                kind,
                str(len(chosen)),
                cell(estimate(chosen, "correlation")),
                cell(estimate(chosen, "iou")),
                cell(estimate(chosen, "objects")),
                cell(estimate(chosen, "two"), 0, 100),
            )
        )
    return Table(
        ("nouns", "pictures", "correlation of the two maps", "IoU", "objects drawn", "two objects (%)"),
        tuple(lines),
    )


def _draw(rows: Sequence[Row], pictures: Sequence[Picture], tau: float) -> Figure:
    panels = []
    for kind in _KINDS:
        picture = next(one for one in pictures if one.asked.kind == kind)
        words = (*picture.asked.words, *picture.asked.words)[:2]
        maps = _two_maps(picture)
        panels.append(
            [
                Panel(" and ".join(words), picture.image),
                *(
                    Panel(f"{order} “{word}”", picture.image, heat_map)
                    for order, word, heat_map in zip(("first", "second"), words, maps, strict=True)
                ),
            ]
        )
    return chart_with_panels(partial(_draw_agreement, rows), panels)


def _draw_agreement(rows: Sequence[Row], axes: Axes) -> None:
    series = {}
    for kind in _KINDS:
        series[f"{kind} nouns"] = [dot(estimate(rows, one, kind=kind)) for one in _MEASURES.values()]
    draw_dots(axes, list(_MEASURES), series, axis="agreement of the two nouns' maps", level=(0, ""))


CASE = Case("Repeated nouns", _ask, _measure, _summarize, _draw)
