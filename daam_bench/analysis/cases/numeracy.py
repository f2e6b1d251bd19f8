"""Numeracy: how many objects are generated for a numeral, and where the numeral's map lies (Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from daam_bench.analysis.cases.case import (
    Case,
    CaseImage,
    CasePrompt,
    correlation,
    each_image,
    first_of,
    lift,
    location,
    with_article,
)
from daam_bench.analysis.cases.estimates import CaseRow, MeanColumn, estimate, table_by, whether
from daam_bench.emoji.world_nouns import NOUNS
from daam_bench.figures.charts import draw_dots, draw_shares
from daam_bench.figures.grids import chart_with_panels
from daam_bench.figures.panels import Panel

SINGLES = ("dog", "laptop", "apple", "car", "balloon", "elephant")
"""Nouns that are counted."""

_NUMERALS = {"one": 1, "two": 2, "three": 3}
_MOST = 4  # objects in the last column of the chart, or more
_COLUMNS = (
    MeanColumn("objects depicted", "depicted"),
    MeanColumn("as many as asked (%)", whether("depicted", "asked"), 0, 100),
    MeanColumn("word covers (%)", "coverage", 0, 100),
    MeanColumn("word's lift in objects", "lift"),
    MeanColumn("noun's lift in objects", "noun_lift"),
    MeanColumn("correlation with noun", "correlation"),
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
        "depicted": image.objects(),
        "coverage": float(numeral.threshold(tau).mean()),
        "noun_coverage": float(noun.threshold(tau).mean()),
        "lift": None if mask is None else lift(numeral, mask),
        "noun_lift": None if mask is None else lift(noun, mask),
        "correlation": correlation(numeral, noun),
    }


def _numeral(prompt: CasePrompt) -> str:
    """Return the word that says how many: of one object it is the article."""
    return prompt.text.split()[0]


def _figure(rows: Sequence[CaseRow], images: Sequence[CaseImage], tau: float) -> Figure:
    panels = []
    for kind in _NUMERALS:
        one = first_of(images, kind)
        title = " ".join(one.prompt.text.split()[:2])
        noun = one.panel(one.prompt.words[0], one.mask_of(one.prompt.nouns[0], tau))
        panels.append([Panel(title, one.image), one.panel(_numeral(one.prompt)), noun])
    if any(row["depicted"] is not None for row in rows):
        columns = [*map(str, range(_MOST)), f"{_MOST}+"]
        counts = partial(draw_shares, shares=_shares(rows), rows=list(_NUMERALS), columns=columns)
        return chart_with_panels(partial(counts, x="objects depicted", y="objects asked for"), panels)
    series = {
        name: [estimate(rows, column, numeral=numeral) for numeral in _NUMERALS]
        for name, column in (("numeral", "lift"), ("noun", "noun_lift"))
    }
    draw = partial(draw_dots, rows=list(_NUMERALS), series=series, axis="lift in the noun's mask")
    return chart_with_panels(partial(draw, level=(1, "chance")), panels)


def _shares(rows: Sequence[CaseRow]) -> NDArray[np.float64]:
    """Return the share of each numeral's images in which each number of objects is found."""
    shares = np.zeros((len(_NUMERALS), _MOST + 1))
    for row in rows:
        if isinstance(found := row["depicted"], int):
            shares[list(_NUMERALS).index(str(row["numeral"])), min(found, _MOST)] += 1
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    return shares


CASE = Case(
    title="Numeracy",
    prompts=_prompts,
    measure=_measure,
    summarize=partial(
        table_by, by="numeral", heading="word", kinds=_NUMERALS, columns=_COLUMNS, names={"one": "a, an"}
    ),
    figure=_figure,
)
