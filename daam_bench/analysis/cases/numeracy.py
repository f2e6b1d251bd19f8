"""Numeracy: how many objects are drawn when a numeral asks for them, and where it looks (Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Asked, Case, Picture, Row, Table
from daam_bench.analysis.cases.measures import cell, correlation, dot, estimate, lift
from daam_bench.analysis.cases.scenes import SINGLES, one, plural_of, usual_place
from daam_bench.emoji.annotator import instances
from daam_bench.figures.charts import draw_dots, draw_shares
from daam_bench.figures.panels import Panel, chart_with_panels

_NUMERALS = {"one": 1, "two": 2, "three": 3}
_MOST = 4  # objects in the table's last column, or more


def _ask(seeds: int) -> list[Asked]:
    prompts = []
    for kind, count in _NUMERALS.items():
        for noun in SINGLES:
            words = one(noun) if count == 1 else f"{kind} {plural_of(noun)}"
            noun_word = noun if count == 1 else plural_of(noun)
            prompts += [
                Asked(f"{words} {usual_place(noun)}", seed, kind, (noun,), (noun_word,))
                for seed in range(seeds)
            ]
    return prompts


def _measure(pictures: Sequence[Picture], tau: float) -> list[Row]:
    return [_row(place, picture, tau) for place, picture in enumerate(pictures)]


def _row(place: int, picture: Picture, tau: float) -> Row:
    asked = picture.asked
    numeral, noun = picture.map_of(_numeral(asked)), picture.map_of(asked.words[0])
    mask = picture.mask_of(asked.nouns[0], tau)
    return {
        "picture": place,
        "prompt": asked.text,
        "seed": asked.seed,
        "noun": asked.nouns[0],
        "numeral": asked.kind,
        "asked": _NUMERALS[asked.kind],
        "drawn": None if picture.masks is None else 0 if mask is None else instances(mask),
        "coverage": float(numeral.threshold(tau).mean()),
        "noun_coverage": float(noun.threshold(tau).mean()),
        "lift": None if mask is None else lift(numeral, mask),
        "noun_lift": None if mask is None else lift(noun, mask),
        "correlation": correlation(numeral, noun),
    }


def _numeral(asked: Asked) -> str:
    """Return the word that says how many: of one object it is the article."""
    return asked.text.split()[0]


def _summarize(rows: Sequence[Row]) -> Table:
    lines = []
    for numeral, count in _NUMERALS.items():
        chosen = [
            {**row, "right": None if row["drawn"] is None else int(row["drawn"] == count)}
            for row in rows
            if row["numeral"] == numeral
        ]
        lines.append(
            (
                "a, an" if count == 1 else numeral,
                str(len(chosen)),
                cell(estimate(chosen, "drawn")),
                cell(estimate(chosen, "right"), 0, 100),
                cell(estimate(chosen, "coverage"), 0, 100),
                cell(estimate(chosen, "lift")),
                cell(estimate(chosen, "noun_lift")),
                cell(estimate(chosen, "correlation")),
            )
        )
    return Table(
        (
            "word",
            "pictures",
            "objects drawn",
            "as many as asked (%)",
            "word covers (%)",
            "word's lift in objects",
            "noun's lift in objects",
            "correlation with noun",
        ),
        tuple(lines),
    )


def _draw(rows: Sequence[Row], pictures: Sequence[Picture], tau: float) -> Figure:
    firsts = [next(one for one in pictures if one.asked.kind == kind) for kind in _NUMERALS]
    panels = [
        [
            Panel(_short(picture.asked), picture.image),
            Panel(f"“{_numeral(picture.asked)}”", picture.image, picture.map_of(_numeral(picture.asked))),
            Panel(
                f"“{picture.asked.words[0]}”",
                picture.image,
                picture.map_of(picture.asked.words[0]),
                picture.mask_of(picture.asked.nouns[0], tau),
            ),
        ]
        for picture in firsts
    ]
    counted = [row for row in rows if row["drawn"] is not None]
    return chart_with_panels(
        partial(_draw_counts, counted) if counted else partial(_draw_lifts, rows), panels
    )


def _short(asked: Asked) -> str:
    return " ".join(asked.text.split()[:2])


def _draw_counts(rows: Sequence[Row], axes: Axes) -> None:
    shares = np.zeros((len(_NUMERALS), _MOST + 1))
    for row in rows:
        drawn, asked = row["drawn"], row["asked"]
        assert isinstance(drawn, int)
        assert isinstance(asked, int)
        shares[asked - 1, min(drawn, _MOST)] += 1
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    columns = [*map(str, range(_MOST)), f"{_MOST}+"]
    draw_shares(axes, shares, ["one", "two", "three"], columns, x="objects drawn", y="objects asked for")


def _draw_lifts(rows: Sequence[Row], axes: Axes) -> None:
    series = {}
    for name, column in (("numeral", "lift"), ("noun", "noun_lift")):
        series[name] = [dot(estimate(rows, column, numeral=numeral)) for numeral in _NUMERALS]
    draw_dots(axes, list(_NUMERALS), series, axis="lift in the noun's mask", level=(1, "chance"))


CASE = Case("Numeracy", _ask, _measure, _summarize, _draw)
