"""The pages, filled from their templates. Jinja2 escapes whatever comes from a submission or a dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import jinja2

import daam_bench
from daam_bench.figures.page_parts import page_templates
from daam_bench.leaderboard.entries import Entry
from daam_bench.leaderboard.site import front_charts as charts
from daam_bench.leaderboard.site.data_files import CHUNK, script_json
from daam_bench.leaderboard.site.pair_cards import best_and_worst
from daam_bench.leaderboard.site.standings import Scored, Standing, columns
from daam_bench.scoring.report import PROTOCOL, count_proposals
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import percent
from daam_bench.types import ClassScore, Environment, Split

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


def front_page(rows: Sequence[Standing], splits: Mapping[str, Split]) -> str:
    """Return the front page: the table and the plots."""
    looks, names = charts.method_looks(rows), list(splits)
    return _render(
        "index.html",
        "",
        splits,
        rows=rows,
        columns=columns(),
        dataset=next(iter(splits.values())).dataset,
        keys=charts.legend(looks),
        curves=charts.curve_charts(looks, names),
        scatters=charts.scatter_charts(looks, names),
        curve_tables=charts.curve_tables(looks, names),
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
        facts=facts(scored.entry),
    )


def viewer_page(rows: Sequence[Standing], splits: Mapping[str, Split]) -> str:
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


def web_link(link: str | None) -> str | None:
    """Return a link if it is a plain http or https address, else None.

    >>> web_link("https://example.org/paper"), web_link("javascript:alert(1)")
    ('https://example.org/paper', None)
    """
    if not link or re.search(r"[\s\x00-\x1f\\]", link):
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.hostname else None


def _render(template: str, root: str, splits: Mapping[str, Split], **context: Any) -> str:
    proposals = {name: found for name, split in splits.items() if (found := count_proposals(split))}
    return (
        _templates().get_template(template).render(root=root, splits=splits, proposals=proposals, **context)
    )


@cache
def _templates() -> jinja2.Environment:
    environment = page_templates(TEMPLATES)
    environment.filters["percent"] = percent
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


class FactList(NamedTuple):
    """A titled list of (term, value), with what to know of it."""

    title: str
    note: str
    terms: tuple[tuple[str, str], ...]


def facts(entry: Entry) -> list[FactList]:
    """Return the parameters, how the method was run and how its masks were scored."""
    submission, verification = entry.submission, entry.verification
    found = []
    if submission.parameters:
        parameters = tuple(
            (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            for name, value in submission.parameters.items()
        )
        found.append(FactList("Parameters", "As in the predictions' header.", parameters))
    if submission.environment is not None:
        note = "As the submission says; nobody else can know."
        found.append(FactList("How it was run", note, _items(submission.environment)))
    if verification is not None:
        by = (("by", verification.by), ("how", verification.how), ("date", verification.date))
        found.append(FactList("How it was verified", "A host ran the method and got the same masks.", by))
    scored = (("protocol", entry.report.protocol), *_items(entry.report.environment))
    return [*found, FactList("How it was scored", "By the leaderboard, from the submitted masks.", scored)]


def _items(environment: Environment) -> tuple[tuple[str, str], ...]:
    """Return what is known of an environment."""
    commit = environment.commit and environment.commit[:12]
    seconds, limit, drifted = environment.wall_seconds, environment.limit, environment.drifted
    values = {
        "daam-bench": environment.version,
        "commit": f"{commit}, with uncommitted changes" if commit and environment.dirty else commit,
        "Python": environment.python,
        "libraries": ", ".join(f"{name} {version}" for name, version in environment.libraries.items()),
        "platform": environment.platform,
        "device": environment.device,
        "wall time": None if seconds is None else f"{seconds:.0f} s",
        "seeds": ", ".join(f"{name} {seed}" for name, seed in environment.seeds.items()),
        "limit": None if limit is None else f"first {limit} examples of each split",
        "images that came out differently when generated again": None if drifted is None else str(drifted),
        "dataset revision": environment.dataset_revision,
    }
    return tuple((name, value) for name, value in values.items() if value)
