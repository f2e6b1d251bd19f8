"""The predictions files that a command line names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.scoring.results import SplitScores


def prediction_files(path: Path) -> list[Path]:
    """Return the predictions files that a path names: itself, or those of a run's output folder."""
    if not path.is_dir():
        return [path]
    found = [path / "predictions.jsonl"] if (path / "predictions.jsonl").exists() else []
    found = found or sorted(path.glob("*/predictions.jsonl"))
    if not found:
        raise InputError(
            f"no predictions.jsonl in {path} or its folders; give a predictions file, or run a method"
        )
    return found


def score_file(path: Path, dataset: str | None) -> SplitScores:
    """Score a predictions file on the split that its header names, with the heat maps beside it.

    A dataset that lies elsewhere than the header says is the same if its fingerprint is.
    """
    from daam_bench.datasets.load import load_split
    from daam_bench.files.predictions import read_predictions
    from daam_bench.scoring.score import score

    header, _ = read_predictions(path)
    split = replace(load_split(dataset or header.dataset, header.split), dataset=header.dataset)
    heat_maps = path.with_name("heat_maps.jsonl")
    return score(split, path, heat_maps if path.name == "predictions.jsonl" and heat_maps.exists() else None)
