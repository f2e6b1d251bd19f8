"""The leaderboard's entries: accepted from submissions, loaded, and scored again from their masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from daam_bench.datasets.load import load_split, locate, split_names
from daam_bench.files import HEAT_MAPS, PREDICTIONS, REPORT
from daam_bench.files.folders import put_all_right, put_right, replacing_folder
from daam_bench.files.outside import hidden_characters, parse_json, shown
from daam_bench.leaderboard import ENTRIES, SCENES, SPLITS, SUBMISSION, SUBMISSION_FILES
from daam_bench.leaderboard.checking import CheckedSubmission, validate
from daam_bench.leaderboard.faithfulness_record import FaithfulnessRecord, read_faithfulness_record
from daam_bench.leaderboard.names import is_slug, look_alike, slug_of
from daam_bench.leaderboard.packing import write_checked
from daam_bench.leaderboard.reading import Problems, is_plain_file, read_bounded
from daam_bench.leaderboard.submission import Submission, parse_submission
from daam_bench.leaderboard.verification import (
    Verification,
    read_verification,
    submitted_hash,
    verified_beside,
)
from daam_bench.scoring.report import build_report, describe_environment, report_to_json
from daam_bench.scoring.saved_report import read_report
from daam_bench.scoring.score import score
from daam_bench.types import Report, Split
from daam_bench.types.errors import InputError

TOLERANCE = 1e-9
"""How far a score of masks may differ. Two machines' linear algebra adds up in other orders: 1e-15 or so."""

SOFT_TOLERANCE = 1e-4
"""How far a score of heat maps may differ.

Upscaling ends in other last digits on another machine, so that a pixel within them of a threshold changes
sides: some of a split's, each worth its share of a mask, shared by all pairs.
"""

PEAK_TOLERANCE = 2
"""How many pairs' peaks may lie elsewhere: of two equally hot pixels, the last digit decides."""

_SLUG_HELP = "an entry's folder is named with a-z, 0-9 and single hyphens, and as no device of Windows"
_SOFT = ("average_precision", "miou_over_tau", "map_leakage")
_FOLLOWS = "oracle_tau"
"""Checked against its curve when a report is read; of two taus almost as good machines take either."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A method on the leaderboard. One with several taus has a row a tau.

    Attributes:
        slug: Name of its folder.
        folder: Its folder.
        submission: What its authors say of it.
        report: Its scores, made from its masks by the leaderboard.
        verification: Set if a host ran the method itself, and the entry is still as it was then.
        faithfulness: Set if a host measured it, of the entry as it is.
    """

    slug: str
    folder: Path
    submission: Submission
    report: Report
    verification: Verification | None = None
    faithfulness: FaithfulnessRecord | None = None

    def predictions(self, split: str) -> Path:
        """Return its predictions file of a split."""
        return self.folder / split / PREDICTIONS

    def heat_maps(self, split: str) -> Path | None:
        """Return its file of heat maps of a split; None for a method of hard masks."""
        path = self.folder / split / HEAT_MAPS
        return path if path.exists() else None


def load_entries(folder: Path | str = ENTRIES, verified: Path | None = None) -> list[Entry]:
    """Load all entries, in the order of their slugs; `verified`: the hosts' records (None: beside them)."""
    return [load_entry(path, verified) for path in entry_folders(Path(folder))]


def entry_folders(folder: Path) -> list[Path]:
    """Return the folders of the entries, in the order of their slugs."""
    put_all_right(folder)
    if not folder.is_dir():
        raise InputError(
            f"no leaderboard entries at {folder.absolute()}; run in a checkout of daam-bench, "
            "or give --entries DIR"
        )
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def load_entry(folder: Path, verified: Path | None = None) -> Entry:
    """Load an entry, and refuse a damaged file of it.

    A host's record counts only as long as all that was submitted is what the host verified.
    """
    if not is_slug(folder.name):
        raise InputError(f"{folder}: {_SLUG_HELP}")
    problems = Problems()
    submission, _ = parse_submission(read_bounded(folder / SUBMISSION), problems, str(folder / SUBMISSION))
    if submission is None:
        raise InputError(problems.lines()[0])
    read_bounded(folder / REPORT)
    records, report = verified or verified_beside(folder.parent), read_report(folder / REPORT)
    verification = read_verification(records, folder.name)
    if verification is not None and verification.sha256 != submitted_hash(folder):
        verification = None
    faithfulness = read_faithfulness_record(records, folder.name)
    if faithfulness is not None and not faithfulness.holds(folder, report):
        faithfulness = None
    return Entry(folder.name, folder, submission, report, verification, faithfulness)


def load_splits(dataset: str) -> list[Split]:
    """Load the splits that entries are scored on, under the dataset's name rather than its path here."""
    put_right(Path(dataset))
    name = Path(dataset).absolute().name if Path(dataset).is_dir() else dataset
    there = [SCENES] if SCENES in split_names(locate(dataset)) else []
    return [replace(load_split(dataset, split), dataset=name) for split in (*SPLITS, *there)]


def accept(
    checked: CheckedSubmission, entries: Path, slug: str | None = None, *, overwrite: bool = False
) -> Entry:
    """Score a submission and keep it as an entry, in place of an earlier one all at once or not at all.

    The folder of entries is made if needed; without a slug, that of the submission's name is taken.

    Raises:
        InputError: There is an entry of this slug already, or one whose name or slug looks the same; the slug
            is none, or the folder can't be written.
    """
    slug = slug or slug_of(checked.submission.name)
    if not is_slug(slug):
        raise InputError(
            f"a slug is made of a-z, 0-9 and single hyphens, and is no Windows device, not {slug!r}"
        )
    target = entries / slug
    put_right(target)
    if target.exists() and not overwrite:
        raise InputError(f"{target} is there already; give --replace to replace it, or another --slug")
    for other, name in _names_of(entries):
        if other != slug and look_alike(checked.submission.name, slug, name, other):
            raise InputError(
                f"the name {shown(checked.submission.name)} or the slug {slug!r} looks like that of the "
                f"entry {entries / other}, {shown(name)}; choose another --name in `daam-bench submit pack`"
            )
    try:
        with replacing_folder(target) as fresh:
            write_checked(fresh, checked)
            (fresh / REPORT).write_text(report_to_json(score_submission(checked)), encoding="utf-8")
    except OSError as error:
        raise InputError(f"can't write {target}: {error.strerror}; give another --entries") from None
    return load_entry(target)


def score_submission(checked: CheckedSubmission) -> Report:
    """Score a checked submission: protocol, dataset and seed are ours."""
    results = [score(found.split, found.predictions, found.heat_maps) for found in checked.splits.values()]
    return build_report(
        results,
        method=checked.submission.method,
        parameters=checked.submission.parameters,
        dataset=results[0].split.dataset,
        environment=describe_environment(seeds={"bootstrap": 0}),
        track=checked.submission.listed_track,
        tuned_on=checked.submission.tuned_on,
    )


def _names_of(entries: Path) -> Iterator[tuple[str, str]]:
    """Yield the slug and the name of every entry that says its name, whatever else is wrong with it."""
    for folder in entry_folders(entries) if entries.is_dir() else []:
        try:
            name = parse_json(read_bounded(folder / SUBMISSION)).get("name")
        except (InputError, AttributeError):
            continue
        if isinstance(name, str):
            yield folder.name, name


def check_names(entries: Path, problems: Problems) -> None:
    """Add every two entries that a reader would take for the same."""
    for (slug, name), (other, other_name) in combinations(list(_names_of(entries)), 2):
        if look_alike(name, slug, other_name, other):
            problems.add(
                f"{other}/{SUBMISSION}",
                f"the name {shown(other_name)} or the folder looks like that of {slug}, {shown(name)}; "
                "give one of the two another name",
            )


def outdated_records(entry: Entry, verified: Path | None = None) -> Iterator[str]:
    """Say of each host's record of an entry that no longer counts what became of it."""
    records = verified or verified_beside(entry.folder.parent)
    if entry.verification is None and read_verification(records, entry.slug) is not None:
        yield "changed since a host verified it; verify it again"
    if entry.faithfulness is None and read_faithfulness_record(records, entry.slug) is not None:
        yield "changed since a host measured its faithfulness, or the measure did; measure it again"


def check_entry(
    folder: Path, splits: Sequence[Split], problems: Problems, verified: Path | None = None
) -> None:
    """Check an untrusted entry, score it again, compare with its report, and add all that is wrong."""
    if folder.is_symlink() or not is_slug(folder.name):
        problems.add(f"entry {shown(folder.name)}", f"must be a folder, no link: {_SLUG_HELP}")
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or is_plain_file(path)):
            problems.add(f"{folder.name}/{name}", "is a link or a device; an entry holds plain files")
        elif path.is_file() and name not in (*SUBMISSION_FILES, REPORT):
            problems.add(f"{folder.name}/{name}", "is no file of an entry; remove it")
    found = Problems()
    checked = validate(folder, splits, found)
    problems.extend(found, folder.name)
    if checked is None:
        return
    try:
        entry = load_entry(folder, verified)
    except InputError as error:
        problems.add(folder.name, str(error))
        return
    if hidden := hidden_characters(asdict(entry.report)):
        problems.add(f"{folder.name}/{REPORT}", hidden)
    for what in differences(entry.report, score_submission(checked)):
        problems.add(f"{folder.name}/{REPORT}", what)


def differences(stored: Report, fresh: Report) -> Iterator[str]:
    """Yield in words what differs between two reports beyond the tolerances; where they were made may."""
    first, second = asdict(stored), asdict(fresh)
    del first["environment"], second["environment"]
    yield from compare(first, second)


def compare(stored: Any, fresh: Any, name: str = "", tolerance: float = TOLERANCE) -> Iterator[str]:
    """Yield in words what differs between two values of reports beyond the tolerances."""
    if isinstance(stored, Mapping) and isinstance(fresh, Mapping):
        pairs = fresh.get("pairs_inf")
        for key in dict.fromkeys([*fresh, *stored]):
            place = f"{name}.{key}" if name else str(key)
            if key == _FOLLOWS:
                continue
            if key in stored and key in fresh:
                allowed = SOFT_TOLERANCE if key in _SOFT else tolerance
                if key == "pointing_game" and pairs:
                    allowed = (PEAK_TOLERANCE + 0.5) / pairs
                yield from compare(stored[key], fresh[key], place, allowed)
            else:
                yield f"{shown(place)} is only {'in the report' if key in stored else 'among the new scores'}"
    elif isinstance(stored, list | tuple) and isinstance(fresh, list | tuple) and len(stored) == len(fresh):
        for index, (one, other) in enumerate(zip(stored, fresh, strict=True)):
            yield from compare(one, other, f"{name}[{index}]", tolerance)
    elif isinstance(stored, float) and isinstance(fresh, float):
        if not abs(stored - fresh) <= tolerance:
            yield f"{name} is {stored}, but its masks score {fresh}"
    elif stored != fresh:
        yield f"{shown(name)} is {shown(stored)}, but its masks give {shown(fresh)}"
