"""Scoring a submission from its masks: when it becomes an entry, and again when the entries are checked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from daam_bench.datasets.load import load_split
from daam_bench.files.outside import hidden_characters, shown
from daam_bench.files.replacing import replacing_folder
from daam_bench.files.run_folder import HEAT_MAPS, PREDICTIONS, REPORT
from daam_bench.leaderboard import SPLITS, SUBMISSION_FILES, VERIFICATION
from daam_bench.leaderboard.checking import CheckedSubmission, validate
from daam_bench.leaderboard.entries import SLUG, Entry, load_entry
from daam_bench.leaderboard.packing import write_checked
from daam_bench.leaderboard.reading import Problems, is_plain_file
from daam_bench.leaderboard.submission import slug_of
from daam_bench.scoring.environment import describe_environment
from daam_bench.scoring.report import build_report, report_to_json
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

_SOFT = ("average_precision", "miou_over_tau")


def load_splits(dataset: str) -> list[Split]:
    """Load the splits that entries are scored on, under the dataset's name rather than its path here."""
    name = Path(dataset).absolute().name if Path(dataset).is_dir() else dataset
    return [replace(load_split(dataset, split), dataset=name) for split in SPLITS]


def accept(
    checked: CheckedSubmission, entries: Path, slug: str | None = None, *, overwrite: bool = False
) -> Entry:
    """Score a submission and keep it as an entry, in place of an earlier one all at once or not at all.

    A replaced entry's `verification.json` is kept if the masks are the same.

    Args:
        checked: The submission.
        entries: The folder of entries; made if needed.
        slug: Name of the entry's folder; None for one made from the submission's name.
        overwrite: Replace an entry of this slug.

    Raises:
        InputError: There is an entry of this slug already, the slug is none, or the folder can't be written.
    """
    slug = slug or slug_of(checked.submission.name)
    if not SLUG.fullmatch(slug):
        raise InputError(f"a slug is made of a-z, 0-9 and single hyphens, not {slug!r}")
    target = entries / slug
    if target.exists() and not overwrite:
        raise InputError(f"{target} is there already; give --replace to replace it, or another --slug")
    try:
        with replacing_folder(target) as fresh:
            write_checked(fresh, checked)
            report = score_folder(fresh, checked)
            (fresh / REPORT).write_text(report_to_json(report), encoding="utf-8")
            if target.exists():
                _keep_verification(target, fresh)
    except OSError as error:
        raise InputError(f"can't write {target}: {error.strerror}; give another --entries") from None
    return load_entry(target)


def score_folder(folder: Path, checked: CheckedSubmission) -> Report:
    """Score a checked submission that was written to a folder: protocol, dataset and seed are ours."""
    results = []
    for name, found in checked.splits.items():
        heat_maps = None if found.heat_maps is None else folder / name / HEAT_MAPS
        results.append(score(found.split, folder / name / PREDICTIONS, heat_maps))
    return build_report(
        results,
        method=checked.submission.method,
        parameters=checked.submission.parameters,
        dataset=results[0].split.dataset,
        environment=describe_environment(seeds={"bootstrap": 0}),
    )


def _keep_verification(old: Path, new: Path) -> None:
    files = [f"{split}/{PREDICTIONS}" for split in SPLITS]
    same = all(
        (old / file).exists() and (old / file).read_bytes() == (new / file).read_bytes() for file in files
    )
    if same and (old / VERIFICATION).exists():
        shutil.copyfile(old / VERIFICATION, new / VERIFICATION)


def check_entry(folder: Path, splits: Sequence[Split], problems: Problems) -> None:
    """Check an entry as if it came untrusted, score it again, and compare with its report.

    Args:
        folder: The entry.
        splits: The splits of the dataset.
        problems: What is wrong is added here: all of it.
    """
    if folder.is_symlink() or not SLUG.fullmatch(folder.name):
        problems.add(
            f"entry {shown(folder.name)}", "must be a folder, no link, named with a-z, 0-9 and single hyphens"
        )
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or is_plain_file(path)):
            problems.add(f"{folder.name}/{name}", "is a link or a device; an entry holds plain files")
        elif path.is_file() and name not in (*SUBMISSION_FILES, REPORT, VERIFICATION):
            problems.add(f"{folder.name}/{name}", "is no file of an entry; remove it")
    found = Problems()
    checked = validate(folder, splits, found)
    problems.extend(found, folder.name)
    if checked is None:
        return
    try:
        entry = load_entry(folder)
    except InputError as error:
        problems.add(folder.name, str(error))
        return
    if hidden := hidden_characters(asdict(entry.report)):
        problems.add(f"{folder.name}/{REPORT}", hidden)
    for what in differences(entry.report, score_folder(folder, checked)):
        problems.add(f"{folder.name}/{REPORT}", what)


def differences(stored: Report, fresh: Report) -> Iterator[str]:
    """Yield in words what differs between two reports beyond the tolerances; where they were made may."""
    first, second = asdict(stored), asdict(fresh)
    del first["environment"], second["environment"]
    yield from _compare(first, second, "", TOLERANCE)


def _compare(stored: Any, fresh: Any, name: str, tolerance: float) -> Iterator[str]:
    if isinstance(stored, Mapping) and isinstance(fresh, Mapping):
        pairs = fresh.get("pairs_inf")
        for key in dict.fromkeys([*fresh, *stored]):
            place = f"{name}.{key}" if name else str(key)
            if key in stored and key in fresh:
                allowed = SOFT_TOLERANCE if key in _SOFT else tolerance
                if key == "pointing_game" and pairs:
                    allowed = (PEAK_TOLERANCE + 0.5) / pairs
                yield from _compare(stored[key], fresh[key], place, allowed)
            else:
                yield f"{shown(place)} is only {'in the report' if key in stored else 'among the new scores'}"
    elif isinstance(stored, list | tuple) and isinstance(fresh, list | tuple) and len(stored) == len(fresh):
        for index, (one, other) in enumerate(zip(stored, fresh, strict=True)):
            yield from _compare(one, other, f"{name}[{index}]", tolerance)
    elif isinstance(stored, float) and isinstance(fresh, float):
        if not abs(stored - fresh) <= tolerance:
            yield f"{name} is {stored}, but its masks score {fresh}"
    elif stored != fresh:
        yield f"{shown(name)} is {shown(stored)}, but its masks give {shown(fresh)}"
