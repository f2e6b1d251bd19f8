"""The small spaCy pipeline that tags captions: shipped, loaded, trained and measured here."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "pipeline"
"""Folder of the shipped pipeline."""
