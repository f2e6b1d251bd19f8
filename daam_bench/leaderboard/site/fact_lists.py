"""What a method's page lists as terms and values: parameters, and how it was run, verified and scored."""

from __future__ import annotations

import json
from typing import NamedTuple

from daam_bench.leaderboard.entries import Entry
from daam_bench.leaderboard.faithfulness_record import FaithfulnessRecord
from daam_bench.leaderboard.verification import Verification
from daam_bench.scoring.faithfulness_tables import number
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import describe_cost, percent
from daam_bench.types import Environment

VERIFIED_NOTE = (
    "A host of the leaderboard ran the authors' code on images that were not public, and recorded its scores "
    "beside the claimed ones. Other images score otherwise: compare with those of other verified methods."
)

FAITHFULNESS_NOTE = (
    "How much of a noun's effect on the generator's output lies where the heat map (F) or the mask (J) says, "
    "beyond chance: 0 for what says nothing. A host of the leaderboard measured it with the generator."
)


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
        found.append(FactList("How it was verified", VERIFIED_NOTE, _verification_items(verification)))
    if (record := entry.faithfulness) is not None:
        found.append(FactList("Faithfulness", FAITHFULNESS_NOTE, _faithfulness_items(record)))
    scored = (("protocol", entry.report.protocol), *_items(entry.report.environment))
    return [*found, FactList("How it was scored", "By the leaderboard, from the submitted masks.", scored)]


def _verification_items(verification: Verification) -> tuple[tuple[str, str], ...]:
    """Return who verified an entry and how, and what the method scored: claimed, and on the fresh images."""
    said = [("by", verification.by), ("how", verification.how), ("date", verification.date)]
    said += [("dataset", verification.dataset), ("method", verification.method)]
    code = {"daam-bench": verification.version, "commit": verification.commit and verification.commit[:12]}
    said += [(name, value) for name, value in code.items() if value]
    for kind, splits in (("claimed", verification.claimed), ("fresh", verification.fresh)):
        for name, by_tau in splits.items():
            for tau, found in by_tau.items():
                at = "" if tau == HARD else f", τ {tau}"
                scores = f"mIoU∞ {percent(found.miou_inf)}, mIoU80 {percent(found.miou_80)}"
                said.append((f"{kind}: {name}{at}", scores))
    return tuple(said)


def _faithfulness_items(record: FaithfulnessRecord) -> tuple[tuple[str, str], ...]:
    """Return F and J of every split, and who measured them and how."""
    said = []
    for split in record.masks:
        taus = [
            ("J, masks" if tau == HARD else f"J, masks at τ {tau}", one)
            for tau, one in record.masks[split].items()
        ]
        soft = [("F, heat maps", record.heat_maps[split])] if split in record.heat_maps else []
        for what, one in (*soft, *taus):
            interval = f"[{number(one.low)}, {number(one.high)}]"
            said.append((f"{split}: {what}", f"{number(one.mean)} {interval}, {one.words} nouns"))
    said += [
        ("by", record.by),
        ("date", record.date),
        ("measure", record.measure),
        ("dataset", record.dataset),
    ]
    said += [("daam-bench", record.version), *([("commit", record.commit[:12])] if record.commit else [])]
    return tuple(said)


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
        "cost of an image": describe_cost(environment),
        "wall time": None if seconds is None else f"{seconds:.0f} s",
        "seeds": ", ".join(f"{name} {seed}" for name, seed in environment.seeds.items()),
        "limit": None if limit is None else f"first {limit} examples of each split",
        "images that came out differently when generated again": None if drifted is None else str(drifted),
        "dataset revision": environment.dataset_revision,
    }
    return tuple((name, value) for name, value in values.items() if value)
