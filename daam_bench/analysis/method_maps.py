"""The heat maps and masks whose faithfulness is measured: a run's files, or a method run for the purpose."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daam_bench.analysis.asked_words import AskedSplit
from daam_bench.files import HEAT_MAPS, PREDICTIONS
from daam_bench.files.predictions import read_heat_maps, read_predictions
from daam_bench.scoring.results import tau_key
from daam_bench.segmenters.base import Segmenter
from daam_bench.segmenters.registry import find_method, make_segmenter
from daam_bench.segmenters.segment import segment
from daam_bench.types import RLE, FloatMap, PredictionsHeader, Split
from daam_bench.types.errors import InputError

RUNS = "runs"
"""Folder of the methods that were run for the purpose."""

Pair = tuple[str, int]
"""Id of an example, and the index of a word among those asked."""


@dataclass(frozen=True, slots=True)
class MethodMaps:
    """What a method says of a split's words.

    Attributes:
        name: Its name, unique among those compared.
        header: The header of its predictions.
        heat_maps: Word -> heat map; None for a method that gives hard masks.
        masks: Tau, or "none" -> word -> mask; None where the method gave nothing.
    """

    name: str
    header: PredictionsHeader
    heat_maps: Mapping[Pair, FloatMap] | None
    masks: Mapping[str, Mapping[Pair, RLE | None]]


@dataclass(frozen=True, slots=True)
class MethodSource:
    """Where a method's maps come from: the folder of a run, or a method to be run."""

    folder: Path
    segmenter: Segmenter | None = None


def find_sources(names: Sequence[str], output: Path, offers: Mapping[str, Any]) -> list[MethodSource]:
    """Find what a user names: folders of runs, or methods.

    Args:
        names: Folders, and names of methods or "module:Class".
        output: Folder in which methods are run.
        offers: What methods are made with, if they have such options.

    Raises:
        InputError: There is neither such a folder nor such a method.
    """
    sources = []
    for name in dict.fromkeys(names):
        folder = Path(name)
        if _predictions_in(folder):
            sources.append(MethodSource(folder))
            continue
        if "/" in name or name.startswith("."):
            raise InputError(f"no {PREDICTIONS} in {name} or its folders; give a run's folder, or a method")
        find_method(name)
        place = output / RUNS / re.sub(r"[^\w.]+", "-", name).strip("-")
        sources.append(MethodSource(place, make_segmenter(name, {}, offers)))
    return sources


def _predictions_in(folder: Path) -> list[Path]:
    return [*folder.glob(PREDICTIONS), *folder.glob(f"*/{PREDICTIONS}")]


def run_methods(
    sources: Sequence[MethodSource],
    asked: AskedSplit,
    *,
    taus: Sequence[float],
    batch_size: int,
    restart: bool,
    progress: bool = True,
) -> list[MethodMaps]:
    """Run the methods that need it over the asked words of a split, and read what all of them say.

    Raises:
        InputError: A run is of another split, or lacks words; a method fails on bad input.
        MethodFailedError: A method's own code raised something.
    """
    found = []
    for source in sources:
        folder = source.folder / asked.split.name
        if source.segmenter is not None:
            segment(
                source.segmenter,
                asked.split,
                folder,
                taus=taus,
                batch_size=batch_size,
                restart=restart,
                progress=progress,
            )
        elif not (folder / PREDICTIONS).exists() and (source.folder / PREDICTIONS).exists():
            folder = source.folder
        found.append(_read(folder, asked.split))
    return _named(found, [source.folder for source in sources])


def _read(folder: Path, split: Split) -> MethodMaps:
    path = folder / PREDICTIONS
    header, predictions = read_predictions(path)
    if (header.split, header.fingerprint) != (split.name, split.fingerprint):
        raise InputError(
            f"{path} is of other words or another dataset than the ones asked ({header.split} of "
            f"{header.dataset}); a run's folder has the dataset's nouns: give --words nouns, or the name of "
            "a method to run it"
        )
    asked = {(query.id, noun) for query in split.queries() for noun in range(len(query.nouns))}
    masks: dict[str, dict[Pair, RLE | None]] = {}
    for prediction in predictions:
        if (prediction.id, prediction.noun) in asked:
            by_pair = masks.setdefault(tau_key(prediction.tau), {})
            by_pair[prediction.id, prediction.noun] = prediction.mask
    for tau, by_pair in masks.items():
        if missing := len(asked - by_pair.keys()):
            raise InputError(f"{path} lacks {missing} of {len(asked)} words at tau {tau}; finish that run")
    if asked and not masks:
        raise InputError(f"{path} holds no prediction for the asked words; finish that run")
    heat_maps = None
    if (folder / HEAT_MAPS).exists():
        kept_header, entries = read_heat_maps(folder / HEAT_MAPS)
        if kept_header != header:
            raise InputError(f"{folder / HEAT_MAPS} is of another run than {path}; make both again")
        heat_maps = {
            (entry.id, entry.noun): entry.values for entry in entries if (entry.id, entry.noun) in asked
        }
    return MethodMaps(header.method, header, heat_maps, masks)


def _named(found: Sequence[MethodMaps], folders: Sequence[Path]) -> list[MethodMaps]:
    """Give methods of one name names of their own: that of their folder too."""
    names = [maps.name for maps in found]
    return [
        MethodMaps(
            f"{maps.name} ({folder.name})" if names.count(maps.name) > 1 else maps.name,
            maps.header,
            maps.heat_maps,
            maps.masks,
        )
        for maps, folder in zip(found, folders, strict=True)
    ]
