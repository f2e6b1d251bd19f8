"""Repeated nouns: whether the maps of two occurrences of one noun differ as those of two nouns do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Case, CaseImage, each_image, first_of, pair_prompts
from daam_bench.analysis.cases.estimates import CaseRow, MeanColumn, estimates, table_by, whether
from daam_bench.analysis.cases.measures import correlation
from daam_bench.figures.charts import draw_dots
from daam_bench.figures.panels import Panel, chart_with_panels
from daam_bench.scoring.iou import iou
from daam_bench.types.heat_map import HeatMap

_KINDS = {
    "repeated": ("{noun}", "{noun}"),
    "different": ("{noun}", "{other}"),
}
_MEASURES = {"correlation": "correlation", "IoU": "iou"}
_COLUMNS = (
    MeanColumn("correlation of the two maps", "correlation"),
    MeanColumn("IoU", "iou"),
    MeanColumn("objects drawn", "objects"),
    MeanColumn("two objects (%)", whether("objects", 2), 0, 100),
)


@each_image
def _measure(image: CaseImage, tau: float) -> CaseRow:
    first, second = _two_maps(image)
    return {
        "kind": image.prompt.kind,
        "correlation": correlation(first, second),
        "iou": iou(first.threshold(tau), second.threshold(tau)),
        "objects": image.objects(),
    }


def _two_maps(image: CaseImage) -> tuple[HeatMap, HeatMap]:
    """Return the maps of the first noun and of the second, which may be the same noun again."""
    words = image.prompt.words
    if len(words) == 1:
        return image.map_of(words[0], 0), image.map_of(words[0], 1)
    return image.map_of(words[0]), image.map_of(words[1])


def _figure(rows: Sequence[CaseRow], images: Sequence[CaseImage], tau: float) -> Figure:
    panels = []
    for kind in _KINDS:
        one = first_of(images, kind)
        first, second = (*one.prompt.words, *one.prompt.words)[:2]
        first_map, second_map = _two_maps(one)
        panels.append(
            [
                Panel(f"{first} and {second}", one.image),
                Panel(f"first “{first}”", one.image, first_map),
                Panel(f"second “{second}”", one.image, second_map),
            ]
        )
    series = {f"{kind} nouns": estimates(rows, _MEASURES.values(), kind=kind) for kind in _KINDS}
    draw = partial(draw_dots, rows=list(_MEASURES), series=series, axis="agreement of the two nouns' maps")
    return chart_with_panels(partial(draw, level=(0, "")), panels)


CASE = Case(
    title="Repeated nouns",
    prompts=partial(pair_prompts, _KINDS),
    measure=_measure,
    summarize=partial(table_by, by="kind", kinds=_KINDS, columns=_COLUMNS, heading="nouns"),
    figure=_figure,
)
