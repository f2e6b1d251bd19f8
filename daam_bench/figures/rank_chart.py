"""The rank of each method by generator and split, and how far the orders agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.figures.style import FRAME, INK, MARKERS, PAGE, PALE, PALETTE, new_figure, styled
from daam_bench.scoring.ranks import RankAgreement
from daam_bench.types.errors import InputError

_ROW, _CELL, _FRAME = 4.4, 8.0, 14.0  # millimetres
_ROOMY, _SMALL = 6, 6  # more columns than the one have type of the other's size


@dataclass(frozen=True, slots=True)
class RankColumn:
    """An order of methods: a split of a dataset.

    Attributes:
        name: What stands above it, in one or more lines.
        scores: Method -> score, higher is better.
    """

    name: str
    scores: Mapping[str, float]

    def ranks(self, methods: Sequence[str]) -> list[float]:
        """Return the rank of each of the methods among them, from 1; the equal share their mean rank."""
        values = [self.scores[name] for name in methods]
        return [
            1 + sum(other > one for other in values) + (sum(other == one for other in values) - 1) / 2
            for one in values
        ]


@styled
def rank_chart(
    columns: Sequence[RankColumn],
    agreements: Mapping[tuple[int, int], RankAgreement | None],
    *,
    labels: Mapping[str, str] | None = None,
    note: str = "",
) -> Figure:
    """Draw methods as lines through their ranks, and Kendall's tau between every two columns below them.

    Only methods that every column has are drawn as lines. The matrix holds tau, which may be over more
    methods, with its 95 % interval; darker is more alike.

    Args:
        columns: At least two.
        agreements: Places of two columns, the first smaller -> how far they agree.
        labels: Method -> its name in print.
        note: What stands below all, such as what a star after a column's name means.

    Raises:
        InputError: There are fewer than two columns, or fewer than two methods that all have.
    """
    methods = (
        [name for name in columns[0].scores if all(name in one.scores for one in columns)] if columns else []
    )
    if len(columns) < 2 or len(methods) < 2:
        raise InputError("ranks are of at least two methods on at least two splits; run more of them")
    heights = _ROW * len(methods) + _FRAME, _CELL * (len(columns) - 1) + _FRAME
    figure = new_figure(PAGE, sum(heights))
    upper, lower = figure.subplots(2, 1, height_ratios=heights)
    _draw_lines(upper, columns, methods, labels or {})
    _draw_agreements(lower, columns, agreements, note)
    if len(columns) > _ROOMY:
        for axes in (upper, lower):
            axes.tick_params(axis="x", labelsize=_SMALL)
            for text in axes.texts:
                text.set_fontsize(_SMALL)
    return figure


def _draw_lines(
    axes: Axes, columns: Sequence[RankColumn], methods: Sequence[str], labels: Mapping[str, str]
) -> None:
    lines = list(zip(*(column.ranks(methods) for column in columns), strict=True))
    places = range(len(columns))
    for index, line in enumerate(lines):
        marker = MARKERS[(index + index // len(PALETTE)) % len(MARKERS)]
        style = "-" if index < len(PALETTE) else "--"
        axes.plot(places, line, style, color=PALETTE[index % len(PALETTE)], marker=marker)
    ends: dict[float, list[int]] = {}
    for index, line in enumerate(lines):
        ends.setdefault(line[-1], []).append(index)
    for rank, members in ends.items():
        text = ", ".join(labels.get(methods[index], methods[index]) for index in members)
        colour = PALETTE[members[0] % len(PALETTE)]
        axes.annotate(
            text, (len(columns) - 1, rank), (5, 0), textcoords="offset points", va="center", color=colour,
            size=6.5, annotation_clip=False,
        )  # fmt: skip
    axes.set_xticks(places, [column.name for column in columns])
    axes.set_xlim(-0.3, len(columns) - 0.7)
    axes.set_yticks(range(1, len(methods) + 1))
    axes.set_ylim(len(methods) + 0.5, 0.5)
    axes.set_ylabel(r"rank by mIoU$_\infty$")
    axes.grid(True, axis="x")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()


def _draw_agreements(
    axes: Axes,
    columns: Sequence[RankColumn],
    agreements: Mapping[tuple[int, int], RankAgreement | None],
    note: str,
) -> None:
    """Draw Kendall's tau below the diagonal: no row for the first column, no column for the last."""
    count = len(columns) - 1
    shades = [[float("nan")] * count for _ in range(count)]
    for (first, second), found in agreements.items():
        if found is None:
            continue
        shades[second - 1][first] = found.tau
        colour = "white" if found.tau > 0.6 else INK
        text = f"{found.tau:.2f}\n[{found.low:.2f}, {found.high:.2f}]"
        axes.text(first, second - 1, text, ha="center", va="center", color=colour)
    axes.imshow(shades, cmap="Blues", vmin=-0.2, vmax=1.1, aspect="auto")
    names = [column.name for column in columns]
    axes.set_xticks(range(count), names[:-1])
    axes.set_yticks(range(count), names[1:])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color(FRAME)
    said = r"Kendall's $\tau$ over the methods that both have, with 95 % intervals over images"
    axes.set_xlabel("\n".join(filter(None, (said, note))), color=PALE)
