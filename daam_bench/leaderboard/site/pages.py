"""The pages, filled from their templates. Jinja2 escapes whatever comes from a submission or a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import daam_bench
from daam_bench.leaderboard.site import plots
from daam_bench.leaderboard.site.escape import script_json, web_link
from daam_bench.leaderboard.site.pairs import best_and_worst
from daam_bench.leaderboard.site.records import records
from daam_bench.leaderboard.site.standings import Row, Scored, columns
from daam_bench.leaderboard.site.viewer_data import CHUNK
from daam_bench.scoring.report import PROTOCOL, count_proposals
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import percent
from daam_bench.types import ClassScore, Split

TEMPLATES = Path(__file__).parent / "templates"

SPLIT_NOTES = {
    "coco_gen": "prompts as captioned",
    "unreal_gen": "the same prompts, nouns swapped",
}

TRUTH_NOTES = {
    "none": "nothing",
    "thresholds": "to choose thresholds",
    "training": "to train",
}


class CurveTable(NamedTuple):
    """The curves of a split in numbers: a row a tau with the mIoU_inf of each of the named soft methods."""

    split: str
    names: list[str]
    rows: list[tuple[float, list[float | None]]]


def front_page(rows: Sequence[Row], splits: Mapping[str, Split]) -> str:
    """Return the front page: the table and the plots."""
    highest, highest_interval = plots.highest_curve(rows, list(splits)), plots.highest_interval(rows)
    return _render(
        "index.html",
        "",
        splits,
        rows=rows,
        columns=columns(),
        dataset=next(iter(splits.values())).dataset,
        keys=plots.keys(rows),
        curves=[plots.curve_plot(rows, name, highest) for name in splits],
        scatters=[plots.scatter_plot(rows, name, highest_interval) for name in splits],
        curve_tables=_curve_tables(rows, list(splits)),
    )


def method_page(scored: Scored, splits: Mapping[str, Split]) -> str:
    """Return the page of one method."""
    report, tau = scored.entry.report, scored.best_tau()
    best, worst = best_and_worst(scored, tau)
    return _render(
        "method.html",
        "../",
        splits,
        entry=scored.entry,
        submission=scored.entry.submission,
        link=web_link(scored.entry.submission.link),
        truth_note=TRUTH_NOTES[scored.entry.submission.truth],
        report=report,
        taus=scored.taus(),
        tau=tau,
        soft=report.splits[next(iter(splits))][tau].average_precision is not None,
        classes=_classes({name: report.splits[name][tau].per_class for name in splits}),
        best=best,
        worst=worst,
        records=records(scored.entry),
    )


def viewer_page(rows: Sequence[Row], splits: Mapping[str, Split]) -> str:
    """Return the viewer's page."""
    methods = list(
        {
            row.entry.slug: {
                "slug": row.entry.slug,
                "name": row.entry.submission.name,
                "taus": row.scored.taus(),
            }
            for row in rows
        }.values()
    )
    site = {"chunk": CHUNK, "methods": methods, "splits": list(splits)}
    return _render("viewer.html", "", splits, site=script_json(site), methods=methods)


def viewer_link(**state: Any) -> str:
    """Return the address of a state of the viewer.

    >>> viewer_link(split="coco_gen", id="a b", noun=0)
    'viewer.html#split=coco_gen&id=a+b&noun=0'
    """
    return f"viewer.html#{urlencode(state)}"


def _render(template: str, root: str, splits: Mapping[str, Split], **context: Any) -> str:
    proposals = {name: found for name, split in splits.items() if (found := count_proposals(split))}
    return (
        _templates().get_template(template).render(root=root, splits=splits, proposals=proposals, **context)
    )


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = percent
    environment.filters["place"] = "{:g}".format
    environment.globals.update(
        HARD=HARD,
        SPLIT_NOTES=SPLIT_NOTES,
        protocol=PROTOCOL,
        version=daam_bench.__version__,
        viewer_link=viewer_link,
    )
    return environment


def _classes(
    scores: Mapping[str, Mapping[str, ClassScore]],
) -> list[tuple[str, dict[str, ClassScore | None]]]:
    """Return every class with its score on each split, best first by the first split."""
    names = list(dict.fromkeys(name for classes in scores.values() for name in classes))
    first = next(iter(scores.values()))
    names.sort(key=lambda name: -first[name].miou if name in first else 1.0)
    return [(name, {split: classes.get(name) for split, classes in scores.items()}) for name in names]


def _curve_tables(rows: Sequence[Row], splits: Sequence[str]) -> list[CurveTable]:
    """Return the curves of each split in numbers."""
    soft = list({row.entry.slug: row for row in rows if plots.curve(row, splits[0])}.values())
    names = [row.entry.submission.name for row in soft]
    tables = []
    for split in splits:
        curves = [dict(plots.curve(row, split)) for row in soft]
        taus = sorted({tau for curve in curves for tau in curve})
        tables.append(CurveTable(split, names, [(tau, [curve.get(tau) for curve in curves]) for tau in taus]))
    return tables
