"""How an entry's numbers came to be, as titled lists of terms and values."""

from __future__ import annotations

import json
from dataclasses import dataclass

from daam_bench.leaderboard.entries import Entry
from daam_bench.types import Environment


@dataclass(frozen=True, slots=True)
class Record:
    """A titled list of (term, value).

    Attributes:
        title: What the list is of.
        note: What to know of it; may be empty.
        terms: The terms and their values.
    """

    title: str
    note: str
    terms: tuple[tuple[str, str], ...]


def records(entry: Entry) -> list[Record]:
    """Return the parameters, how the method was run and how its masks were scored."""
    submission = entry.submission
    parameters = tuple((name, _value(value)) for name, value in submission.parameters.items())
    found = [Record("Parameters", "As in the predictions' header.", parameters)] if parameters else []
    if submission.environment is not None:
        note = "As the submission says; nobody else can know."
        found.append(Record("How it was run", note, _items(submission.environment)))
    if entry.verification is not None:
        by = (
            ("by", entry.verification.by),
            ("how", entry.verification.how),
            ("date", entry.verification.date),
        )
        found.append(Record("How it was verified", "A host ran the method and got the same masks.", by))
    note = "By the leaderboard, from the submitted masks."
    scored = (("protocol", entry.report.protocol), *_items(entry.report.environment))
    return [*found, Record("How it was scored", note, scored)]


def _items(environment: Environment) -> tuple[tuple[str, str], ...]:
    commit = environment.commit and environment.commit[:12]
    values = {
        "daam-bench": environment.version,
        "commit": f"{commit}, with uncommitted changes" if commit and environment.dirty else commit,
        "Python": environment.python,
        "libraries": ", ".join(f"{name} {version}" for name, version in environment.libraries.items()),
        "platform": environment.platform,
        "device": environment.device,
        "wall time": _seconds(environment.wall_seconds),
        "seeds": ", ".join(f"{name} {seed}" for name, seed in environment.seeds.items()),
        "limit": None if environment.limit is None else f"first {environment.limit} examples of each split",
        "pictures generated again that came out otherwise": None
        if environment.drifted is None
        else str(environment.drifted),
        "dataset revision": environment.dataset_revision,
    }
    return tuple((name, value) for name, value in values.items() if value)


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.0f} s"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
