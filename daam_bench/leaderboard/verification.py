"""What hosts write of entries, apart from them: a method run by a host on a dataset that was not public."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from daam_bench.datasets.load import DEV
from daam_bench.files.outside import hidden_characters, parse_json, parse_record
from daam_bench.files.replacing import write_text
from daam_bench.leaderboard import SUBMISSION_FILES, VERIFIED
from daam_bench.leaderboard.reading import read_bounded
from daam_bench.leaderboard.submission import Submission
from daam_bench.scoring.results import tau_key
from daam_bench.types import Report, Scores, Split
from daam_bench.types.errors import InputError
from daam_bench.types.reports import Fraction


class HostsRecord(Protocol):
    """What a host writes of one entry."""

    @property
    def entry(self) -> str:
        """Slug of the entry."""
        ...


R = TypeVar("R", bound=HostsRecord)


@dataclass(frozen=True, slots=True)
class VerifiedScore:
    """mIoU over all nouns and over COCO's 80 classes, in [0, 1]; None without pairs."""

    miou_inf: Fraction | None
    miou_80: Fraction | None


ScoresByTau = Mapping[str, Mapping[str, VerifiedScore]]
"""Split -> tau ("0.4", "none") -> score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A host's record of one entry: `leaderboard/verified/<slug>.json`.

    Attributes:
        entry: Slug of the entry.
        sha256: `submitted_hash` of the entry as the host verified it.
        by: Who of the leaderboard's hosts ran the method.
        how: How, and on what.
        date: ISO date.
        method: What was run, "module:Class".
        parameters: The parameters that the method said it ran with.
        dataset: Name of the fresh dataset.
        fingerprint: Its fingerprint, by split.
        fresh: What the method scored there.
        claimed: What the entry's masks score on the leaderboard's splits.
        version: The version of daam-bench that scored it; None in records that don't say.
        commit: Its git commit; None outside a checkout.
    """

    entry: str
    sha256: str
    by: str
    how: str
    date: str
    method: str
    parameters: Mapping[str, Any]
    dataset: str
    fingerprint: Mapping[str, str]
    fresh: ScoresByTau
    claimed: ScoresByTau
    version: str | None = None
    commit: str | None = None


def submitted_hash(folder: Path) -> str:
    """Return the hex SHA-256 over every submitted file of an entry: claims, masks and heat maps."""
    digest = hashlib.sha256()
    for name in SUBMISSION_FILES:
        path = folder / name
        if path.exists():
            with path.open("rb") as file:
                digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def verified_beside(entries: Path) -> Path:
    """Return the usual folder of the records: beside that of the entries."""
    return entries.absolute().parent / VERIFIED.name


def check_fresh(splits: Sequence[Split], report: Report) -> None:
    """Refuse a dataset that an entry was scored or may have been tuned on: its ground truth was public."""
    for split in splits:
        if split.name == DEV or split.fingerprint in report.fingerprint.values():
            raise InputError(
                f"{split.dataset} holds {split.name}, which is public; make a fresh dataset: "
                "python -m tools.emoji scenes --seed N --count 1000 --output fresh"
            )


def check_same_method(name: str, submission: Submission) -> None:
    """Refuse a method that calls itself otherwise than the entry's."""
    if name != submission.method:
        raise InputError(
            f"the method calls itself {name!r:.80}, the entry's is {submission.method!r:.80}; "
            "give the method that the entry was made with"
        )


def verified_scores(scores: Mapping[str, Mapping[str, Scores]], taus: Sequence[float]) -> ScoresByTau:
    """Return what a record keeps of scores: split -> tau -> score.

    Raises:
        InputError: They are at other taus than those of the entry: a soft method became a hard one.
    """
    wanted = {tau_key(tau) for tau in taus or (None,)}
    for name, by_tau in scores.items():
        if set(by_tau) != wanted:
            raise InputError(
                f"on {name} the method has scores at tau {', '.join(by_tau)}, the entry at "
                f"{', '.join(sorted(wanted))}; it gives heat maps where the entry has "
                "hard masks, or masks where it has heat maps"
            )
    return {
        name: {tau: VerifiedScore(found.miou_inf, found.miou_80) for tau, found in by_tau.items()}
        for name, by_tau in scores.items()
    }


def read_verification(records: Path, slug: str) -> Verification | None:
    """Read the record of an entry; None if there is none. InputError for a damaged one."""
    path = records / f"{slug}.json"
    if not path.exists():
        return None
    try:
        return read_record(path, Verification, slug)
    except InputError as error:
        raise InputError(f"{path}: {error}; `daam-bench leaderboard verify` writes it") from None


def read_record(path: Path, schema: type[R], slug: str) -> R:
    """Read a host's record of an entry; InputError for one that is damaged or of another entry."""
    record = parse_json(read_bounded(path))
    if hidden := hidden_characters(record):
        raise InputError(hidden)
    found = parse_record(schema, record)
    if found.entry != slug:
        raise InputError(f"it is of the entry {found.entry!r:.80}")
    return found


def write_verification(records: Path, verification: Verification) -> Path:
    """Write the record of an entry in place of an earlier one."""
    path = records / f"{verification.entry}.json"
    write_text(path, json.dumps(asdict(verification), indent=2, ensure_ascii=False) + "\n")
    return path
