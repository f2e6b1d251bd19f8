"""`submission.json`: who submits which method, and what it used of the ground truth."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from daam_bench.files.records import from_record
from daam_bench.leaderboard.layout import SUBMISSION
from daam_bench.leaderboard.problems import Problems
from daam_bench.leaderboard.untrusted import hidden_characters, parse_json, shown
from daam_bench.scoring.results import tau_key
from daam_bench.types import Environment
from daam_bench.types.errors import InputError

FORMAT = 1
"""Version of the file's format, in its "daam_bench"."""

TruthUse = Literal["none", "thresholds", "training"]
"""What a method used of the benchmark's masks: nothing, to choose thresholds, or to train."""

MAX_TAUS = 20
_MAX_AUTHORS = 100
_MAX_PARAMETERS = 20_000
_LENGTHS = {"name": 80, "link": 500, "licence": 100, "description": 2000, "method": 200}
_URL = re.compile(r"https?://[\w!#$%&()*+,./:;=?@~\[\]-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a submission says of itself. None of its texts holds a character that no screen shows.

    Attributes:
        name: Name of the method on the leaderboard, at most 80 characters.
        authors: Who made it; at least one.
        link: Its page, code or paper, an http or https address; None without one.
        licence: Licence that the submitted files are given under ("CC-BY-4.0").
        description: What the method does, at most 2,000 characters; may hold line breaks.
        method: Name of the method in the headers of the predictions files.
        parameters: Its parameters there: JSON values.
        taus: The thresholds that its masks were made with, ascending; empty for a method of hard masks.
        truth: What it used of the benchmark's masks: "none", "thresholds" or "training".
        supervised: Whether it was trained on segmentation masks or boxes of any kind.
        open_vocabulary: Whether it takes any noun, rather than those of a fixed list.
        environment: How and where it was run, as its own report says; None if unknown.
    """

    name: str
    authors: tuple[str, ...]
    link: str | None
    licence: str
    description: str
    method: str
    parameters: Mapping[str, Any]
    taus: tuple[float, ...]
    truth: TruthUse
    supervised: bool
    open_vocabulary: bool
    environment: Environment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What `submission.json` says of the predictions files; None for what it doesn't say rightly.

    So the files can be checked whatever else is wrong with it.
    """

    method: str | None = None
    parameters: Mapping[str, Any] | None = None
    taus: tuple[float, ...] | None = None


def parse_submission(content: bytes, problems: Problems, place: str = SUBMISSION) -> Submission | None:
    """Parse `submission.json`.

    Args:
        content: The file's content, from a stranger.
        problems: What is wrong is added here: all of it.
        place: What to call the file there.

    Returns:
        The submission; None if anything is wrong with it.
    """
    try:
        record = parse_json(content)
        if not isinstance(record, dict):
            raise InputError("not a JSON object")
    except InputError as error:
        problems.add(place, str(error))
        return None
    before = len(problems)
    _check_keys(record, problems, place)
    for name, check in _CHECKS.items():
        value = record.get(name)
        if name in record and (wrong := check(name, value)) is not None:
            problems.add(f'{place}, "{name}"', wrong)
        elif hidden := hidden_characters(value, "\n" if name == "description" else ""):
            problems.add(
                f'{place}, "{name}"', f"holds the character {hidden}, which no screen shows; take it out"
            )
    if len(problems) > before:
        return None
    return Submission(
        **{name: record[name] for name in _LENGTHS},
        authors=tuple(record["authors"]),
        parameters=record["parameters"],
        taus=_sorted_taus(record["taus"]),
        truth=record["truth"],
        supervised=record["supervised"],
        open_vocabulary=record["open_vocabulary"],
        environment=_environment(record.get("environment")),
    )


def parse_claims(content: bytes) -> Claims:
    """Take from `submission.json` what it says of the predictions files, as far as that is right."""
    try:
        record = parse_json(content)
    except InputError:
        return Claims()
    right = {
        name: record[name]
        for name in ("method", "parameters", "taus")
        if isinstance(record, dict) and name in record and _CHECKS[name](name, record[name]) is None
    }
    if "taus" in right:
        right["taus"] = _sorted_taus(right["taus"])
    return Claims(**right)


def to_json(submission: Submission) -> str:
    """Return a submission as the text of `submission.json`."""
    return json.dumps({"daam_bench": FORMAT} | asdict(submission), indent=2, ensure_ascii=False) + "\n"


def slug_of(name: str) -> str:
    """Return the name of the folder that an entry of this name is kept in; empty if no letter is left.

    >>> slug_of("Grounded SAM (v2)")
    'grounded-sam-v2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")


def _check_keys(record: Mapping[str, Any], problems: Problems, place: str) -> None:
    known = ["daam_bench", *(field.name for field in fields(Submission))]
    for key in record:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            problems.add(place, f"unknown key {shown(key)}; {hint}")
    for key in known:
        if key not in record and key != "environment":
            problems.add(place, f'"{key}" is missing')


def _format(name: str, value: Any) -> str | None:
    if type(value) is not int or value != FORMAT:
        return f"must be {FORMAT}, the version of this format, not {shown(value)}"
    return None


def _text(name: str, value: Any) -> str | None:
    if type(value) is not str or not value.strip():
        return f"must be a text, not {shown(value)}"
    if len(value) > _LENGTHS[name]:
        return f"has {len(value)} characters; {_LENGTHS[name]} at most"
    if name == "name" and not slug_of(value):
        return "needs a letter a-z or a digit, to name the entry's folder"
    return None


def _link(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if (wrong := _text(name, value)) is not None:
        return wrong
    try:
        is_address = bool(_URL.fullmatch(value) and urlsplit(value).hostname)
    except ValueError:
        is_address = False
    return None if is_address else f"must be an http or https address or null, not {shown(value)}"


def _authors(name: str, value: Any) -> str | None:
    if type(value) is not list or not 1 <= len(value) <= _MAX_AUTHORS:
        return f"must be a list of 1 to {_MAX_AUTHORS} names, not {shown(value)}"
    for author in value:
        if type(author) is not str or not author.strip() or len(author) > _LENGTHS["licence"]:
            return f"a name is a text of at most {_LENGTHS['licence']} characters, not {shown(author)}"
    return None


def _parameters(name: str, value: Any) -> str | None:
    if type(value) is not dict:
        return f"must be an object, as in the header of the predictions files, not {shown(value)}"
    return _too_long(value)


def _taus(name: str, value: Any) -> str | None:
    if type(value) is not list or len(value) > MAX_TAUS:
        return f"must be a list of at most {MAX_TAUS} thresholds, empty for hard masks, not {shown(value)}"
    for tau in value:
        if type(tau) not in (int, float) or not 0 <= tau <= 1:
            return f"a threshold is a number from 0 to 1, not {shown(tau)}"
    if len({tau_key(tau) for tau in value}) != len(value):
        return "holds a threshold twice"
    return None


def _sorted_taus(taus: list[float]) -> tuple[float, ...]:
    return tuple(sorted(float(tau) for tau in taus))


def _truth(name: str, value: Any) -> str | None:
    if value not in get_args(TruthUse):
        return f"must be one of {', '.join(get_args(TruthUse))}, not {shown(value)}"
    return None


def _boolean(name: str, value: Any) -> str | None:
    return None if type(value) is bool else f"must be true or false, not {shown(value)}"


def _environment_is_one(name: str, value: Any) -> str | None:
    try:
        _environment(value)
    except InputError as error:
        return f"must be null or the environment of a report.json: {error}"
    return _too_long(value)


def _too_long(value: Any) -> str | None:
    length = len(json.dumps(value))
    return f"has {length} characters; {_MAX_PARAMETERS} at most" if length > _MAX_PARAMETERS else None


def _environment(record: Any) -> Environment | None:
    return None if record is None else from_record(Environment, record, "environment")


_CHECKS = {
    "daam_bench": _format,
    "name": _text,
    "authors": _authors,
    "link": _link,
    "licence": _text,
    "description": _text,
    "method": _text,
    "parameters": _parameters,
    "taus": _taus,
    "truth": _truth,
    "supervised": _boolean,
    "open_vocabulary": _boolean,
    "environment": _environment_is_one,
}
"""Field -> what says what is wrong with its value, or None."""
