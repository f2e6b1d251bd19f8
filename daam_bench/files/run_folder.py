"""The names of the files in a run's output folder, said once. Loads nothing."""

from __future__ import annotations

PREDICTIONS = "predictions.jsonl"
"""In the folder of each split: the predicted masks."""

HEAT_MAPS = "heat_maps.jsonl"
"""Beside the predictions of a soft method: its heat maps."""

DRIFT = "drift.jsonl"
"""Beside the predictions of a method that generates: how far its images are from the dataset's."""

REPORT = "report.json"
"""At the top: the scores, with how they came to be."""

REPORT_PAGE = "report.md"
"""The report as a Markdown page."""

PAIRS = "pairs.csv"
"""The score of every pair."""

PAIR_SHEET = "pairs.png"
"""A sheet of the best and worst pairs."""
