"""The heat maps and masks whose faithfulness is measured: a run's files, or a method run for the purpose."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from daam_bench.files import HEAT_MAPS, PREDICTIONS
from daam_bench.files.predictions import read_heat_maps, read_predictions
from daam_bench.scoring.results import tau_key
from daam_bench.segmenters.method_worker import MethodWorker
from daam_bench.segmenters.registry import find_method
from daam_bench.segmenters.segment import segment
from daam_bench.types import RLE, FloatMap, PredictionsHeader, Split
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.engine.seam import Engine

T = TypeVar("T")

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

    def of_image(self, identifier: str) -> MethodMaps:
        """Return what it says of the words of one image."""
        masks = {tau: _of_image(by_pair, identifier) for tau, by_pair in self.masks.items()}
        heat_maps = None
        if self.heat_maps is not None:
            # Every word has a mask or null; a word without a map has no place among the heat maps.
            words = next(iter(masks.values()), {})
            heat_maps = {pair: self.heat_maps[pair] for pair in words if pair in self.heat_maps}
        return MethodMaps(self.name, self.header, heat_maps, masks)

    def digest(self, identifier: str) -> str:
        """Return a hash over what it says of the words of one image: maps that differ have others."""
        one, digest = self.of_image(identifier), hashlib.sha256()
        for tau, by_pair in sorted(one.masks.items()):
            for (_, word), mask in by_pair.items():
                said = None if mask is None else (tuple(mask.size), mask.counts)
                digest.update(f"{tau} {word} {said}\n".encode())
        for (_, word), values in (one.heat_maps or {}).items():
            digest.update(f"map {word} {values.shape}\n".encode() + values.astype("<f4").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class MethodSource:
    """Where a method's maps come from: the folder of a run, or of a method to be run there."""

    folder: Path
    method: str | None = None


def find_sources(names: Sequence[str], output: Path) -> list[MethodSource]:
    """Find what a user names: folders of runs, or methods.

    Args:
        names: Folders, and names of methods or "module:Class".
        output: Folder in which methods are run.

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
        sources.append(MethodSource(output / RUNS / re.sub(r"[^\w.]+", "-", name).strip("-"), name))
    return sources


def _predictions_in(folder: Path) -> list[Path]:
    return [*folder.glob(PREDICTIONS), *folder.glob(f"*/{PREDICTIONS}")]


def run_methods(
    sources: Sequence[MethodSource],
    asked: Sequence[Split],
    engine: Engine,
    offers: Mapping[str, Any],
    *,
    taus: Sequence[float],
    batch_size: int,
    restart: bool,
    progress: bool = True,
) -> None:
    """Run the methods that need it over the asked words of splits.

    Args:
        sources: What `find_sources` found.
        asked: The splits, with the asked words in the nouns' place.
        engine: Where they run.
        offers: What methods are made with, if they have such options.
        taus: Thresholds in [0, 1] of heat maps.
        batch_size: Images handed to a method at once.
        restart: Begin again.
        progress: Show bars.

    Raises:
        InputError: A method can't be made, or fails on bad input.
        MethodFailedError: A method's own code raised something.
    """
    for source in sources:
        if source.method is None:
            continue
        with engine.start(partial(MethodWorker.make, source.method, {}, offers)) as pool:
            for split in asked:
                segment(
                    pool,
                    split,
                    source.folder / split.name,
                    taus=taus,
                    batch_size=batch_size,
                    restart=restart,
                    progress=progress,
                )


def read_maps(sources: Sequence[MethodSource], asked: Split) -> list[MethodMaps]:
    """Read what all methods say of the asked words of a split.

    Raises:
        InputError: A run is of another split, or lacks words.
    """
    found = []
    for source in sources:
        folder = source.folder / asked.name
        if not (folder / PREDICTIONS).exists() and (source.folder / PREDICTIONS).exists():
            folder = source.folder
        found.append(_read(folder, asked))
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


def _of_image(by_pair: Mapping[Pair, T], identifier: str) -> dict[Pair, T]:
    # An image has few words, a split many: its pairs are looked up, not looked through.
    own: dict[Pair, T] = {}
    while (pair := (identifier, len(own))) in by_pair:
        own[pair] = by_pair[pair]
    return own


def _named(found: Sequence[MethodMaps], folders: Sequence[Path]) -> list[MethodMaps]:
    """Give methods of one name names of their own: that of their folder too.

    Raises:
        InputError: Two folders of one method have one name too.
    """
    names = [maps.name for maps in found]
    own = [
        f"{maps.name} ({folder.name})" if names.count(maps.name) > 1 else maps.name
        for maps, folder in zip(found, folders, strict=True)
    ]
    for name in own:
        if own.count(name) > 1:
            raise InputError(
                f"two of the runs would be called {name!r}; rename the folder of one, or leave one out"
            )
    return [replace(maps, name=name) for maps, name in zip(found, own, strict=True)]
