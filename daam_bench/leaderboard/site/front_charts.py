"""The charts of the front page: mIoU over tau, and mIoU_80 against mIoU_inf, in the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.patches import PathPatch
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D

from daam_bench.figures.score_charts import MethodLook, curve_points, draw_curves, draw_scatter
from daam_bench.figures.style import GRID, INK, MARKERS, PALE, percent_axis, styled
from daam_bench.leaderboard.site.standings import Standing
from daam_bench.types import Scores

WIDTH, HEIGHT = 400, 290
"""Size of a chart in its own units."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 26, 36
_SERIES = ("#c24c00", "#1667b8", "#007a55", "#a34a86", "#8a6a00", "#5a5f66", "#0f7f94", "#7a3fb8")
_COLOURS = {
    INK: "var(--ink)",
    PALE: "var(--soft)",
    GRID: "var(--rule)",
    "#ffffff": "var(--paper)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(_SERIES)},
}
"""What the style sheet calls the colours, in both themes."""

_REFERENCE = re.compile(r"(?:url\()?#([^)]+)\)?")
_SUB = re.compile(r"(mIoU)_(80|∞)")

_TYPE = 10.5
_RC: Any = {
    "font.size": _TYPE,
    "axes.labelsize": _TYPE,
    "xtick.labelsize": _TYPE,
    "ytick.labelsize": _TYPE,
    "axes.labelcolor": PALE,
    "axes.spines.left": False,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
    "lines.markersize": 9,
    "lines.markeredgecolor": "white",
    "lines.markeredgewidth": 0.7,
}


class Chart(NamedTuple):
    """What is shown, a split or how a method looks, as an SVG element."""

    of: str | MethodLook
    svg: str


class CurveTable(NamedTuple):
    """The curves of a split in numbers: a row a tau with the mIoU_inf of each of the named soft methods."""

    split: str
    names: list[str]
    rows: list[tuple[float, list[float | None]]]


def method_looks(rows: Sequence[Standing]) -> list[MethodLook]:
    """Return how each method looks in the charts, in the order of their best rows."""
    looks = []
    for index, (slug, scored) in enumerate({row.entry.slug: row.scored for row in rows}.items()):
        report, taus = scored.entry.report, scored.taus()
        scores = {split: {tau: report.splits[split][tau] for tau in taus} for split in scored.results}
        colour, marker = _SERIES[index % len(_SERIES)], MARKERS[index % len(MARKERS)]
        looks.append(MethodLook(scored.entry.submission.name, scores, colour, marker, slug))
    return looks


def curve_charts(looks: Sequence[MethodLook], splits: Sequence[str]) -> list[Chart]:
    """Return a chart of mIoU_inf over tau for each split, all with the same axes."""
    scores = _scores(looks, splits)
    values = [value for found in scores for value in (found.miou_inf, *(found.ci95_inf or ())) if value]
    values += [
        miou for split in splits for look in _on(looks, split) for _, miou in curve_points(look.scores[split])
    ]
    ticks = percent_ticks(max(values, default=1.0))

    def draw(axes: Axes, split: str) -> None:
        draw_curves(axes, _on(looks, split), split)
        axes.set_yticks(ticks)
        axes.set_ylim(0, ticks[-1])
        axes.set_xlabel("τ")

    label = "mIoU ∞ over tau on {}; the table below holds the numbers"
    return [_chart(draw, "curves", split, label) for split in splits]


def scatter_charts(looks: Sequence[MethodLook], splits: Sequence[str]) -> list[Chart]:
    """Return a chart of mIoU_inf against mIoU_80 for each split, all with the same axes."""
    scores = _scores(looks, splits)
    ends = [ends[1] for found in scores for ends in (found.ci95_80, found.ci95_inf) if ends]
    ticks = percent_ticks(max(ends, default=1.0))

    def draw(axes: Axes, split: str) -> None:
        axes.set(xticks=ticks, yticks=ticks, xlim=(0, ticks[-1]), ylim=(0, ticks[-1]))
        draw_scatter(axes, _on(looks, split), split)
        percent_axis(axes, "x", "mIoU_80")
        axes.grid(False, axis="x")

    label = "mIoU ∞ against mIoU 80 on {}, with intervals; the table above holds the numbers"
    return [_chart(draw, "scatter", split, label) for split in splits]


def curve_tables(looks: Sequence[MethodLook], splits: Sequence[str]) -> list[CurveTable]:
    """Return the curves of each split in numbers."""
    tables = []
    for split in splits:
        soft = [look for look in _on(looks, split) if curve_points(look.scores[split])]
        curves = [dict(curve_points(look.scores[split])) for look in soft]
        taus = sorted({tau for curve in curves for tau in curve})
        names = [look.name for look in soft]
        tables.append(CurveTable(split, names, [(tau, [curve.get(tau) for curve in curves]) for tau in taus]))
    return tables


def _on(looks: Sequence[MethodLook], split: str) -> list[MethodLook]:
    """Return the methods that were run on a split."""
    return [look for look in looks if split in look.scores]


def _scores(looks: Sequence[MethodLook], splits: Sequence[str]) -> list[Scores]:
    return [found for split in splits for look in _on(looks, split) for found in look.scores[split].values()]


def percent_ticks(highest: float) -> list[float]:
    """Return the fractions to mark on an axis from 0 up to at least `highest`, at round percentages.

    >>> [round(100 * tick) for tick in percent_ticks(0.632)]
    [0, 20, 40, 60, 80]
    """
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, max(highest, 0.15))
    return [float(tick) for tick in ticks]


@styled
def _chart(draw: Callable[[Axes, str], None], kind: str, split: str, label: str) -> Chart:
    with rc_context(_RC):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
        width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        axes = figure.add_axes((_LEFT / WIDTH, _BOTTOM / HEIGHT, width / WIDTH, height / HEIGHT))
        draw(axes, split)
        percent_axis(axes, "y", "mIoU_∞")
        axes.yaxis.label.set(rotation=0, ha="left", va="top")
        axes.yaxis.set_label_coords(0, 1, figure.transFigure)
        axes.xaxis.label.set(ha="right", va="bottom")
        axes.xaxis.set_label_coords(1 - _RIGHT / WIDTH, 0, figure.transFigure)
        svg = inline_svg(figure, f"{kind}-{split}", label.format(split))
    return Chart(split, svg)


@styled
def legend(looks: Sequence[MethodLook]) -> list[Chart]:
    """Return each method's line and marker."""
    swatches = []
    for look in looks:
        figure = Figure(figsize=(24 / 72, 16 / 72), dpi=72)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 24), ylim=(0, 16))
        axes.set_axis_off()
        axes.plot((0, 24), (8, 8), color=look.colour, linewidth=2, clip_on=False)
        marker = MarkerStyle(look.marker)
        shape = marker.get_path().transformed(marker.get_transform() + Affine2D().scale(8).translate(12, 8))
        axes.add_patch(PathPatch(shape, facecolor=look.colour, edgecolor="white", clip_on=False, zorder=3))
        swatches.append(Chart(look, inline_svg(figure, f"key-{look.key}")))
    return swatches


@styled
def inline_svg(figure: Figure, name: str, label: str = "") -> str:
    """Return a figure as an SVG element that may stand in an HTML page under a strict policy.

    It has no style, script or link, and no id but those it needs, which begin with its name, unique in the
    page. The same figure gives the same text. A part whose gid is "key: what it stands for" becomes a group
    with that key as `data-entry` and that text as its title. "mIoU_80" and "mIoU_∞" are written with their
    indices below. A figure without a label is hidden from those who don't see it.
    """
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # matplotlib has just written what is parsed here.
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314
    values = [value for element in root.iter() for value in element.attrib.values()]
    targets = dict.fromkeys(match[1] for value in values if (match := _REFERENCE.fullmatch(value)))
    ids = {target: f"{name}-{index}" for index, target in enumerate(targets)}
    for parent in list(root.iter()):
        for child in [child for child in parent if _bare(child.tag) in ("metadata", "style")]:
            parent.remove(child)
    for element in root.iter():
        _adapt(element, ids)
    described = {"role": "img", "aria-label": label} if label else {"aria-hidden": "true"}
    root.attrib = {"viewBox": root.attrib["viewBox"], **described}
    return ElementTree.tostring(root, encoding="unicode")


def _bare(name: str) -> str:
    """Return a tag or an attribute's name without its namespace."""
    return name.rpartition("}")[2]


def _adapt(element: ElementTree.Element, ids: dict[str, str]) -> None:
    """Rewrite an element's attributes for the page."""
    element.tag = _bare(element.tag)
    given, element.attrib = element.attrib, {}
    for name, value in given.items():
        if name == "id" and value in ids:
            element.set("id", ids[value])
        elif name == "id" and ": " in value:
            key, text = value.split(": ", 1)
            element.set("data-entry", key)
            title = ElementTree.Element("title")
            title.text = text
            element.insert(0, title)
        elif name == "id":
            continue
        elif name == "style":
            for declaration in filter(None, value.split(";")):
                key, text = (part.strip() for part in declaration.split(":", 1))
                if not key.startswith("font"):
                    element.set(key, _COLOURS.get(text.lower(), text))
        elif match := _REFERENCE.fullmatch(value):
            element.set(_bare(name), value.replace(match[1], ids[match[1]]))
        else:
            element.set(name, value)
    if element.text and (match := _SUB.search(element.text)):
        rest, element.text = element.text[match.end() :], match[1]
        ElementTree.SubElement(element, "tspan", {"class": "sub", "dy": "3"}).text = match[2]
        ElementTree.SubElement(element, "tspan", {"dy": "-3"}).text = rest
