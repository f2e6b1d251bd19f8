"""The leaderboard's entries: a folder each, as `daam_bench.leaderboard` says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from daam_bench.files.outside import hidden_characters, parse_json, parse_record
from daam_bench.files.run_folder import HEAT_MAPS, PREDICTIONS, REPORT
from daam_bench.leaderboard import ENTRIES, SUBMISSION, VERIFICATION
from daam_bench.leaderboard.reading import Problems, read_bounded
from daam_bench.leaderboard.submission import Submission, parse_submission
from daam_bench.scoring.report import read_report
from daam_bench.types import Report
from daam_bench.types.errors import InputError

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Name of an entry's folder."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Who of the leaderboard's hosts ran the method and got the same masks, how, and when (ISO date)."""

    by: str
    how: str
    date: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A method on the leaderboard. One with several taus has a row a tau.

    Attributes:
        slug: Name of its folder.
        folder: Its folder.
        submission: What its authors say of it.
        report: Its scores, made from its masks by the leaderboard.
        verification: Set if a host ran the method itself.
    """

    slug: str
    folder: Path
    submission: Submission
    report: Report
    verification: Verification | None = None

    def predictions(self, split: str) -> Path:
        """Return its predictions file of a split."""
        return self.folder / split / PREDICTIONS

    def heat_maps(self, split: str) -> Path | None:
        """Return its file of heat maps of a split; None for a method of hard masks."""
        path = self.folder / split / HEAT_MAPS
        return path if path.exists() else None


def load_entries(folder: Path | str = ENTRIES) -> list[Entry]:
    """Load all entries, in the order of their slugs.

    Raises:
        InputError: The folder is not there, or an entry's `submission.json` or `report.json` is damaged.
    """
    return [load_entry(path) for path in entry_folders(Path(folder))]


def entry_folders(folder: Path) -> list[Path]:
    """Return the folders of the entries, in the order of their slugs.

    Raises:
        InputError: The folder is not there.
    """
    if not folder.is_dir():
        raise InputError(
            f"no leaderboard entries at {folder.absolute()}; run in a checkout of daam-bench, "
            "or give --entries DIR"
        )
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def load_entry(folder: Path) -> Entry:
    """Load an entry.

    Raises:
        InputError: Its `submission.json` or `report.json` is damaged.
    """
    if not SLUG.fullmatch(folder.name):
        raise InputError(f"{folder}: an entry is a folder named with a-z, 0-9 and single hyphens")
    problems = Problems()
    submission, _ = parse_submission(read_bounded(folder / SUBMISSION), problems, str(folder / SUBMISSION))
    if submission is None:
        raise InputError(problems.lines()[0])
    read_bounded(folder / REPORT)
    return Entry(folder.name, folder, submission, read_report(folder / REPORT), _verification(folder))


def _verification(folder: Path) -> Verification | None:
    path = folder / VERIFICATION
    if not path.exists():
        return None
    try:
        record = parse_json(read_bounded(path))
        if hidden := hidden_characters(record):
            raise InputError(hidden)
        return parse_record(Verification, record)
    except InputError as error:
        raise InputError(f'{path}: {error}; it is {{"by": ..., "how": ..., "date": ...}}') from None
