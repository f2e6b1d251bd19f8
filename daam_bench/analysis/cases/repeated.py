"""Repeated nouns: whether the maps of two occurrences of one noun differ as those of two nouns do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure

from daam_bench.analysis.cases.case import Case, CaseImage, correlation, each_image, first_of, pair_prompts
from daam_bench.analysis.cases.estimates import CaseRow, MeanColumn, estimates, table_by, whether
from daam_bench.figures.charts import draw_dots
from daam_bench.figures.grids import chart_with_panels
from daam_bench.figures.panels import Panel
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
    MeanColumn("objects depicted", "objects"),
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
    second = image.map_of(words[1]) if len(words) > 1 else image.map_of(words[0], 1)
    return image.map_of(words[0]), second


def _figure(rows: Sequence[CaseRow], images: Sequence[CaseImage], tau: float) -> Figure:
    panels = []
    for kind in _KINDS:
        one = first_of(images, kind)
        first, second = (*one.prompt.words, *one.prompt.words)[:2]
        titles = (f"first “{first}”", f"second “{second}”")
        maps = [
            Panel(title, one.image, heat_map) for title, heat_map in zip(titles, _two_maps(one), strict=True)
        ]
        panels.append([Panel(f"{first} and {second}", one.image), *maps])
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
