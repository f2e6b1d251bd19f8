"""Names of what a submission and an entry consist of. Loads nothing, so that `--help` may name them.

An entry is `<slug>/submission.json`, `<slug>/report.json`, `<slug>/<split>/predictions.jsonl`, and for a soft
method `<slug>/<split>/heat_maps.jsonl`: a run's output folder with a `submission.json`. A host that has run a
method itself says so in `<slug>/verification.json`. A submission has no report.
"""

from __future__ import annotations

from pathlib import Path

ENTRIES = Path("leaderboard") / "entries"
"""Where a checkout keeps its entries."""

SPLITS = ("coco_gen", "unreal_gen")
"""The splits of a submission."""

SUBMISSION = "submission.json"
PREDICTIONS = "predictions.jsonl"
HEAT_MAPS = "heat_maps.jsonl"
REPORT = "report.json"
VERIFICATION = "verification.json"

SUBMISSION_FILES = (SUBMISSION, *(f"{split}/{name}" for split in SPLITS for name in (PREDICTIONS, HEAT_MAPS)))
"""All that is read of a submission."""
