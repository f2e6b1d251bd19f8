"""From the runs of a dataset to recorded reports, entries of the leaderboard and the table."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from daam_bench.analysis.table import LABELS, Row, build_table, write_table
from daam_bench.console import say
from daam_bench.datasets.load import load_split
from daam_bench.files import HEAT_MAPS, PREDICTIONS, REPORT, REPORT_PAGE
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.files.replacing import write_text
from daam_bench.leaderboard import ENTRIES, SPLITS, SUBMISSION
from daam_bench.scoring.bootstrap import RESAMPLES
from daam_bench.scoring.caps import cap_report
from daam_bench.scoring.conventions import USUAL_TAU
from daam_bench.scoring.report import build_report, describe_environment, report_to_json, write_report
from daam_bench.scoring.results import HARD, SplitScores, tau_key
from daam_bench.scoring.score import score
from daam_bench.scoring.tables import format_markdown
from daam_bench.segmenters.cards import MethodCard, card_of
from daam_bench.segmenters.other_weights import methods_with_other_weights
from daam_bench.segmenters.registry import find_method
from daam_bench.segmenters.segment import count_drifted
from daam_bench.types import Environment, Report
from daam_bench.types.errors import InputError
from tools.method_lists import BASELINE
from tools.refresh.planned_jobs import COSTLY, COSTLY_SCENES, METHODS, ROOT
from tools.refresh.running import MADE_WITH, RunCost, cost_of

HOSTS = "The daam-bench developers"
"""Who made the methods' entries, and hosts the leaderboard."""

SUPERVISED = "closed vocabulary"
"""The track of the plan's methods that were trained on masks, for a fixed list of nouns."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of the methods on one dataset.

    Attributes:
        dataset: Its name.
        splits: Its splits, in the table's order.
        reports: Method -> report.
        results: Method -> split -> scores, pair by pair.
        table: The rows of its table.
        short_table: Those at the usual tau alone, with who leads among them.
    """

    dataset: str
    splits: tuple[str, ...]
    reports: dict[str, Report] = field(default_factory=dict)
    results: dict[str, dict[str, SplitScores]] = field(default_factory=dict)
    table: list[Row] = field(default_factory=list)
    short_table: list[Row] = field(default_factory=list)

    @property
    def proposed(self) -> set[str]:
        """The splits with masks that nobody has checked."""
        return {split for report in self.reports.values() for split in report.proposals}


def record(
    work: Path, dataset: str, splits: list[str], *, limit: int | None, resamples: int = RESAMPLES
) -> Recorded | None:
    """Score what lies in `work` of a dataset, and write a report beside each method's predictions.

    Returns:
        None if nothing has been run on it.
    """
    loaded = {name: load_split(dataset, name) for name in splits}
    found = Recorded(dataset, tuple(splits))
    for method in METHODS:
        scored: dict[str, SplitScores] = {}
        for name, split in loaded.items():
            folder = work / dataset / method / name
            done = cost_of(folder)
            if done is not None and (folder / PREDICTIONS).exists() and (folder / MADE_WITH).exists():
                soft = folder / HEAT_MAPS
                scored[name] = score(
                    split[: min(done.images, limit or done.images)],
                    folder / PREDICTIONS,
                    soft if soft.exists() else None,
                    resamples=resamples,
                )
        if scored:
            found.results[method] = scored
            found.reports[method] = _report(work / dataset / method, method, dataset, scored, limit)
            write_report(work / dataset / method, found.reports[method], list(scored.values()))
    if not found.results:
        return None
    cap = cap_report([split[:limit] for split in loaded.values()])
    fill_tables(found, cap)
    return found


def fill_tables(found: Recorded, cap: Report) -> None:
    """Make the tables of a dataset from its reports and scores, with what a closed vocabulary can reach."""
    table = partial(
        build_table,
        [*found.reports.values(), cap],
        found.splits,
        [*found.results.values(), {}],
        not_run=list(methods_with_other_weights()),
    )
    found.table.extend(table())
    found.short_table.extend(table(taus=(USUAL_TAU, HARD)))


def publish(found: Recorded, folder: Path) -> None:
    """Write what the repository keeps of a dataset: each method's report, and the table in all formats."""
    for method, report in found.reports.items():
        write_text(folder / method / REPORT, report_to_json(report))
        write_text(folder / method / REPORT_PAGE, format_markdown(report))
    write_table(found.table, found.splits, folder, proposed=found.proposed)


def check_publishable(found: Recorded) -> None:
    """Refuse reports that don't say all of how they came to be, or come from uncommitted code.

    Raises:
        InputError: A run is not over, its checkout had changes, or its device or wall time is not known in
            full.
    """
    wrong = [
        f"{method} ({', '.join(lacking)})"
        for method, report in found.reports.items()
        if (lacking := [*_unfinished(method, found.results[method]), *lacking_of(report.environment)])
    ]
    if wrong:
        raise InputError(
            f"can't publish the runs on {found.dataset} of {'; '.join(wrong)}: finish them, or commit your "
            "changes and make them again with --restart; or give --draft to write them elsewhere"
        )


def _unfinished(method: str, results: Mapping[str, SplitScores]) -> list[str]:
    """Name the splits that a method was run on in part, where the plan wants more."""
    planned = {name: len(one.split.whole) for name, one in results.items()}
    if method in COSTLY and "scenes" in planned:
        planned["scenes"] = min(planned["scenes"], COSTLY_SCENES)
    return [
        f"{len(one.split)} of {planned[name]} images of {name}"
        for name, one in results.items()
        if len(one.split) < planned[name]
    ]


def lacking_of(environment: Environment) -> list[str]:
    """Name what a report lacks to be published."""
    lacking = []
    if environment.dirty is not False:
        lacking.append("uncommitted changes" if environment.commit else "no commit")
    if environment.device is None:
        lacking.append("no device")
    if environment.wall_seconds is None:
        lacking.append("wall time not known in full")
    return lacking


def make_entries(found: Recorded, work: Path, entries: Path) -> list[str]:
    """Make an entry of the leaderboard of each method that has both generated splits in full.

    `BASELINE` has a row for each tau of the paper, the others one, at the usual tau.

    Returns:
        Their slugs.
    """
    from daam_bench.leaderboard.checking import validate
    from daam_bench.leaderboard.entries import accept, load_splits
    from daam_bench.leaderboard.packing import describe_run, pack
    from daam_bench.leaderboard.reading import Problems, opened

    splits, made = load_splits(found.dataset), []
    for method, results in found.results.items():
        if any(name not in results or results[name].partial for name in SPLITS):
            continue
        card = card_of(find_method(method))
        said = describe_run(
            work / found.dataset / method,
            authors=(HOSTS,),
            licence="CC-BY-4.0",
            **_words(method),
            truth="training" if card.tuned_on else "none",
            supervised=card.track == SUPERVISED,
            open_vocabulary=card.track != SUPERVISED,
        )
        if method != BASELINE:
            said = replace(said, taus=tuple(tau for tau in said.taus or () if tau_key(tau) == USUAL_TAU))
        with tempfile.TemporaryDirectory() as folder:
            problems, archive = Problems(), Path(folder) / "entry.zip"
            run = Path(folder) / "run"
            _copy_run(work / found.dataset / method, run, results, said.taus or (None,))
            pack(run, said, splits, archive, problems)
            if not problems.lines():
                with opened(archive) as unpacked:
                    checked = validate(unpacked, splits, problems)
                    if checked is not None:
                        made.append(accept(checked, entries, entry_slug(method), overwrite=True).slug)
        for line in problems.lines():
            say(f"warning: no entry of {method}: {line}")
    return made


def _copy_run(
    run: Path, target: Path, results: Mapping[str, SplitScores], taus: Sequence[float | None]
) -> None:
    """Copy of a run what goes into an entry: masks at some taus, and heat maps but of the scenes."""
    for name, scores in results.items():
        if name not in SPLITS and scores.partial:
            continue
        header, lines = read_lines(run / name / PREDICTIONS)
        with LinesWriter(target / name / PREDICTIONS, header) as writer:
            writer.write([line.record for line in lines if line.record["tau"] in taus])
        if name in SPLITS and (run / name / HEAT_MAPS).exists():
            shutil.copyfile(run / name / HEAT_MAPS, target / name / HEAT_MAPS)


def _words(method: str) -> dict[str, str | None]:
    """Return name, link and description of an entry: those it has, or what the method says of itself."""
    path = ROOT / ENTRIES / entry_slug(method) / SUBMISSION
    if path.exists():
        said = json.loads(path.read_text(encoding="utf-8"))
        return {name: said[name] for name in ("name", "link", "description")}
    card = card_of(find_method(method))
    description = f"{card.summary} As daam-bench has it, with its defaults."
    return {"name": LABELS.get(method, method), "link": _link(card), "description": description}


def entry_slug(method: str) -> str:
    """Return what an entry's folder is named after: entries that are there keep their names."""
    return {"random": "random-half", "whole": "whole-image", "mask_rcnn": "mask-r-cnn"}.get(method, method)


def _link(card: MethodCard) -> str | None:
    number = (card.paper or "").removeprefix("arXiv ").split(",")[0].split()
    return f"https://arxiv.org/abs/{number[0]}" if number and number[0][:4].isdigit() else None


def _report(
    folder: Path, method: str, dataset: str, scored: Mapping[str, SplitScores], limit: int | None
) -> Report:
    card = card_of(find_method(method))
    headers = [one.header for one in scored.values() if one.header is not None]
    return build_report(
        list(scored.values()),
        method=headers[0].method,
        parameters=headers[0].parameters,
        dataset=dataset,
        environment=_environment(folder, scored, find_method(method), limit),
        track=card.track,  # type: ignore[arg-type]
        tuned_on=card.tuned_on,
    )


def _environment(
    folder: Path, scored: Mapping[str, SplitScores], method: Callable[..., Any], limit: int | None
) -> Environment:
    """Describe how predictions came to be: commit, device and time of the runs, not of this scoring."""
    images = sum(len(one.split) for one in scored.values())
    header = next(iter(scored.values())).header
    seed = None if header is None else header.parameters.get("seed")
    seeds = {"bootstrap": 0} | ({"method": seed} if isinstance(seed, int) else {})
    tolerance = getattr(method, "tolerance", None)
    counts = [count_drifted(folder / name, tolerance) for name in scored]
    drifted = [count for count in counts if count is not None]
    return replace(
        environment_of([cost_of(folder / name) for name in scored], images, seeds),
        images=images,
        limit=limit,
        denoiser_calls=card_of(method).calls,
        drifted=sum(drifted) if drifted else None,
    )


def environment_of(costs: Sequence[RunCost | None], least: int, seeds: Mapping[str, int]) -> Environment:
    """Describe how results came to be; the wall time is known where the logs hold at least `least` things."""
    known = [cost for cost in costs if cost is not None]
    whole = len(known) == len(costs) and sum(cost.images for cost in known) >= least
    return replace(
        describe_environment(seeds=seeds),
        commit=known[-1].commit if known else None,
        dirty=any(cost.dirty for cost in known) if known else None,
        device=next((cost.device for cost in known if cost.device), "cpu") if known else None,
        wall_seconds=sum(cost.seconds for cost in known) if whole else None,
    )
