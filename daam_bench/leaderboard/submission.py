"""`submission.json`: who submits which method, and what it used of the ground truth."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from annotated_types import Interval, MaxLen
from pydantic import AfterValidator

from daam_bench.files.outside import RecordError, hidden_characters, parse_json, parse_record, shown
from daam_bench.leaderboard import SUBMISSION
from daam_bench.leaderboard.names import is_reserved, slug_of
from daam_bench.leaderboard.reading import Problems
from daam_bench.scoring.results import tau_key
from daam_bench.types import Environment
from daam_bench.types.errors import InputError
from daam_bench.types.reports import Track

SUBMISSION_FORMAT = 1
"""Version of the file's format, in its "daam_bench"."""

MAX_TAUS = 20
_MAX_CHARACTERS = 20_000
_URL = re.compile(r"https?://[\w!#$%&()*+,./:;=?@~\[\]-]+", re.ASCII)


def _not_empty(value: Any) -> Any:
    if not value or (isinstance(value, str) and not value.strip()):
        raise ValueError("must not be empty")
    return value


def _has_slug(name: str) -> str:
    if not slug_of(name):
        raise ValueError("needs a letter a-z or a digit, to name the entry's folder")
    if is_reserved(slug_of(name)):
        raise ValueError("is a device on Windows, where no folder can have that name; add a word")
    return name


def is_address(link: str | None) -> bool:
    """Whether a text is a plain http or https address.

    >>> is_address("https://example.org/paper"), is_address("javascript:alert(1)")
    (True, False)
    """
    try:
        return bool(link and _URL.fullmatch(link) and urlsplit(link).hostname)
    except ValueError:
        return False


def _must_be_address(link: str) -> str:
    if not is_address(link):
        raise ValueError(f"must be an http or https address or null, not {shown(link)}")
    return link


def _ascending(taus: Sequence[float]) -> tuple[float, ...]:
    if len({tau_key(tau) for tau in taus}) != len(taus):
        raise ValueError("holds a threshold twice")
    return tuple(sorted(taus))


def _bounded(value: Any) -> Any:
    length = len(json.dumps(asdict(value) if isinstance(value, Environment) else value))
    if length > _MAX_CHARACTERS:
        raise ValueError(f"has {length} characters; {_MAX_CHARACTERS} at most")
    return value


_NotEmpty = AfterValidator(_not_empty)
Method = Annotated[str, MaxLen(200), _NotEmpty]
Parameters = Annotated[Mapping[str, Any], AfterValidator(_bounded)]
Taus = Annotated[
    tuple[Annotated[float, Interval(ge=0, le=1)], ...], MaxLen(MAX_TAUS), AfterValidator(_ascending)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a submission says of itself: the schema of `submission.json`.

    None of its texts holds a character that no screen shows.

    Attributes:
        name: Name of the method on the leaderboard, at most 80 characters.
        authors: Who made it; at least one.
        link: Its page, code or paper, an http or https address; None without one.
        licence: Licence that the submitted files are given under ("CC-BY-4.0").
        description: What the method does, at most 2,000 characters; may hold line breaks.
        method: Name of the method in the headers of the predictions files.
        parameters: Its parameters there: JSON values.
        taus: The thresholds that its masks were made with, ascending; empty for a method of hard masks.
        truth: What it used of the benchmark's masks: nothing, to choose thresholds, or to train.
        supervised: Whether it was trained on segmentation masks or boxes of any kind.
        open_vocabulary: Whether it takes any noun, rather than those of a fixed list.
        environment: How and where it was run, as its own report says; None if unknown.
        track: What it uses, as its own report says; None if unknown.
        tuned_on: The split whose masks a choice of the method was made on; None for none.
    """

    name: Annotated[str, MaxLen(80), _NotEmpty, AfterValidator(_has_slug)]
    authors: Annotated[tuple[Annotated[str, MaxLen(100), _NotEmpty], ...], MaxLen(100), _NotEmpty]
    link: Annotated[str, MaxLen(500), AfterValidator(_must_be_address)] | None
    licence: Annotated[str, MaxLen(100), _NotEmpty]
    description: Annotated[str, MaxLen(2000), _NotEmpty]
    method: Method
    parameters: Parameters
    taus: Taus
    truth: Literal["none", "thresholds", "training"]
    supervised: bool
    open_vocabulary: bool
    environment: Annotated[Environment, AfterValidator(_bounded)] | None = None
    track: Track | None = None
    tuned_on: Annotated[str, MaxLen(200), _NotEmpty] | None = None

    @property
    def listed_track(self) -> Track | None:
        """The track that it is listed in: its own, but "tuned on masks" if it used the benchmark's.

        Those of a split that a choice of the method was made on count too.
        """
        return self.track if self.truth == "none" and self.tuned_on is None else "tuned on masks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What `submission.json` says rightly of the predictions, so that they can be checked in any case."""

    method: Method | None = None
    parameters: Parameters | None = None
    taus: Taus | None = None


def parse_submission(
    content: bytes, problems: Problems, place: str = SUBMISSION
) -> tuple[Submission | None, Claims]:
    """Parse an untrusted `submission.json`, and add all that is wrong with it to the problems of `place`.

    Returns:
        The submission, None if anything is wrong with it; and what it says of the predictions files, as far
        as that is right.
    """
    try:
        record = parse_json(content)
        if not isinstance(record, dict):
            raise InputError("not a JSON object")
    except InputError as error:
        problems.add(place, str(error))
        return None, Claims()
    before = len(problems)
    left = _check_keys(record, problems, place)
    wrong = set(record) - set(left)
    submission = None
    try:
        submission = parse_record(Submission, left)
    except RecordError as error:
        for field, text in error.problems:
            name = re.split(r"[.\[]", field)[0]
            if name in left:
                problems.add(f'{place}, "{field}"', text)
            elif name not in record:
                problems.add(place, f'"{name}" is missing')
            wrong.add(name)
    claims = {field.name: left.get(field.name) for field in fields(Claims) if field.name not in wrong}
    return (submission if len(problems) == before else None), parse_record(Claims, claims)


def submission_to_json(submission: Submission) -> str:
    """Return a submission as the text of `submission.json`."""
    record = {"daam_bench": SUBMISSION_FORMAT} | asdict(submission)
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def _check_keys(record: Mapping[str, Any], problems: Problems, place: str) -> dict[str, Any]:
    """Return the fields whose texts a screen shows; the version and all other keys are checked here."""
    names = [field.name for field in fields(Submission)]
    known = ["daam_bench", *names]
    for key in record:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            problems.add(place, f"unknown key {shown(key)}; {hint}")
    version = record.get("daam_bench")
    if "daam_bench" not in record:
        problems.add(place, '"daam_bench" is missing')
    elif type(version) is not int or version != SUBMISSION_FORMAT:
        problems.add(
            f'{place}, "daam_bench"',
            f"must be {SUBMISSION_FORMAT}, the version of this format, not {shown(version)}",
        )
    left = {name: record[name] for name in names if name in record}
    for name, value in list(left.items()):
        if hidden := hidden_characters(value, "\n" if name == "description" else ""):
            problems.add(f'{place}, "{name}"', f"{hidden}; take it out")
            del left[name]
    return left
