"""A submission, checked in full: a folder or zip file that nobody vouches for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daam_bench.leaderboard.check_heat_maps import check_heat_maps
from daam_bench.leaderboard.check_predictions import check_predictions
from daam_bench.leaderboard.entries import read_bounded
from daam_bench.leaderboard.layout import HEAT_MAPS, PREDICTIONS, SUBMISSION, SUBMISSION_FILES
from daam_bench.leaderboard.problems import Problems
from daam_bench.leaderboard.submission import Claims, Submission, parse_claims, parse_submission
from daam_bench.leaderboard.zips import unpack_zip
from daam_bench.types import Prediction, Split
from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class CheckedSplit:
    """A method's predictions on a split, nothing about which is wrong.

    Attributes:
        split: The split.
        predictions: One a noun and tau, in the split's order.
        heat_maps: The file of its heat maps; None for a method without.
    """

    split: Split
    predictions: Sequence[Prediction]
    heat_maps: Path | None


@dataclass(frozen=True, slots=True)
class CheckedSubmission:
    """A submission that nothing is wrong with.

    Attributes:
        submission: What it says of itself.
        splits: Split -> its predictions there.
    """

    submission: Submission
    splits: Mapping[str, CheckedSplit]


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """Give a submission as a folder: it itself, or a zip file's content in a temporary one.

    Raises:
        InputError: There is nothing, or it is no zip file, or one that must not be unpacked.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise InputError(f"no submission {source}; give a folder or a zip file with a {SUBMISSION}")
    with tempfile.TemporaryDirectory(prefix="daam-bench-") as folder:
        unpack_zip(source, Path(folder), SUBMISSION_FILES, SUBMISSION)
        yield Path(folder)


def validate(
    folder: Path, splits: Sequence[Split], problems: Problems, description: bytes | None = None
) -> CheckedSubmission | None:
    """Check a submission in full.

    Args:
        folder: The submission. Files that it needn't have are not looked at.
        splits: The splits of the dataset, all of `SPLITS`.
        problems: What is wrong is added here: all of it.
        description: A `submission.json` to take in place of the folder's.

    Returns:
        The submission; None if anything is wrong with it.
    """
    before = len(problems)
    submission, claims = None, Claims()
    try:
        content = read_bounded(folder / SUBMISSION) if description is None else description
        submission, claims = parse_submission(content, problems), parse_claims(content)
    except InputError as error:
        problems.add(SUBMISSION, str(error))
    checked = {split.name: _check_split(folder, split, claims, problems) for split in splits}
    with_maps = [name for name, found in checked.items() if found.heat_maps is not None]
    if with_maps:
        if claims.taus == ():
            problems.add(
                f"{with_maps[0]}/{HEAT_MAPS}",
                f'heat maps of a method of hard masks; take them out, or give {SUBMISSION} its "taus"',
            )
        for name in checked.keys() - with_maps:
            problems.add(
                f"{name}/{HEAT_MAPS}", f"is missing, but {with_maps[0]} has one; give both splits' or neither"
            )
    if submission is None or len(problems) > before:
        return None
    return CheckedSubmission(submission, checked)


def _check_split(folder: Path, split: Split, claims: Claims, problems: Problems) -> CheckedSplit:
    place = f"{split.name}/{PREDICTIONS}"
    predictions: list[Prediction] = []
    heat_maps = folder / split.name / HEAT_MAPS
    if (folder / split.name).is_symlink():
        problems.add(split.name, "is a link; put the folder itself there")
    elif not _exists(folder / place):
        problems.add(place, "is missing; a submission has both splits' predictions")
    else:
        predictions = check_predictions(folder / place, place, split, claims, problems)
        if _exists(heat_maps):
            check_heat_maps(heat_maps, f"{split.name}/{HEAT_MAPS}", split, claims, problems)
    return CheckedSplit(split, predictions, heat_maps if _exists(heat_maps) else None)


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()
