"""Scoring every entry again, and comparing with its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daam_bench.leaderboard.accept import score_folder
from daam_bench.leaderboard.entries import SLUG, load_entry
from daam_bench.leaderboard.layout import REPORT, SUBMISSION_FILES, VERIFICATION
from daam_bench.leaderboard.lines import is_plain_file
from daam_bench.leaderboard.problems import Problems
from daam_bench.leaderboard.untrusted import hidden_characters, shown
from daam_bench.leaderboard.validate import validate
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


def check_entry(folder: Path, splits: Sequence[Split], problems: Problems) -> None:
    """Check an entry as if it came from a stranger, score it again, and compare with its report.

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
    stored = asdict(entry.report)
    if hidden := hidden_characters(stored):
        problems.add(f"{folder.name}/{REPORT}", f"holds the character {hidden}, which no screen shows")
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
