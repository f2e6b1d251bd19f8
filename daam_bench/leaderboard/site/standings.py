"""The table of the leaderboard: a row a method and tau, a column a split and metric, and who is tied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from daam_bench.leaderboard import SPLITS
from daam_bench.leaderboard.entries import Entry, compare
from daam_bench.leaderboard.faithfulness_record import EffectScore
from daam_bench.leaderboard.flags import find_flags
from daam_bench.scoring.ranks import Lead, count_better, leads
from daam_bench.scoring.results import HARD, SplitScores
from daam_bench.scoring.score import score
from daam_bench.segmenters.cards import TRACKS
from daam_bench.types import Scores, Split
from daam_bench.types.errors import InputError
from daam_bench.types.reports import Track


class Column(NamedTuple):
    """A column of scores: mIoU_80 ("80") or mIoU_inf ("inf") on a split."""

    split: str
    metric: Literal["80", "inf"]


def columns_of(splits: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of splits, two each."""
    return tuple(column for split in splits for column in (Column(split, "80"), Column(split, "inf")))


@dataclass(frozen=True, slots=True)
class Cell:
    """One score of the table in [0, 1], with its 95 % interval.

    It is None if the split has no such pair, or the entry not that split. Its standing in its track is that
    of `daam_bench.scoring.ranks.leads`: "best" if it is ahead of all other entries of its column for sure,
    "tied" if it can't be told apart from the highest, or is the highest and some can't.
    """

    miou: float | None
    interval: tuple[float, float] | None
    standing: Lead | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """An entry with the IoU of every pair, by split, and what it is flagged with."""

    entry: Entry
    results: Mapping[str, SplitScores]
    flags: tuple[str, ...] = ()

    def taus(self) -> list[str]:
        """Return the taus of its rows, as a report writes them."""
        first = next(iter(self.results.values()))
        return [tau for tau in first if all(tau in scores for scores in self.results.values())]

    def best_tau(self) -> str:
        """Return the tau with the highest mIoU_inf on the first split."""
        scores = self.entry.report.splits[next(iter(self.results))]
        return max(self.taus(), key=lambda tau: scores[tau].miou_inf or 0.0)


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of the table: an entry at one of its taus ("0.4", or "none" for hard masks).

    Its rank is 1 and the number of other entries of its track with a row that is better for sure in mIoU_inf
    on the first split.
    """

    scored: Scored
    tau: str
    cells: Mapping[Column, Cell]
    rank: int

    @property
    def entry(self) -> Entry:
        """The entry."""
        return self.scored.entry

    @property
    def track(self) -> Track | None:
        """The track that it is ranked in; None for a method that doesn't say."""
        return self.entry.submission.listed_track

    @property
    def seconds_per_image(self) -> float | None:
        """What an image cost its authors, as they say; None if they don't."""
        environment = self.entry.submission.environment
        return None if environment is None else environment.seconds_per_image

    def heat_maps_effect(self, split: str) -> EffectScore | None:
        """Return the F of its heat maps on a split, the same in all rows; None where no host measured it."""
        record = self.entry.faithfulness
        return None if record is None else record.heat_maps.get(split)

    def masks_effect(self, split: str) -> EffectScore | None:
        """Return the J of its masks on a split at its tau; None where no host measured it."""
        record = self.entry.faithfulness
        return None if record is None else record.masks.get(split, {}).get(self.tau)

    @property
    def label(self) -> str:
        """The method's name, with its tau if it has one."""
        name = self.entry.submission.name
        return name if self.tau == HARD else f"{name}, τ {self.tau}"


def score_entry(
    entry: Entry, splits: Mapping[str, Split], proposals: Mapping[str, Split] | None = None
) -> Scored:
    """Score an entry's masks, check that its report says the same, and find its flags.

    Raises:
        InputError: The masks are of another dataset, give other scores than the report, or have no tau that
            all splits have.
    """
    results = {}
    for name, split in splits.items():
        if name not in SPLITS and name not in entry.report.splits and not entry.predictions(name).exists():
            continue
        # The report's intervals are shown; of the masks only the pairs' IoUs are wanted.
        results[name] = score(split, entry.predictions(name), resamples=1)
        if any(compare(_means(entry.report.splits.get(name, {})), _means(results[name]))):
            raise InputError(
                f"{entry.folder}: report.json differs from what the masks of {name} score; "
                "`daam-bench leaderboard check` says where"
            )
    scored = Scored(entry, results, find_flags(entry, list(splits.values()), proposals or {}))
    if not scored.taus():
        raise InputError(f"{entry.folder}: its splits have no tau in common; score both at the same taus")
    return scored


def standings(scored: Sequence[Scored]) -> list[Standing]:
    """Return the rows of the table, track by track, within one the highest mIoU_inf on the first split first.

    The tracks stand in the order of `TRACKS`, methods that say none last. Ranks, best and ties are within a
    track: methods that use more are no rivals of those that use less.
    """
    columns = columns_of(dict.fromkeys(name for entry in scored for name in entry.results))
    by_track: dict[str | None, list[Scored]] = {track: [] for track in (*TRACKS, None)}
    for entry in scored:
        by_track[entry.entry.submission.listed_track].append(entry)
    return [row for members in by_track.values() if members for row in _ranked(members, columns)]


def _ranked(scored: Sequence[Scored], columns: Sequence[Column]) -> list[Standing]:
    places = [(entry, tau) for entry in scored for tau in entry.taus()]
    cells = {column: _cells(places, column) for column in columns}
    first = Column(SPLITS[0], "inf")
    totals = [entry.results[first.split].ious.image_totals(tau, only_80=False) for entry, tau in places]
    better = count_better(totals, [entry.entry.slug for entry, _ in places])
    rows = [
        Standing(entry, tau, {column: found[place] for column, found in cells.items()}, 1 + better[place])
        for place, (entry, tau) in enumerate(places)
    ]
    return sorted(rows, key=lambda row: (-(row.cells[first].miou or 0.0), row.entry.slug, row.tau))


def _means(scored: Mapping[str, Scores]) -> dict[str, list[float | None]]:
    return {
        tau: [scores.miou_80, scores.miou_inf, scores.pairs_80, scores.pairs_inf]
        for tau, scores in scored.items()
    }


def _cells(rows: Sequence[tuple[Scored, str]], column: Column) -> list[Cell]:
    """Return the cells of a column, with the best of them or those tied at the top marked."""
    is_80 = column.metric == "80"
    found = [entry.entry.report.splits.get(column.split, {}).get(tau) for entry, tau in rows]
    mious = [None if one is None else one.miou_80 if is_80 else one.miou_inf for one in found]
    intervals = [None if one is None else one.ci95_80 if is_80 else one.ci95_inf for one in found]
    there = [place for place, miou in enumerate(mious) if miou is not None]
    totals = [
        rows[place][0].results[column.split].ious.image_totals(rows[place][1], only_80=is_80)
        for place in there
    ]
    methods = [rows[place][0].entry.slug for place in there]
    stands = dict(zip(there, leads(totals, methods), strict=True))
    return [Cell(miou, intervals[place], stands.get(place)) for place, miou in enumerate(mious)]
