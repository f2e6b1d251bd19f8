"""What every analysis leaves behind: a figure in three formats and a JSON report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from daam_bench.figures.style import PAPER_SUFFIXES, save
from daam_bench.files.replacing import write_text


def save_all_formats(figure: Figure, folder: Path, name: str) -> None:
    """Save a figure as `NAME.png`, `.svg` and `.pdf`."""
    for suffix in PAPER_SUFFIXES:
        save(figure, folder / f"{name}{suffix}")


def write_json_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON to be read by people too."""
    write_text(path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
