"""The report of a method on a dataset: built from scores, written and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from daam_bench.files.outside import parse_json, parse_record
from daam_bench.files.run_folder import PAIRS, REPORT, REPORT_PAGE
from daam_bench.files.text_files import write_csv, write_text
from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.tables import format_markdown
from daam_bench.types import Environment, PairScore, Proposals, Report, Split
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
    """Write `report.json`, `report.md` and `pairs.csv` into a folder, each whole or not at all.

    Args:
        folder: The folder; made if needed.
        report: The report.
        results: The scores that it was built from, for `pairs.csv`.

    Raises:
        InputError: The folder can't be written.
    """
    folder = Path(folder)
    write_text(folder / REPORT, report_to_json(report))
    write_text(folder / REPORT_PAGE, format_markdown(report))
    columns = [field.name for field in fields(PairScore)]
    # The IoU as text, so that it is not rounded.
    rows = (
        [result.split.name, pair.id, pair.noun, pair.text, pair.coco_class, pair.tau, repr(pair.iou)]
        for result in results
        for pair in result.pairs()
    )
    write_csv(folder / PAIRS, ["split", *columns], rows)


def report_to_json(report: Report) -> str:
    """Return a report as the text of `report.json`: fractions in [0, 1], null where there is no number."""
    return json.dumps(asdict(report), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read_report(path: Path | str) -> Report:
    """Read a `report.json` and check it.

    Raises:
        InputError: The file can't be read, or isn't a report of this protocol; everything wrong is said.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}; give the path of a report.json") from None
    try:
        report = parse_record(Report, parse_json(content))
        _check(report)
    except InputError as error:
        raise InputError(f"{path} is not a report: {error}; make it again with `daam-bench score`") from None
    return report


def _check(report: Report) -> None:
    if report.protocol != PROTOCOL:
        raise InputError(f"protocol {report.protocol!r}, not {PROTOCOL!r}")
    for split, taus in report.splits.items():
        if split not in report.fingerprint:
            raise InputError(f"no fingerprint of split {split!r}")
        for tau, scores in taus.items():
            if not 0 <= scores.pairs_80 <= scores.pairs_inf:
                raise InputError(
                    f"split {split!r} at tau {tau!r} has more pairs of the 80 classes than pairs"
                )
