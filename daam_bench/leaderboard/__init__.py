"""Submissions from outside: checked, scored from their masks, and kept as the leaderboard's entries.

An entry is `<slug>/submission.json`, `<slug>/report.json`, `<slug>/<split>/predictions.jsonl`, and for a soft
method `<slug>/<split>/heat_maps.jsonl`: a run's output folder with a `submission.json`. A submission has no
report. A host that has run a method itself records that apart from the entries, in `verified/<slug>.json`,
and one that has measured its faithfulness in `verified/<slug>.faithfulness.json`.

Loads nothing but names, so that `--help` may show them.
"""

from __future__ import annotations

from pathlib import Path

from daam_bench.files import HEAT_MAPS, PREDICTIONS

ENTRIES = Path("leaderboard") / "entries"
"""Where a checkout keeps its entries."""

VERIFIED = ENTRIES.with_name("verified")
"""Where a checkout keeps what its hosts have verified: beside the entries, and no part of them."""

SPLITS = ("coco_gen", "unreal_gen")
"""The splits that every submission has."""

SCENES = "scenes"
"""The split that a submission may have beside them: images that no model generated, with exact masks."""

SUBMISSION = "submission.json"

SUBMISSION_FILES = (
    SUBMISSION,
    *(f"{split}/{name}" for split in (*SPLITS, SCENES) for name in (PREDICTIONS, HEAT_MAPS)),
)
"""All that is read of a submission."""
