"""What a measurement of faithfulness leaves behind: report, page, table of words and figure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daam_bench.analysis.asked_words import AskedSplit
from daam_bench.analysis.effects_files import REFERENCE
from daam_bench.analysis.measure_effects import Measured
from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.analysis.report_files import save_all_formats
from daam_bench.attribution.intervene import SHARES
from daam_bench.figures.necessity_curves import necessity_curves
from daam_bench.files.outside import parse_json, parse_record
from daam_bench.files.replacing import write_csv, write_text
from daam_bench.scoring.effects import (
    MEASURE,
    NOUN,
    OWN,
    RANDOM,
    FaithfulnessReport,
    ImageEffects,
    SplitFaithfulness,
    WordEffect,
)
from daam_bench.scoring.faithfulness import AREAS, LEAST_EFFECT, faithfulness
from daam_bench.scoring.faithfulness_tables import format_page
from daam_bench.scoring.word_effects import score_split
from daam_bench.types import Environment
from daam_bench.types.errors import InputError

FILES = ("faithfulness.json", "faithfulness.md", "words.csv", "faithfulness.png", ".svg", ".pdf")

_COLUMNS = ("split", "id", "start", "text", "group", "method", "map", "tau", "effect", "pooled")
_VALUES = ("f_or_j", *(f"n_{100 * area:g}" for area in AREAS), "n", "area", "iou")


def build_faithfulness(
    dataset: str,
    measured: Sequence[tuple[AskedSplit, Sequence[MethodMaps], Measured]],
    words: Sequence[str],
    environment: Environment,
) -> FaithfulnessReport:
    """Score what was measured on each split."""
    return FaithfulnessReport(
        measure=MEASURE,
        dataset=dataset,
        fingerprint={asked.split.name: asked.split.fingerprint for asked, _, _ in measured},
        words=tuple(words),
        areas=AREAS,
        shares=SHARES,
        partial=any(asked.split.partial for asked, _, _ in measured),
        environment=environment,
        splits={
            asked.split.name: score_split(
                found.ids,
                found.effects[REFERENCE],
                {maps.name: (maps.header.parameters, found.effects[maps.name]) for maps in methods},
                found.left_out,
            )
            for asked, methods, found in measured
        },
    )


def write_faithfulness(folder: Path, report: FaithfulnessReport, measured: Mapping[str, Measured]) -> None:
    """Write `faithfulness.json`, `.md`, `.png`, `.svg` and `.pdf`, and `words.csv` of every word and map."""
    write_scores(folder, report)
    rows = (row for split, found in measured.items() for row in _rows(split, found))
    write_csv(folder / "words.csv", (*_COLUMNS, *_VALUES), rows)
    panels = {name: panel for name, split in report.splits.items() if (panel := _panel(split)) is not None}
    if panels:
        save_all_formats(necessity_curves(AREAS, panels), folder, "faithfulness")


def write_scores(folder: Path, report: FaithfulnessReport, name: str = "faithfulness") -> None:
    """Write the report alone, as `<name>.json` and as a page, `<name>.md`."""
    text = json.dumps(asdict(report), indent=1, allow_nan=False, ensure_ascii=False)
    write_text(folder / f"{name}.json", text + "\n")
    write_text(folder / f"{name}.md", format_page(report))


def read_faithfulness(path: Path) -> FaithfulnessReport:
    """Read a `faithfulness.json` and check it.

    Raises:
        InputError: The file can't be read, or isn't such a report; everything wrong is said.
    """
    try:
        return parse_record(FaithfulnessReport, parse_json(path.read_bytes()))
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}; give a faithfulness.json") from None
    except InputError as error:
        raise InputError(f"{path} is no report of faithfulness: {error}; make it again") from None


def _panel(found: SplitFaithfulness) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the methods' curves and the first soft method's controls, over the nouns if there are any."""
    methods: dict[str, Any] = {}
    controls: dict[str, Any] = {}
    for method, scores in found.methods.items():
        group = NOUN if NOUN in scores.groups else next(iter(scores.groups), None)
        if group is None or OWN not in (soft := scores.groups[group].soft):
            continue
        methods[method] = soft[OWN].curve
        controls = controls or {name: row.curve for name, row in soft.items() if name != OWN}
    return (methods, controls) if methods else None


def _rows(split: str, measured: Measured) -> Iterator[tuple[Any, ...]]:
    for method, effects in measured.effects.items():
        for identifier in measured.ids:
            chance = _chance(measured.effects[REFERENCE][identifier])
            for word in effects[identifier].words:
                yield from _word_rows((split, identifier), word, method, chance)


def _chance(reference: ImageEffects) -> dict[int, tuple[float, ...]]:
    return {word.start: word.curves[RANDOM] for word in reference.words if RANDOM in word.curves}


def _word_rows(
    place: tuple[str, str], word: WordEffect, method: str, chance: Mapping[int, tuple[float, ...]]
) -> Iterator[tuple[Any, ...]]:
    split, identifier = place

    def head(name: str, tau: str) -> tuple[Any, ...]:
        shared = (split, identifier, word.start, word.text, word.group, method, name, tau)
        return (*shared, word.effect, word.pooled)

    if word.effect < LEAST_EFFECT or word.start not in chance:
        yield (*head("", ""), None, *(None for _ in AREAS), None, None, None)
    for name, curve in word.curves.items():
        value = faithfulness(curve, chance[word.start])
        yield (*head(name, ""), value, *curve, None, None, None)
    for tau, masks in word.masks.items():
        for name, mask in masks.items():
            value = mask.necessity - mask.area
            nothing = (None for _ in AREAS)
            yield (*head(name, tau), value, *nothing, mask.necessity, mask.area, mask.iou)
