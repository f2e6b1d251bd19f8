"""The report of a method on a dataset: built from scores, written and read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from daam_bench.files.records import from_record
from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.tables import format_markdown
from daam_bench.types import Environment, PairScore, Proposals, Report, Scores, Split
from daam_bench.types.errors import InputError

PROTOCOL = "1"
"""Version of the scoring protocol; any change to a number's definition raises it."""


def build_report(
    results: Sequence[SplitScores],
    *,
    method: str,
    parameters: Mapping[str, Any],
    dataset: str,
    environment: Environment,
) -> Report:
    """Build a report from the scores of each split.

    Args:
        results: The scores, one of each split.
        method: Name of the method.
        parameters: Its parameters; values that JSON has.
        dataset: Name, path or hub id of the dataset.
        environment: How the scores came to be.
    """
    return Report(
        protocol=PROTOCOL,
        method=method,
        parameters=dict(parameters),
        dataset=dataset,
        fingerprint={result.split.name: result.split.fingerprint for result in results},
        environment=replace(
            environment,
            dataset_revision=next((result.split.revision for result in results), None),
        ),
        splits={result.split.name: dict(result) for result in results},
        proposals={
            result.split.name: proposals
            for result in results
            if (proposals := count_proposals(result.split)) is not None
        },
    )


def count_proposals(split: Split) -> Proposals | None:
    """Count the images of a split whose masks are unchecked proposals; None without any."""
    by = [
        example.annotation.by
        for example in split.examples
        if example.annotation is not None and example.annotation.is_proposal
    ]
    return Proposals(len(by), len(split.examples), ", ".join(sorted(set(by)))) if by else None


def write_report(folder: Path | str, report: Report, results: Sequence[SplitScores]) -> None:
    """Write `report.json`, `report.md` and `pairs.csv` into a folder.

    Args:
        folder: The folder; made if needed.
        report: The report.
        results: The scores that it was built from, for `pairs.csv`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(to_json(report), encoding="utf-8")
    (folder / "report.md").write_text(format_markdown(report), encoding="utf-8")
    write_pairs(folder / "pairs.csv", results)


def write_pairs(path: Path | str, results: Sequence[SplitScores]) -> None:
    """Write the score of every pair at every tau as CSV, one row each, with a header."""
    columns = [field.name for field in fields(PairScore)]
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", *columns])
        for result in results:
            for pair in result.pairs():
                writer.writerow([result.split.name, *(getattr(pair, column) for column in columns)])


def to_json(report: Report) -> str:
    """Return a report as the text of `report.json`: fractions in [0, 1], null where there is no number."""
    return json.dumps(asdict(report), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read_report(path: Path | str) -> Report:
    """Read a `report.json` and check it.

    Raises:
        InputError: The file can't be read, or isn't a report of this protocol.
    """
    mend = "make it again with `daam-bench score`"
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_reject)
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}; give the path of a report.json") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({str(error)[:80]!r}); {mend}") from None
    try:
        report = from_record(Report, record)
        _check(report)
    except InputError as error:
        raise InputError(f"{path} is not a report: {error}; {mend}") from None
    return report


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _check(report: Report) -> None:
    if report.protocol != PROTOCOL:
        raise InputError(f"protocol {report.protocol!r}, not {PROTOCOL!r}")
    for split, taus in report.splits.items():
        if split not in report.fingerprint:
            raise InputError(f"no fingerprint of split {split!r}")
        for tau, scores in taus.items():
            if not all(0 <= fraction <= 1 for fraction in _fractions(scores)):
                raise InputError(f"a score of split {split!r} at tau {tau!r} is not a fraction in [0, 1]")
            if not 0 <= scores.pairs_80 <= scores.pairs_inf:
                raise InputError(
                    f"split {split!r} at tau {tau!r} has more pairs of the 80 classes than pairs"
                )


def _fractions(scores: Scores) -> Iterator[float]:
    values = [
        scores.miou_80,
        scores.miou_inf,
        scores.coverage,
        scores.average_precision,
        scores.pointing_game,
    ]
    values += [*(scores.ci95_80 or ()), *(scores.ci95_inf or ())]
    values += [score.miou for score in scores.per_class.values()]
    for point in (scores.miou_over_tau or {}).values():
        values += [point.miou_80, point.miou_inf]
    return (value for value in values if value is not None)
