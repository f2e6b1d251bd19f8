"""Adjectives: where "big" and "small" look, and what they do to the size of their noun."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Asked, Case, Picture, Row, Table
from daam_bench.analysis.cases.measures import cell, dot, estimate, lift
from daam_bench.analysis.cases.scenes import PAIRS, one, place
from daam_bench.figures.charts import draw_dots
from daam_bench.figures.panels import Panel, chart_with_panels

_ADJECTIVES = ("big", "small")
_PLAIN = "none"
_PARTS = {"its noun": "noun_lift", "the other noun": "other_lift", "the rest": "rest_lift"}


def _ask(seeds: int) -> list[Asked]:
    return [
        Asked(
            f"{one(noun) if kind == _PLAIN else one(kind, noun)} and {one(other)} {place(background)}",
            seed,
            kind,
            (noun, other),
            (noun, other),
        )
        for kind in (_PLAIN, *_ADJECTIVES)
        for noun, other, background in PAIRS
        for seed in range(seeds)
    ]


def _measure(pictures: Sequence[Picture], tau: float) -> list[Row]:
    """Measure the images in which both nouns are drawn."""
    return [row for index, picture in enumerate(pictures) if (row := _row(index, picture, tau)) is not None]


def _row(index: int, picture: Picture, tau: float) -> Row | None:
    asked = picture.asked
    noun, other = (picture.mask_of(name, tau) for name in asked.nouns)
    if noun is None or other is None:
        return None
    lifts: list[float | None] = [None] * len(_PARTS)
    if asked.kind != _PLAIN:
        adjective = picture.map_of(asked.kind)
        lifts = [lift(adjective, part) for part in (noun, other, ~(noun | other))]
    return {
        "picture": index,
        "prompt": asked.text,
        "seed": asked.seed,
        "adjective": asked.kind,
        "noun": asked.nouns[0],
        "other": asked.nouns[1],
        "noun_area": float(noun.mean()),
        **dict(zip(_PARTS.values(), lifts, strict=True)),
        "own_map_lift": lift(picture.map_of(asked.words[0]), noun),
    }


def _summarize(rows: Sequence[Row]) -> Table:
    lines = []
    for kind in (_PLAIN, *_ADJECTIVES):
        chosen = [row for row in rows if row["adjective"] == kind]
        lines.append(
            (
                kind,
                str(len(chosen)),
                *(cell(estimate(chosen, column)) for column in _PARTS.values()),
                cell(estimate(chosen, "own_map_lift")),
                cell(estimate(chosen, "noun_area"), 1, 100),
            )
        )
    header = ("adjective", "pictures", *(f"lift in {part}" for part in _PARTS))
    return Table((*header, "noun's own lift", "noun's area (%)"), tuple(lines))


def _draw(rows: Sequence[Row], pictures: Sequence[Picture], tau: float) -> Figure:
    measured = {row["picture"] for row in rows}
    drawn = [one for index, one in enumerate(pictures) if index in measured]
    firsts = [next(one for one in (*drawn, *pictures) if one.asked.kind == kind) for kind in _ADJECTIVES]
    panels = [
        [
            Panel(f"{picture.asked.kind} {', '.join(picture.asked.words)}", picture.image),
            *(
                Panel(f"“{word}”", picture.image, picture.map_of(word), picture.mask_of(noun, tau))
                for word, noun in zip(
                    (picture.asked.kind, *picture.asked.words),
                    (picture.asked.nouns[0], *picture.asked.nouns),
                    strict=True,
                )
            ),
        ]
        for picture in firsts
    ]
    return chart_with_panels(partial(_draw_lifts, rows), panels, chart=0.36)


def _draw_lifts(rows: Sequence[Row], axes: Axes) -> None:
    series = {}
    for kind in _ADJECTIVES:
        series[f"“{kind}”"] = [dot(estimate(rows, part, adjective=kind)) for part in _PARTS.values()]
    draw_dots(axes, list(_PARTS), series, axis="lift of the adjective's map", level=(1, "chance"))


CASE = Case("Adjectives", _ask, _measure, _summarize, _draw)
