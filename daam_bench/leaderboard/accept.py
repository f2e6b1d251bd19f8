"""Scoring a submission from its masks, and keeping it as an entry."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from daam_bench.datasets.load import load_split
from daam_bench.files.heat_maps import HeatMapsWriter, read_heat_maps
from daam_bench.files.predictions import PredictionsWriter
from daam_bench.files.replacing import replacing_folder
from daam_bench.leaderboard.entries import SLUG, Entry, load_entry
from daam_bench.leaderboard.layout import HEAT_MAPS, PREDICTIONS, REPORT, SPLITS, SUBMISSION, VERIFICATION
from daam_bench.leaderboard.submission import slug_of, to_json
from daam_bench.leaderboard.validate import CheckedSubmission
from daam_bench.scoring.environment import describe_environment
from daam_bench.scoring.report import build_report
from daam_bench.scoring.report import to_json as report_to_json
from daam_bench.scoring.score import score
from daam_bench.types import PredictionsHeader, Report, Split
from daam_bench.types.errors import InputError


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


def write_checked(folder: Path, checked: CheckedSubmission) -> None:
    """Write a checked submission again into an empty folder.

    Nothing is copied: what stands there afterwards is what was checked, and nothing else.
    """
    (folder / SUBMISSION).write_text(to_json(checked.submission), encoding="utf-8")
    for name, found in checked.splits.items():
        header = PredictionsHeader(
            checked.submission.method,
            checked.submission.parameters,
            found.split.dataset,
            name,
            found.split.fingerprint,
        )
        taus = checked.submission.taus or (None,)
        with PredictionsWriter(folder / name / PREDICTIONS, header, taus=taus) as predictions:
            predictions.append(found.predictions)
        if found.heat_maps is not None:
            with HeatMapsWriter(folder / name / HEAT_MAPS, header) as maps:
                maps.append(read_heat_maps(found.heat_maps)[1])


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
