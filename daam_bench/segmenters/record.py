"""Keeping what a method says, batch by batch, in files that a killed run goes on with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from daam_bench.files.heat_maps import HeatMapsWriter, NounHeatMap
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.files.predictions import PredictionsWriter, read_predictions
from daam_bench.segmenters.check import Checked
from daam_bench.types import BoolMask, Prediction, PredictionsHeader, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import encode

PREDICTIONS = "predictions.jsonl"
HEAT_MAPS = "heat_maps.jsonl"
DRIFT = "drift.jsonl"

_Batch = tuple[Sequence[Query], Sequence[Sequence[Checked]]]


class Recorder:
    """The files of one method on one split, for use in a `with` statement.

    Of each batch the drift and the heat maps are written first and the predictions last, so that a pair with
    predictions has all of its lines.

    Args:
        folder: Where the files lie.
        header: The predictions' header.
        taus: Thresholds in [0, 1] for heat maps.
        restart: Overwrite what is there.

    Raises:
        InputError: The folder holds another method's or split's predictions, or a file is damaged.
    """

    def __init__(
        self, folder: Path, header: PredictionsHeader, taus: Collection[float], *, restart: bool = False
    ) -> None:
        self._folder, self._header, self._taus = folder, header, tuple(taus)
        if restart:
            for name in (PREDICTIONS, HEAT_MAPS, DRIFT):
                (folder / name).unlink(missing_ok=True)
        self._soft = _kind(folder / PREDICTIONS)
        if self._soft and not (folder / HEAT_MAPS).exists():
            raise InputError(f"{folder / HEAT_MAPS} is gone; use --restart to make it again")
        self._predictions = PredictionsWriter(
            folder / PREDICTIONS, header, taus=self._taus if self._soft else (None,)
        )
        self._heat_maps = HeatMapsWriter(folder / HEAT_MAPS, header) if self._soft else None
        self._held: list[_Batch] = []

    @property
    def path(self) -> Path:
        """The predictions file."""
        return self._predictions.path

    def has(self, queries: Sequence[Query]) -> bool:
        """Whether every noun of a batch is done."""
        done = self._predictions.done
        return all((query.id, noun) in done for query in queries for noun in range(len(query.nouns)))

    def add(self, queries: Sequence[Query], segmentations: Sequence[Sequence[Checked]]) -> None:
        """Write a batch. One without any prediction waits for the kind of the others.

        Raises:
            InputError: The method has given both hard masks and heat maps.
        """
        kinds = {isinstance(item, HeatMap) for items in segmentations for item in items if item is not None}
        if self._soft is not None:
            kinds.add(self._soft)
        if len(kinds) > 1:
            raise InputError(
                f"method {self._header.method!r} gives both hard masks and heat maps (in the batch of "
                f"example {queries[0].id!r}); give one kind"
            )
        self._held.append((queries, segmentations))
        if kinds:
            self._soft = kinds.pop()
            self._write_held()

    def finish(self) -> None:
        """Write what still waits: nothing but missing predictions, as empty hard masks."""
        self._soft = bool(self._soft)
        self._write_held()

    def note_drift(self, drift: Mapping[str, float]) -> None:
        """Write how far the images generated again are from the dataset's, by id."""
        with LinesWriter(self._folder / DRIFT, self._header) as lines:
            lines.write({"id": name, "difference": value} for name, value in drift.items())

    def close(self) -> None:
        """Close the files."""
        self._predictions.close()
        if self._heat_maps is not None:
            self._heat_maps.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_held(self) -> None:
        for queries, segmentations in self._held:
            if self._soft:
                self._heat_maps = self._heat_maps or HeatMapsWriter(self._folder / HEAT_MAPS, self._header)
                self._heat_maps.append(_heat_maps(queries, segmentations))
            self._predictions.append(self._masks(queries, segmentations))
        self._held = []

    def _masks(
        self, queries: Sequence[Query], segmentations: Sequence[Sequence[Checked]]
    ) -> Iterator[Prediction]:
        for query, items in zip(queries, segmentations, strict=True):
            empty = np.zeros((query.image.height, query.image.width), dtype=np.bool_)
            for noun, item in enumerate(items):
                large = item.resize(query.image.size) if isinstance(item, HeatMap) else item
                for tau in self._taus if self._soft else (None,):
                    mask: BoolMask
                    if isinstance(large, HeatMap):
                        mask = large.threshold(0.0 if tau is None else tau)
                    else:
                        mask = empty if large is None else large
                    yield Prediction(query.id, noun, tau, encode(mask))


def read_drift(folder: Path) -> dict[str, float]:
    """Return the noted drift of each image by the id of its example; empty where none was noted."""
    if not (folder / DRIFT).exists():
        return {}
    _, lines = read_lines(folder / DRIFT)
    return {line.record["id"]: line.record["difference"] for line in lines}


def _heat_maps(queries: Sequence[Query], segmentations: Sequence[Sequence[Checked]]) -> Iterator[NounHeatMap]:
    for query, items in zip(queries, segmentations, strict=True):
        for noun, item in enumerate(items):
            if isinstance(item, HeatMap):
                yield NounHeatMap(query.id, noun, item.values)


def _kind(path: Path) -> bool | None:
    """Whether the predictions in a file come from heat maps; None while there are none."""
    if not path.exists() or b"\n" not in path.open("rb").read(1 << 20):
        return None
    _, predictions = read_predictions(path)
    first = next(predictions, None)
    return None if first is None else first.tau is not None
