"""The pages, filled from their templates. Jinja2 escapes whatever comes from a submission or a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import jinja2

import daam_bench
from daam_bench.datasets.card import HOW_TO_CITE
from daam_bench.figures.page_parts import (
    Piece,
    is_pixelated,
    outline_path,
    page_templates,
    prompt_pieces,
)
from daam_bench.files.predictions import read_predictions
from daam_bench.leaderboard.site.data_files import CHUNK, ViewedMethod, image_name, script_json
from daam_bench.leaderboard.site.fact_lists import facts
from daam_bench.leaderboard.site.standings import Scored
from daam_bench.leaderboard.submission import is_address
from daam_bench.scoring.bootstrap import FEW_IMAGES
from daam_bench.scoring.breakdown import GROUPS, GroupScore, breakdown
from daam_bench.scoring.faithfulness_tables import number
from daam_bench.scoring.report import PROTOCOL, count_proposals
from daam_bench.scoring.results import HARD, tau_key
from daam_bench.scoring.tables import few_images, percent
from daam_bench.types import ClassScore, PairScore, Split
from daam_bench.types.masks import decode

TEMPLATES = Path(__file__).parent / "templates"

SPLIT_NOTES = {
    "coco_gen": "prompts as captioned",
    "unreal_gen": "the same, nouns swapped",
    "scenes": "composited, exact masks",
}

PAIRS = 6
"""How many of a method's best pairs, and of its worst, its page shows."""

TRUTH_NOTES = {"none": "nothing", "thresholds": "to choose thresholds", "training": "to train"}


def method_page(scored: Scored, splits: Mapping[str, Split]) -> str:
    """Return the page of one method."""
    report, tau, link = scored.entry.report, scored.best_tau(), scored.entry.submission.link
    best, worst = best_and_worst(scored, tau)
    return render(
        "method.html",
        "../",
        splits,
        entry=scored.entry,
        submission=scored.entry.submission,
        link=link if is_address(link) else None,
        truth_note=TRUTH_NOTES[scored.entry.submission.truth],
        report=report,
        taus=scored.taus(),
        tau=tau,
        soft=report.splits[next(iter(splits))][tau].average_precision is not None,
        scored_splits=list(scored.results),
        classes=_classes({name: report.splits[name][tau].per_class for name in scored.results}),
        groups=_groups(scored, tau),
        few=few_images(report),
        best=best,
        worst=worst,
        facts=facts(scored.entry),
        flags=scored.flags,
    )


def viewer_page(viewed: Sequence[ViewedMethod], splits: Mapping[str, Split], *, board: bool = True) -> str:
    """Return the viewer's page; without `board` one that stands alone."""
    methods = [
        {
            "slug": one.slug,
            "name": one.name,
            "taus": one.taus,
            "splits": [name for name in splits if one.has(name)],
        }
        for one in viewed
    ]
    site = {"chunk": CHUNK, "methods": methods, "splits": list(splits)}
    return render("viewer.html", "", splits, site=script_json(site), methods=methods, board=board)


def viewer_link(**state: Any) -> str:
    """Return the address of a state of the viewer.

    >>> viewer_link(split="coco_gen", id="a b", noun=0)
    'viewer.html#split=coco_gen&id=a+b&noun=0'
    """
    return f"viewer.html#{urlencode(state)}"


def render(template: str, root: str, splits: Mapping[str, Split], **context: Any) -> str:
    """Fill a template of a page that lies `root` below the site's own folder."""
    proposals = {name: found for name, split in splits.items() if (found := count_proposals(split))}
    return (
        _templates().get_template(template).render(root=root, splits=splits, proposals=proposals, **context)
    )


@cache
def _templates() -> jinja2.Environment:
    environment = page_templates(TEMPLATES)
    environment.filters.update(percent=percent, effect=number)
    environment.globals.update(
        FEW_IMAGES=FEW_IMAGES,
        HARD=HARD,
        SPLIT_NOTES=SPLIT_NOTES,
        protocol=PROTOCOL,
        version=daam_bench.__version__,
        links=project_links(),
        board=True,
        bibtex=HOW_TO_CITE.partition("```bibtex\n")[2].partition("\n```")[0],
        viewer_link=viewer_link,
    )
    return environment


def project_links() -> dict[str, str]:
    """Return the addresses of `[project.urls]` by their names in small letters; none if not installed."""
    try:
        found = metadata("daam-bench").get_all("Project-URL") or []
    except PackageNotFoundError:
        return {}
    return {
        name.strip().lower(): address.strip() for name, _, address in (line.partition(",") for line in found)
    }


def _classes(
    scores: Mapping[str, Mapping[str, ClassScore]],
) -> list[tuple[str, dict[str, ClassScore | None]]]:
    """Return every class with its score on each split, best first by the first split."""
    names = list(dict.fromkeys(name for classes in scores.values() for name in classes))
    first = next(iter(scores.values()))
    names.sort(key=lambda name: -first[name].miou if name in first else 1.0)
    return [(name, {split: classes.get(name) for split, classes in scores.items()}) for name in names]


def _groups(scored: Scored, tau: str) -> list[tuple[str, str, dict[str, GroupScore | None]]]:
    """Return every group of pairs, by what and which, with its score on each split."""
    found = {
        name: {(one.kind, one.group): one for one in breakdown(scores, tau)}
        for name, scores in scored.results.items()
    }
    return [
        (kind, group, {name: groups.get((kind, group)) for name, groups in found.items()})
        for kind, names in GROUPS.items()
        for group in names
        if any((kind, group) in groups for groups in found.values())
    ]


class PairCard(NamedTuple):
    """A pair on a method's page: the place of its image in the site, and its masks' outlines (SVG paths)."""

    split: str
    pair: PairScore
    pieces: list[Piece]
    image: str
    size: tuple[int, int]
    pixelated: bool
    ground_truth: str
    prediction: str


def best_and_worst(scored: Scored, tau: str) -> tuple[list[PairCard], list[PairCard]]:
    """Return the pairs with the highest IoU at a tau over all splits, and those with the lowest, worst first.

    They are `PAIRS` each, fewer if there are no more, and no pair is in both.
    """
    pairs = [
        (name, pair) for name, scores in scored.results.items() for pair in scores.pairs() if pair.tau == tau
    ]
    pairs.sort(key=lambda item: (-item[1].iou, item[0], item[1].id, item[1].noun))
    count = min(PAIRS, len(pairs) // 2)
    best, worst = pairs[:count], pairs[len(pairs) - count :][::-1]
    wanted = {(name, pair.id, pair.noun) for name, pair in best + worst}
    outlines = {
        place: "" if prediction.mask is None else outline_path(decode(prediction.mask))
        for name in scored.results
        for prediction in read_predictions(scored.entry.predictions(name))[1]
        if tau_key(prediction.tau) == tau and (place := (name, prediction.id, prediction.noun)) in wanted
    }

    def card(name: str, pair: PairScore) -> PairCard:
        examples = scored.results[name].split.examples
        index = next(index for index, example in enumerate(examples) if example.query.id == pair.id)
        query, mask = examples[index].query, examples[index].masks[pair.noun]
        assert mask is not None
        return PairCard(
            split=name,
            pair=pair,
            pieces=prompt_pieces(query.prompt, [(noun.start, noun.end) for noun in query.nouns]),
            image=f"images/{name}/{image_name(query, index)}",
            size=query.image.size,
            pixelated=is_pixelated(query.image),
            ground_truth=outline_path(decode(mask)),
            prediction=outlines.get((name, pair.id, pair.noun), ""),
        )

    return [card(*item) for item in best], [card(*item) for item in worst]
