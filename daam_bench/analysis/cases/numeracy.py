"""Numeracy: how many objects are generated for a numeral, and where the numeral's map lies (Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import (
    Case,
    CaseImage,
    CasePrompt,
    each_image,
    first_of,
    location,
    with_article,
)
from daam_bench.analysis.cases.estimates import CaseRow, CaseTable, Column, estimate, table_by
from daam_bench.analysis.cases.measures import correlation, lift
from daam_bench.emoji.nouns import NOUNS
from daam_bench.figures import Panel, chart_with_panels, draw_dots, draw_shares

SINGLES = ("dog", "laptop", "apple", "car", "balloon", "elephant")
"""Nouns that are counted."""

_NUMERALS = {"one": 1, "two": 2, "three": 3}
_NAMES = {"one": "a, an", "two": "two", "three": "three"}
_MOST = 4  # objects in the last column of the chart, or more
_COLUMNS = (
    Column("objects drawn", "drawn"),
    Column("as many as asked (%)", "right", 0, 100),
    Column("word covers (%)", "coverage", 0, 100),
    Column("word's lift in objects", "lift"),
    Column("noun's lift in objects", "noun_lift"),
    Column("correlation with noun", "correlation"),
)


def _prompts(seeds: int) -> list[CasePrompt]:
    prompts = []
    for kind, count in _NUMERALS.items():
        for noun in SINGLES:
            word = noun if count == 1 else NOUNS[noun].plural
            counted = with_article(noun) if count == 1 else f"{kind} {word}"
            text = f"{counted} {location(NOUNS[noun].usual[0])}"
            prompts += [CasePrompt(text, seed, kind, (noun,), (word,)) for seed in range(seeds)]
    return prompts


@each_image
def _measure(image: CaseImage, tau: float) -> CaseRow:
    prompt = image.prompt
    numeral, noun = image.map_of(_numeral(prompt)), image.map_of(prompt.words[0])
    mask = image.mask_of(prompt.nouns[0], tau)
    return {
        "noun": prompt.nouns[0],
        "numeral": prompt.kind,
        "asked": _NUMERALS[prompt.kind],
        "drawn": image.objects(),
        "coverage": float(numeral.threshold(tau).mean()),
        "noun_coverage": float(noun.threshold(tau).mean()),
        "lift": None if mask is None else lift(numeral, mask),
        "noun_lift": None if mask is None else lift(noun, mask),
        "correlation": correlation(numeral, noun),
    }


def _numeral(prompt: CasePrompt) -> str:
    """Return the word that says how many: of one object it is the article."""
    return prompt.text.split()[0]


def _summarize(rows: Sequence[CaseRow]) -> CaseTable:
    counted = [
        {**row, "right": None if row["drawn"] is None else int(row["drawn"] == row["asked"])} for row in rows
    ]
    return table_by(counted, "numeral", _NAMES, _COLUMNS, "word")


def _figure(rows: Sequence[CaseRow], images: Sequence[CaseImage], tau: float) -> Figure:
    panels = []
    for kind in _NUMERALS:
        one = first_of(images, kind)
        title = " ".join(one.prompt.text.split()[:2])
        noun = one.panel(one.prompt.words[0], one.mask_of(one.prompt.nouns[0], tau))
        panels.append([Panel(title, one.image), one.panel(_numeral(one.prompt)), noun])
    counted = [row for row in rows if row["drawn"] is not None]
    return chart_with_panels(
        partial(_draw_counts, counted) if counted else partial(_draw_lifts, rows), panels
    )


def _draw_counts(rows: Sequence[CaseRow], axes: Axes) -> None:
    shares = np.zeros((len(_NUMERALS), _MOST + 1))
    for row in rows:
        found, asked = row["drawn"], row["asked"]
        assert isinstance(found, int)
        assert isinstance(asked, int)
        shares[asked - 1, min(found, _MOST)] += 1
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    columns = [*map(str, range(_MOST)), f"{_MOST}+"]
    draw_shares(axes, shares, list(_NUMERALS), columns, x="objects drawn", y="objects asked for")


def _draw_lifts(rows: Sequence[CaseRow], axes: Axes) -> None:
    by_column = {
        name: [estimate(rows, column, numeral=numeral) for numeral in _NUMERALS]
        for name, column in (("numeral", "lift"), ("noun", "noun_lift"))
    }
    draw_dots(axes, list(_NUMERALS), by_column, axis="lift in the noun's mask", level=(1, "chance"))


CASE = Case("Numeracy", _prompts, _measure, _summarize, _figure)
