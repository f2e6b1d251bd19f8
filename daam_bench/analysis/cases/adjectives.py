"""Adjectives: where the maps of "big" and "small" lie, and what the words do to the size of their noun."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Case, CaseImage, each_image, first_of, lift, pair_prompts
from daam_bench.analysis.cases.estimates import CaseRow, MeanColumn, estimates, table_by
from daam_bench.figures.charts import draw_dots
from daam_bench.figures.grids import chart_with_panels
from daam_bench.figures.panels import Panel

_PLAIN = "none"
_KINDS = {
    _PLAIN: ("{noun}", "{other}"),
    "big": ("big {noun}", "{other}"),
    "small": ("small {noun}", "{other}"),
}
_ADJECTIVES = ("big", "small")
_PARTS = {"its noun": "noun_lift", "the other noun": "other_lift", "the rest": "rest_lift"}
_COLUMNS = (
    *(MeanColumn(f"lift in {part}", name) for part, name in _PARTS.items()),
    MeanColumn("noun's own lift", "own_map_lift"),
    MeanColumn("noun's area (%)", "noun_area", 1, 100),
)


@each_image
def _measure(image: CaseImage, tau: float) -> CaseRow | None:
    """Measure an image that depicts both nouns."""
    prompt = image.prompt
    noun, other = (image.mask_of(name, tau) for name in prompt.nouns)
    if noun is None or other is None:
        return None
    lifts: list[float | None] = [None] * len(_PARTS)
    if prompt.kind != _PLAIN:
        adjective = image.map_of(prompt.kind)
        lifts = [lift(adjective, part) for part in (noun, other, ~(noun | other))]
    return {
        "adjective": prompt.kind,
        "noun": prompt.nouns[0],
        "other": prompt.nouns[1],
        "noun_area": float(noun.mean()),
        **dict(zip(_PARTS.values(), lifts, strict=True)),
        "own_map_lift": lift(image.map_of(prompt.words[0]), noun),
    }


def _figure(rows: Sequence[CaseRow], images: Sequence[CaseImage], tau: float) -> Figure:
    measured = {row["image"] for row in rows}
    measured_first = [one for index, one in enumerate(images) if index in measured] + [*images]
    panels = []
    for kind in _ADJECTIVES:
        one = first_of(measured_first, kind)
        (word, other), (noun, other_noun) = one.prompt.words, one.prompt.nouns
        of_noun, of_other = one.mask_of(noun, tau), one.mask_of(other_noun, tau)
        title = f"{kind} {word}, {other}"
        maps = [one.panel(kind, of_noun), one.panel(word, of_noun), one.panel(other, of_other)]
        panels.append([Panel(title, one.image), *maps])
    series = {f"“{kind}”": estimates(rows, _PARTS.values(), adjective=kind) for kind in _ADJECTIVES}
    draw = partial(draw_dots, rows=list(_PARTS), series=series, axis="lift of the adjective's map")
    return chart_with_panels(partial(draw, level=(1, "chance")), panels, chart=0.36)


CASE = Case(
    title="Adjectives",
    prompts=partial(pair_prompts, _KINDS),
    measure=_measure,
    summarize=partial(table_by, by="adjective", kinds=_KINDS, columns=_COLUMNS, heading="adjective"),
    figure=_figure,
)
