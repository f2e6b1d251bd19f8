"""From a run's output folder to a submission's zip file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daam_bench.files.heat_maps import HeatMapsWriter, read_heat_maps
from daam_bench.files.predictions import PredictionsWriter, read_predictions
from daam_bench.files.replacing import replacing_file
from daam_bench.files.run_folder import HEAT_MAPS, PREDICTIONS, REPORT
from daam_bench.leaderboard import SPLITS, SUBMISSION, SUBMISSION_FILES
from daam_bench.leaderboard.checking import CheckedSubmission, validate
from daam_bench.leaderboard.reading import Problems
from daam_bench.leaderboard.submission import Submission, submission_to_json
from daam_bench.scoring.report import read_report
from daam_bench.types import Environment, PredictionsHeader, Split
from daam_bench.types.errors import InputError


def describe_run(run: Path, **said: Any) -> Submission:
    """Make the `submission.json` of a run: method, parameters, taus and environment as its files say.

    Args:
        run: The run's output folder.
        **said: What the folder can't say: the other fields of `Submission`. `pack` checks them.

    Raises:
        InputError: The folder lacks a split's predictions, or they are damaged.
    """
    path = run / SPLITS[0] / PREDICTIONS
    if not path.exists():
        raise InputError(
            f"no {path}; give the output folder of `daam-bench run` over both splits, {' and '.join(SPLITS)}"
        )
    header, predictions = read_predictions(path)
    taus = {prediction.tau for prediction in predictions}
    return Submission(
        method=header.method,
        parameters=header.parameters,
        taus=tuple(sorted(tau for tau in taus if tau is not None)),
        environment=_environment(run / REPORT, header),
        **said,
    )


def pack(
    run: Path, submission: Submission, splits: Sequence[Split], output: Path, problems: Problems
) -> None:
    """Check a run's predictions as the leaderboard will, and write them as a zip file if nothing is wrong.

    Args:
        run: The run's output folder.
        submission: What to say of it.
        splits: The splits of the dataset.
        output: The zip file; not written if there is a problem.
        problems: What is wrong is added here.

    Raises:
        InputError: The zip file can't be written.
    """
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
    """Write a checked submission again into an empty folder.

    Nothing is copied: what stands there afterwards is what was checked, and nothing else.
    """
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
                maps.append(read_heat_maps(found.heat_maps)[1])


def _environment(path: Path, header: PredictionsHeader) -> Environment | None:
    """Return where a run's report says that it was made; None if there is none of this method."""
    if not path.exists():
        return None
    report = read_report(path)
    same = (report.method, dict(report.parameters)) == (header.method, dict(header.parameters))
    return report.environment if same else None
