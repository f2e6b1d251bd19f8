"""From a run's output folder to a submission."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daam_bench.files.predictions import read_predictions
from daam_bench.files.replacing import replacing_file
from daam_bench.leaderboard.accept import write_checked
from daam_bench.leaderboard.layout import PREDICTIONS, REPORT, SPLITS, SUBMISSION_FILES
from daam_bench.leaderboard.problems import Problems
from daam_bench.leaderboard.submission import Submission, TruthUse, to_json
from daam_bench.leaderboard.validate import validate
from daam_bench.scoring.report import read_report
from daam_bench.types import Environment, PredictionsHeader, Split
from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a run's folder can't say of a method; see `Submission`."""

    name: str
    authors: tuple[str, ...]
    link: str | None
    licence: str
    description: str
    truth: TruthUse
    supervised: bool
    open_vocabulary: bool


def describe_run(run: Path, description: Description) -> Submission:
    """Make the `submission.json` of a run: method, parameters and taus as its predictions files say.

    Raises:
        InputError: The folder lacks a split's predictions, or they are damaged.
    """
    header, taus = _read_run(run / SPLITS[0] / PREDICTIONS)
    return Submission(
        name=description.name,
        authors=description.authors,
        link=description.link,
        licence=description.licence,
        description=description.description,
        method=header.method,
        parameters=header.parameters,
        taus=taus,
        truth=description.truth,
        supervised=description.supervised,
        open_vocabulary=description.open_vocabulary,
        environment=_environment(run / REPORT, header),
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
    checked = validate(run, splits, problems, to_json(submission).encode("utf-8", "surrogatepass"))
    if checked is None:
        return
    with tempfile.TemporaryDirectory(prefix="daam-bench-") as scratch:
        write_checked(Path(scratch), checked)
        _zip(Path(scratch), output)


def _zip(folder: Path, output: Path) -> None:
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


def _read_run(path: Path) -> tuple[PredictionsHeader, tuple[float, ...]]:
    """Return the header of a predictions file, and the taus that its masks were made with."""
    if not path.exists():
        raise InputError(
            f"no {path}; give the output folder of `daam-bench run` over both splits, {' and '.join(SPLITS)}"
        )
    header, predictions = read_predictions(path)
    taus = {prediction.tau for prediction in predictions}
    return header, tuple(sorted(tau for tau in taus if tau is not None))


def _environment(path: Path, header: PredictionsHeader) -> Environment | None:
    """Return where a run's report says that it was made; None if there is none of this method."""
    if not path.exists():
        return None
    report = read_report(path)
    same = (report.method, dict(report.parameters)) == (header.method, dict(header.parameters))
    return report.environment if same else None
