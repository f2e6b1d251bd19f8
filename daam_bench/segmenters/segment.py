"""Running a method over a split, to files that a killed run resumes."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import SupportsIndex, overload

from tqdm import tqdm

from daam_bench.files import DRIFT, HEAT_MAPS, PREDICTIONS
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.files.locks import locked
from daam_bench.files.predictions import HeatMapsWriter, NounHeatMap, PredictionsWriter
from daam_bench.segmenters.base import (
    KnowsSplit,
    RegeneratesImages,
    Segmenter,
    SegmentFunction,
    as_segmenter,
    method_code,
)
from daam_bench.types import PredictionsHeader, Query, Split
from daam_bench.types.errors import InputError, MethodFailedError, check_batch_size, check_limit, check_taus
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.segmentations import Checked, check_batch, predictions_of

Batch = tuple[list[Query], list[list[Checked]]]
"""Queries, and for each what a method says of its nouns."""


def segment(
    segmenter: Segmenter | SegmentFunction,
    split: Split,
    output: Path | str,
    *,
    taus: Sequence[float] = (0.4,),
    batch_size: int = 16,
    limit: int | None = None,
    progress: bool = True,
    restart: bool = False,
) -> Path:
    """Segment every noun of a split and write the masks to `output/predictions.jsonl`.

    Heat maps are also kept as they are, in `heat_maps.jsonl` beside it. Every batch is in the files before
    the next is begun; a run that was killed resumes where it stopped, with the same batches.

    Args:
        segmenter: The method, or a function of a query. It sees queries, never a mask of the split.
        split: The split.
        output: Folder for the files; made if needed.
        taus: Thresholds in [0, 1] for heat maps, relative to each map's maximum. Hard masks need none.
        batch_size: Examples handed to the method at once.
        limit: Only the first so many examples.
        progress: Show a bar with the time left, on stderr.
        restart: Overwrite what is in `output` instead of resuming it.

    Returns:
        Path of the predictions file.

    Raises:
        InputError: An argument is out of range, the method returns something wrong, or `output` holds the
            predictions of another method or split, or another process writes there.
        MethodFailedError: The method's own code raised something.
    """
    method = as_segmenter(segmenter)
    check_limit(limit)
    check_batch_size(batch_size)
    check_taus(taus)
    folder = Path(output)
    begin_split(method, split)
    header = header_of(method, split)
    with locked(folder), Recorder(folder, header, tuple(dict.fromkeys(taus)), restart=restart) as recorder:
        batches = segment_batches(
            method, split[:limit], batch_size=batch_size, progress=progress, skip=recorder.has
        )
        try:
            # Closed at once, its bar stands before the message.
            with closing(batches):
                for queries, segmentations in batches:
                    drift = method.drift if isinstance(method, RegeneratesImages) else {}
                    recorder.add(queries, segmentations, drift)
        except MethodFailedError as error:
            error.kept = f"{folder / PREDICTIONS} keeps {recorder.nouns} of {_count(split)} nouns"
            raise
        recorder.finish()
    return folder / PREDICTIONS


def segment_batches(
    method: Segmenter,
    split: Split,
    *,
    batch_size: int,
    progress: bool = False,
    skip: Callable[[Sequence[Query]], bool] = lambda batch: False,
) -> Generator[Batch]:
    """Hand the queries of a split to a method, batch by batch, and yield what it says, checked.

    `method` has had its `begin_split`; `skip` says which batches are done already.
    """
    batches = batches_of(split, batch_size)
    left = [batch for batch in batches if not skip(batch)]
    total, remaining = (sum(map(len, some)) for some in (batches, left))
    name = f"{method.name} on {split.name}"
    with tqdm(total=total, initial=total - remaining, desc=name, unit="image", disable=not progress) as bar:
        for batch in left:
            with method_code(method.name):
                # A method may draw into its images: it gets copies.
                returned = method.segment([copy_of(query) for query in batch])
            yield batch, check_batch(method.name, batch, returned)
            bar.update(len(batch))


def batches_of(split: Split, batch_size: int) -> list[list[Query]]:
    """Part the queries of a split that have nouns into batches."""
    queries = [query for query in split.queries() if query.nouns]
    return [queries[start : start + batch_size] for start in range(0, len(queries), batch_size)]


def begin_split(method: Segmenter, split: Split) -> None:
    """Tell a method that must know it which split comes next: the whole of it, also before a slice."""
    if isinstance(method, KnowsSplit):
        with method_code(method.name):
            method.begin_split(split.name, _Copies(split.whole.queries()))


def _count(split: Split) -> int:
    return sum(len(query.nouns) for query in split.queries())


def copy_of(query: Query) -> Query:
    """Return a query with an image of its own."""
    return replace(query, image=query.image.copy())


@dataclass(frozen=True)
class _Copies(Sequence[Query]):
    """Queries whose images are copied as they are asked for: those of a whole split would fill the memory."""

    queries: Sequence[Query]

    def __len__(self) -> int:
        return len(self.queries)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Query: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Query]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Query | Sequence[Query]:
        if isinstance(index, slice):
            return _Copies(self.queries[index])
        return copy_of(self.queries[int(index)])


def count_drifted(segmenter: Segmenter, output: Path) -> int | None:
    """Count the images that a method generated again and that came out unlike the dataset's.

    Earlier parts of an interrupted run in `output` count too; None for a method that generates nothing.
    """
    if not isinstance(segmenter, RegeneratesImages):
        return None
    if not (output / DRIFT).exists():
        return 0
    _, lines = read_lines(output / DRIFT)
    # An image of a batch that was begun again stands there twice; the last time counts.
    differences: dict[str, float] = {line.record["id"]: line.record["difference"] for line in lines}
    return sum(difference > segmenter.tolerance for difference in differences.values())


class Recorder:
    """The files of one method on one split, for use in a `with` statement.

    Of each batch the drift and the heat maps are written first and the predictions last, so that a pair with
    predictions has all of its lines. InputError if the folder holds another method's or split's predictions.
    """

    def __init__(
        self, folder: Path, header: PredictionsHeader, taus: Sequence[float], *, restart: bool = False
    ) -> None:
        self._folder, self._header, self._taus = folder, header, taus
        if restart:
            for name in (PREDICTIONS, HEAT_MAPS, DRIFT):
                (folder / name).unlink(missing_ok=True)
        self._predictions = PredictionsWriter(folder / PREDICTIONS, header, taus=taus)
        existing = self._predictions.existing_taus
        # Without any prediction, what lies beside them is of a run that came to nothing.
        self._fresh = not existing
        self._soft = None not in existing if existing else None
        if not self._soft:
            self._predictions.need((None,))
        elif not (folder / HEAT_MAPS).exists():
            self._predictions.close()
            raise InputError(f"{folder / HEAT_MAPS} is gone; use --restart to make it again")
        self._heat_maps = HeatMapsWriter(folder / HEAT_MAPS, header) if self._soft else None
        self._drift: LinesWriter | None = None
        self._held: list[tuple[Sequence[Query], Sequence[Sequence[Checked]]]] = []

    @property
    def nouns(self) -> int:
        """Number of nouns that the files hold."""
        return self._predictions.nouns

    def has(self, queries: Sequence[Query]) -> bool:
        """Whether every noun of a batch is done."""
        done = self._predictions.done
        return all((query.id, noun) in done for query in queries for noun in range(len(query.nouns)))

    def add(
        self,
        queries: Sequence[Query],
        segmentations: Sequence[Sequence[Checked]],
        drift: Mapping[str, float] | None = None,
    ) -> None:
        """Write a batch, and by id how far images generated again are from the dataset's.

        One without any prediction waits for the kind of the others; both kinds are an InputError.
        """
        kinds = {isinstance(item, HeatMap) for items in segmentations for item in items if item is not None}
        if self._soft is not None:
            kinds.add(self._soft)
        if len(kinds) > 1:
            raise InputError(
                f"method {self._header.method!r} gives both hard masks and heat maps (in the batch of "
                f"example {queries[0].id!r}); give one kind"
            )
        if drift:
            self._drift = self._drift or LinesWriter(self._folder / DRIFT, self._header, restart=self._fresh)
            self._drift.write({"id": name, "difference": value} for name, value in drift.items())
        self._held.append((queries, segmentations))
        if kinds:
            self._soft = kinds.pop()
            self._write_held()

    def finish(self) -> None:
        """Write what still waits: nothing but missing predictions, as those of hard masks."""
        self._soft = bool(self._soft)
        self._write_held()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._drift, self._heat_maps, self._predictions):
            if file is not None:
                file.close()

    def _write_held(self) -> None:
        taus = self._taus if self._soft else (None,)
        for queries, segmentations in self._held:
            said = [
                (query, noun, item)
                for query, items in zip(queries, segmentations, strict=True)
                for noun, item in enumerate(items)
            ]
            if self._soft:
                self._heat_maps = self._heat_maps or HeatMapsWriter(
                    self._folder / HEAT_MAPS, self._header, restart=self._fresh
                )
                self._heat_maps.append(
                    NounHeatMap(query.id, noun, item.values)
                    for query, noun, item in said
                    if isinstance(item, HeatMap)
                )
            self._predictions.append(
                prediction
                for query, noun, item in said
                for prediction in predictions_of(query, noun, item, taus)
            )
        self._held = []


def header_of(segmenter: Segmenter, split: Split) -> PredictionsHeader:
    """Return the first line of the files of a method on a split."""
    if not isinstance(segmenter.name, str):
        raise InputError(f"a method's name must be text, not {segmenter.name!r}")
    try:
        parameters = json.loads(json.dumps(dict(segmenter.parameters), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the parameters of method {segmenter.name!r} are no JSON values: {error}"
        ) from error
    return PredictionsHeader(segmenter.name, parameters, split.dataset, split.name, split.fingerprint)
