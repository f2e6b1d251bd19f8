"""The front page: the table track by track, with the methods that were not run here, and the charts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from daam_bench.leaderboard.site import front_charts as charts
from daam_bench.leaderboard.site.pages import render
from daam_bench.leaderboard.site.standings import Standing, columns_of
from daam_bench.scoring.caps import closed_vocabulary_cap
from daam_bench.scoring.conventions import OrderChange, order_changes
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import few_images
from daam_bench.segmenters.cards import TRACKS, MethodCard
from daam_bench.segmenters.other_weights import methods_with_other_weights
from daam_bench.types import Split

NO_TRACK = "no track"


class TrackSection(NamedTuple):
    """A track of the table.

    Attributes:
        name: The track, or `NO_TRACK`.
        meaning: What its methods use.
        rows: Its rows.
        shared_ranks: The ranks that several methods have.
        not_run: Methods of the package that need weights and have no entry: name -> card.
    """

    name: str
    meaning: str
    rows: list[Standing]
    shared_ranks: set[int]
    not_run: dict[str, MethodCard]


def front_page(rows: Sequence[Standing], splits: Mapping[str, Split]) -> str:
    """Return the front page: the table and the plots."""
    looks, names = charts.method_looks(rows), list(splits)
    return render(
        "index.html",
        "",
        splits,
        rows=rows,
        updated=_today(),
        sections=track_sections(rows),
        columns=columns_of(splits),
        measured=next(
            (name for name in names if any(row.masks_effect(name) is not None for row in rows)), None
        ),
        dataset=next(iter(splits.values())).dataset,
        keys=charts.legend(looks),
        curves=charts.curve_charts(looks, names),
        scatters=charts.scatter_charts(looks, names),
        curve_tables=charts.curve_tables(looks, names),
        caps={name: closed_vocabulary_cap(split)[HARD] for name, split in splits.items()},
        changes=order_changes_by_split(rows, names),
        few=sorted({note for row in rows for note in few_images(row.entry.report)}),
    )


def order_changes_by_split(rows: Sequence[Standing], splits: Sequence[str]) -> dict[str, list[OrderChange]]:
    """Say for each split what conventions do to the order of all methods; a single one has no order."""
    scored = {row.entry.slug: row.scored for row in rows}.values()
    found = {}
    for name in splits:
        methods = {one.entry.submission.name: one.results[name] for one in scored if name in one.results}
        if len(methods) > 1:
            found[name] = order_changes(methods)
    return found


def track_sections(rows: Sequence[Standing]) -> list[TrackSection]:
    """Return the tracks in their order, but those with neither a row nor a method that was not run."""
    entered = {row.entry.submission.method for row in rows}
    absent = {name: card for name, card in methods_with_other_weights().items() if name not in entered}
    sections = []
    for track, meaning in (*TRACKS.items(), (None, "methods that don't say what they use")):
        members = [row for row in rows if row.track == track]
        ranks = [rank for rank, _ in {(row.rank, row.entry.slug) for row in members}]
        shared = {rank for rank in ranks if ranks.count(rank) > 1}
        not_run = {name: card for name, card in absent.items() if card.track == track}
        if members or not_run:
            sections.append(TrackSection(track or NO_TRACK, meaning, members, shared, not_run))
    return sections


def _today() -> str:
    """Return the date in ISO form, that of SOURCE_DATE_EPOCH if it is set."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
    return now.date().isoformat()
