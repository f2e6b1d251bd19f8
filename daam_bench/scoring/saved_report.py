"""Reading reports back: of another version or damaged, they are refused."""

from __future__ import annotations

from pathlib import Path

from daam_bench.files import REPORT
from daam_bench.files.outside import parse_json, parse_record
from daam_bench.scoring.metrics import CURVE_TAUS, oracle_tau
from daam_bench.scoring.report import PROTOCOL
from daam_bench.scoring.results import tau_key
from daam_bench.types import PredictionsHeader, Report
from daam_bench.types.errors import InputError


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
        record = parse_json(content)
        protocol = record.get("protocol") if isinstance(record, dict) else None
        if isinstance(protocol, str) and protocol != PROTOCOL:
            raise InputError(f"protocol {protocol!r:.40}, not {PROTOCOL!r}")
        report = parse_record(Report, record)
        _check(report)
    except InputError as error:
        raise InputError(f"{path} is not a report: {error}; make it again with `daam-bench score`") from None
    return report


def report_of_run(folder: Path, header: PredictionsHeader) -> Report | None:
    """Read the report that a run left beside its predictions.

    Args:
        folder: Output folder of the run.
        header: Header of its predictions.

    Returns:
        The report; None if there is none, or it is of another method or other parameters.

    Raises:
        InputError: It is damaged.
    """
    if not (folder / REPORT).exists():
        return None
    report = read_report(folder / REPORT)
    same = (report.method, dict(report.parameters)) == (header.method, dict(header.parameters))
    return report if same else None


def _check(report: Report) -> None:
    for split, taus in report.splits.items():
        if split not in report.fingerprint:
            raise InputError(f"no fingerprint of split {split!r}")
        for tau, scores in taus.items():
            if not 0 <= scores.pairs_80 <= scores.pairs_inf:
                raise InputError(
                    f"split {split!r} at tau {tau!r} has more pairs of the 80 classes than pairs"
                )
            if other := (scores.miou_over_tau or {}).keys() - map(tau_key, CURVE_TAUS):
                raise InputError(f"the curve of split {split!r} has the tau {min(other)!r:.80}")
            if scores.oracle_tau != oracle_tau(scores.miou_over_tau or {}) and scores.oracle_tau is not None:
                raise InputError(f"the oracle tau of split {split!r} is not where its curve is highest")
