"""The report of a method on a dataset: built from scores, with how they came to be, and written."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields, replace
from pathlib import Path
from typing import Any

import daam_bench
from daam_bench.engine import library_versions
from daam_bench.files import PAIRS, REPORT, REPORT_PAGE
from daam_bench.files.replacing import write_csv, write_text
from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.tables import format_markdown
from daam_bench.types import (
    Environment,
    MaskShares,
    PairScore,
    Proposals,
    Report,
    Split,
)
from daam_bench.types.reports import Track

PROTOCOL = "2"
"""Version of the scoring protocol; any change to a number's definition raises it."""

_PACKAGE = Path(daam_bench.__file__).parent


def build_report(
    results: Sequence[SplitScores],
    *,
    method: str,
    parameters: Mapping[str, Any],
    dataset: str,
    environment: Environment,
    track: Track | None = None,
    tuned_on: str | None = None,
) -> Report:
    """Build a report from the scores of each split.

    Args:
        results: The scores.
        method: Name of the method.
        parameters: Its parameters, JSON values.
        dataset: Name, path or hub id of the dataset.
        environment: How the predictions, or else the scores, came to be.
        track: What the method uses, if it says so.
        tuned_on: What masks its settings were chosen on, if any.
    """
    return Report(
        protocol=PROTOCOL,
        method=method,
        parameters=dict(parameters),
        track=track,
        tuned_on=tuned_on,
        partial=any(result.partial for result in results),
        dataset=dataset,
        fingerprint={result.split.name: result.split.fingerprint for result in results},
        annotation={result.split.name: mask_shares(result.split) for result in results},
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


def mask_shares(split: Split) -> MaskShares:
    """Return how the masks of a split came to be. Nouns without a mask don't count."""
    kinds: Counter[str] = Counter()
    unchanged: Counter[str] = Counter()
    for example in split.examples:
        annotation = example.annotation
        said = annotation.masks if annotation is not None else None
        proposal = annotation.proposal if annotation is not None else None
        for noun, mask in enumerate(example.masks):
            if mask is None:
                continue
            kind = said[noun] if said is not None else "unknown"
            kinds[kind] += 1
            if proposal is not None and kind != "own":
                # A method whose every proposal was edited has its share, 0, too.
                unchanged[proposal] += kind in ("proposed", "accepted")
    count = max(1, kinds.total())
    return MaskShares(
        **{kind: number / count for kind, number in kinds.items()},
        unchanged={method: number / count for method, number in sorted(unchanged.items())},
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
    """Write `report.json`, `report.md` and `pairs.csv` of `results`, each whole or not at all."""
    folder = Path(folder)
    write_text(folder / REPORT, report_to_json(report))
    write_text(folder / REPORT_PAGE, format_markdown(report))
    columns = [field.name for field in fields(PairScore)]
    rows = (
        # Scores as text, so that they are not rounded.
        [result.split.name, *(repr(value) if isinstance(value, float) else value for value in astuple(pair))]
        for result in results
        for pair in result.pairs()
    )
    write_csv(folder / PAIRS, ["split", *columns], rows)


def report_to_json(report: Report) -> str:
    """Return a report as the text of `report.json`: fractions in [0, 1], null where there is no number."""
    return json.dumps(asdict(report), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def describe_environment(
    *, device: str | None = None, wall_seconds: float | None = None, seeds: Mapping[str, int] | None = None
) -> Environment:
    """Describe the package, its libraries and the machine, importing none of the libraries."""
    # An installed copy may lie in a checkout of something else: does git track the package?
    is_checkout = _git("ls-files", "--error-unmatch", "__init__.py") is not None
    commit = _git("rev-parse", "HEAD") if is_checkout else None
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return Environment(
        version=daam_bench.__version__,
        commit=commit,
        dirty=None if changes is None else bool(changes),
        python=platform.python_version(),
        libraries=library_versions(),
        platform=platform.platform(),
        device=device,
        wall_seconds=wall_seconds,
        seeds=dict(seeds or {}),
    )


def _git(*arguments: str) -> str | None:
    """Return what git says in the package's folder; None if it fails or isn't there."""
    # Inside a hook these variables point git to the repository of the hook.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=_PACKAGE, env=environment, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
