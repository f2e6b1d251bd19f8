"""From a run's output folder to a submission's zip file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daam_bench.datasets.load import DEV
from daam_bench.files import HEAT_MAPS, PREDICTIONS
from daam_bench.files.predictions import HeatMapsWriter, PredictionsWriter, read_heat_maps, read_predictions
from daam_bench.files.replacing import replacing_file
from daam_bench.leaderboard import SPLITS, SUBMISSION, SUBMISSION_FILES
from daam_bench.leaderboard.checking import CheckedSubmission, validate
from daam_bench.leaderboard.reading import DEV_HELP, Problems
from daam_bench.leaderboard.submission import Submission, submission_to_json
from daam_bench.scoring.saved_report import report_of_run
from daam_bench.types import PredictionsHeader, Split
from daam_bench.types.errors import InputError


def describe_run(run: Path, **said: Any) -> Submission:
    """Make the `submission.json` of a run: method, parameters, taus and environment as its files say.

    `said` are the other fields of `Submission`, which `pack` checks.
    """
    if (run / DEV).exists():
        raise InputError(f"{run / DEV} {DEV_HELP}")
    path = run / SPLITS[0] / PREDICTIONS
    if not path.exists():
        raise InputError(
            f"no {path}; give the output folder of `daam-bench run` over both splits, {' and '.join(SPLITS)}"
        )
    header, predictions = read_predictions(path)
    taus = {prediction.tau for prediction in predictions}
    report = report_of_run(run, header)
    return Submission(
        method=header.method,
        parameters=header.parameters,
        taus=tuple(sorted(tau for tau in taus if tau is not None)),
        environment=None if report is None else report.environment,
        track=None if report is None else report.track,
        tuned_on=None if report is None else report.tuned_on,
        **said,
    )


def pack(
    run: Path, submission: Submission, splits: Sequence[Split], output: Path, problems: Problems
) -> None:
    """Check a run's output folder as the leaderboard will, and write it as a zip file unless it is wrong."""
    description = submission_to_json(submission).encode("utf-8", "surrogatepass")
    checked = validate(run, splits, problems, description)
    if checked is None:
        return
    with tempfile.TemporaryDirectory(prefix="daam-bench-") as scratch:
        folder = Path(scratch)
        write_checked(folder, checked)
        try:
            with (
                replacing_file(output) as partial,
                zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for name in SUBMISSION_FILES:
                    if (folder / name).exists():
                        archive.write(folder / name, name)
        except OSError as error:
            raise InputError(f"can't write {output}: {error.strerror}; give another --output") from None


def write_checked(folder: Path, checked: CheckedSubmission) -> None:
    """Write a checked submission again into an empty folder: what was checked, and nothing else."""
    (folder / SUBMISSION).write_text(submission_to_json(checked.submission), encoding="utf-8")
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
                for entry in read_heat_maps(found.heat_maps)[1]:
                    # One at a time: all of them at once may not fit into memory.
                    maps.append([entry])
