"""How the order of methods holds: between generators and splits, and against conventions of the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from daam_bench.analysis.report_files import save_all_formats, write_json_report
from daam_bench.analysis.table import LABELS, PROPOSED_MASKS
from daam_bench.figures.rank_chart import RankColumn, rank_chart
from daam_bench.figures.style import save
from daam_bench.scoring.bootstrap import ImageTotals
from daam_bench.scoring.conventions import OrderChange, order_changes, usual_tau
from daam_bench.scoring.ranks import RankAgreement, kendall, rank_agreement
from daam_bench.scoring.results import SplitScores
from tools.refresh.recording import Recorded

RANKS = "ranks"
"""Name of the figure and of the report beside the table."""

_STAR = "*"
"""After the name of a split with masks that nobody has checked."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What `ranks.json` holds.

    Attributes:
        methods: The methods that every column has.
        columns: (dataset, split), in order.
        scores: For each column, method -> mIoU_inf over the images that all its methods were run on.
        agreements: Places of two columns -> Kendall's tau over the methods that both have.
        changes: For each column, what other conventions do to the order of its methods run in full.
        by_precision: For each column, Kendall's tau between the order of the methods of heat maps by mIoU_inf
            and by average precision, which needs no tau; None for fewer than two.
        proposed: The columns with masks that nobody has checked.
    """

    methods: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    scores: tuple[Mapping[str, float], ...]
    agreements: Mapping[tuple[int, int], RankAgreement | None]
    changes: tuple[tuple[OrderChange, ...], ...]
    by_precision: tuple[float | None, ...]
    proposed: frozenset[tuple[str, str]] = frozenset()


def find_orders(recorded: Sequence[Recorded]) -> Orders | None:
    """Order the methods on every split of every dataset, and compare the orders.

    Args:
        recorded: What was recorded, dataset by dataset.

    Returns:
        None for fewer than two columns or fewer than two methods.
    """
    columns = [(one.dataset, split) for one in recorded for split in one.splits]
    by_column = [
        {name: scores[split] for name, scores in one.results.items() if split in scores}
        for one in recorded
        for split in one.splits
    ]
    methods = [name for name in by_column[0] if all(name in one for one in by_column)] if columns else []
    if len(columns) < 2 or len(methods) < 2:
        return None
    return Orders(
        tuple(methods),
        tuple(columns),
        tuple(map(_means, by_column)),
        {
            (one, other): _agreement(by_column[one], by_column[other])
            for one, other in combinations(range(len(columns)), 2)
        },
        tuple(tuple(order_changes(_in_full(column))) for column in by_column),
        tuple(map(_by_precision, by_column)),
        frozenset((one.dataset, split) for one in recorded for split in one.proposed),
    )


def write_orders(orders: Orders, folder: Path, image: Path) -> None:
    """Write `ranks.json` and the figure, in all formats and as the image of the docs."""
    write_json_report(folder / f"{RANKS}.json", to_record(orders))
    figure = rank_chart(
        [
            RankColumn(f"{column[0]}\n{column[1]}{_STAR if column in orders.proposed else ''}", scores)
            for column, scores in zip(orders.columns, orders.scores, strict=True)
        ],
        orders.agreements,
        labels=LABELS,
        note=f"{_STAR} {PROPOSED_MASKS}" if orders.proposed else "",
    )
    save_all_formats(figure, folder, RANKS)
    save(figure, image)


def to_record(orders: Orders) -> dict[str, Any]:
    """Return the orders as JSON values, columns by name."""
    names = [f"{dataset}/{split}" for dataset, split in orders.columns]
    return {
        "methods": list(orders.methods),
        "scores": dict(zip(names, map(dict, orders.scores), strict=True)),
        "kendall": [
            {"between": [names[one], names[other]], **({} if found is None else asdict(found))}
            for (one, other), found in orders.agreements.items()
        ],
        "conventions": {
            name: [asdict(change) for change in changes]
            for name, changes in zip(names, orders.changes, strict=True)
        },
        "kendall_with_average_precision": dict(zip(names, orders.by_precision, strict=True)),
    }


def _agreement(one: Mapping[str, SplitScores], other: Mapping[str, SplitScores]) -> RankAgreement | None:
    """Return how far two columns agree on the order of the methods that both have."""
    both = [name for name in one if name in other]
    first, second = ({name: column[name] for name in both} for column in (one, other))
    return rank_agreement(
        _common_totals(first), _common_totals(second), same_images=_same_images(first, second)
    )


def _means(column: Mapping[str, SplitScores]) -> dict[str, float]:
    totals = zip(column, _common_totals(column), strict=True)
    return {name: float(one.sums.sum() / max(1, one.pairs.sum())) for name, one in totals}


def _common_totals(column: Mapping[str, SplitScores]) -> list[ImageTotals]:
    """Return what each method scored on the images that all have: the first ones, where one had a limit."""
    count = min(len(scores.split) for scores in column.values())
    totals = [scores.ious.image_totals(usual_tau(scores)) for scores in column.values()]
    return [ImageTotals(one.sums[:count], one.pairs[:count]) for one in totals]


def _in_full(column: Mapping[str, SplitScores]) -> dict[str, SplitScores]:
    """Return the methods that were scored over the most pairs."""
    most = max(len(scores.ious.pairs) for scores in column.values())
    return {name: scores for name, scores in column.items() if len(scores.ious.pairs) == most}


def _same_images(one: Mapping[str, SplitScores], other: Mapping[str, SplitScores]) -> bool:
    """Tell whether two columns are of the same images with the same masks, as the scenes of siblings are."""
    first, second = (next(iter(column.values())).split for column in (one, other))
    counts = {min(len(scores.split) for scores in column.values()) for column in (one, other)}
    return first.fingerprint == second.fingerprint and len(counts) == 1


def _by_precision(column: Mapping[str, SplitScores]) -> float | None:
    soft = [
        (at.miou_inf, at.average_precision)
        for scores in column.values()
        if (at := scores[usual_tau(scores)]).average_precision is not None and at.miou_inf is not None
    ]
    return kendall([miou for miou, _ in soft], [precision or 0.0 for _, precision in soft])
