"""Running a method over a split, to files that a killed run resumes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from daam_bench.engine import InProcess, Pool, WholeJob, work_through
from daam_bench.files import DRIFT, HEAT_MAPS, PREDICTIONS
from daam_bench.files.json_lines import LinesWriter, read_lines
from daam_bench.files.locks import locked
from daam_bench.files.predictions import HeatMapsWriter, PredictionsWriter
from daam_bench.segmenters.base import Segmenter, SegmentFunction, as_segmenter
from daam_bench.segmenters.method_worker import MethodWorker, NextSplit, Rendered, mixed_kinds
from daam_bench.types import Prediction, PredictionsHeader, Query, Split
from daam_bench.types.errors import InputError, MethodFailedError, check_batch_size, check_limit, check_taus


def segment(
    segmenter: Segmenter | SegmentFunction | Pool,
    split: Split,
    output: Path | str,
    *,
    taus: Sequence[float] = (0.4,),
    batch_size: int = 16,
    limit: int | None = None,
    progress: bool = True,
    restart: bool = False,
    part: WholeJob | None = None,
) -> Path:
    """Segment every noun of a split and write the masks to `output/predictions.jsonl`.

    Heat maps are also kept as they are, in `heat_maps.jsonl` beside it. Each batch is written as soon as it
    and those before it are done; a run that was killed resumes where it stopped, with the same batches.

    Args:
        segmenter: The method, or a function of a query, or a pool of workers that run one (see
            `daam_bench.engine`). It sees queries, never a mask of the split.
        split: The split.
        output: Folder for the files; made if needed.
        taus: Thresholds in [0, 1] for heat maps, relative to each map's maximum. Hard masks need none.
        batch_size: Examples handed to the method at once.
        limit: Only the first so many examples.
        progress: Show a bar with the time left, on stderr.
        restart: Overwrite what is in `output` instead of resuming it.
        part: Which of the batches are done here; None for all.

    Returns:
        Path of the predictions file.

    Raises:
        InputError: An argument is out of range, the method returns something wrong, or `output` holds the
            predictions of another method or split, or another process writes there.
        MethodFailedError: The method's own code raised something.
    """
    pool = segmenter if isinstance(segmenter, Pool) else InProcess(MethodWorker(as_segmenter(segmenter)))
    check_limit(limit)
    check_batch_size(batch_size)
    check_taus(taus)
    folder, part, about, taus = Path(output), part or WholeJob(), pool.about, tuple(dict.fromkeys(taus))
    header = PredictionsHeader(
        about["method"], about["parameters"], split.dataset, split.name, split.fingerprint
    )
    with locked(folder), Recorder(folder, header, taus, restart=restart) as recorder:
        elsewhere = None
        if part.has_shards:
            from daam_bench.segmenters.shard_results import shard_results

            elsewhere = shard_results(part, header, taus)
        results = work_through(
            pool,
            batches_of(split[:limit], batch_size),
            name=f"{header.method} on {split.name}",
            part=part,
            done=recorder.has,
            elsewhere=elsewhere,
            first=NextSplit(split.name, split.whole.queries() if about["knows_split"] else None, taus),
            progress=progress,
        )
        try:
            # Closed at once, its bar stands before the message.
            with closing(results):
                for queries, rendered in results:
                    recorder.add(queries, rendered)
        except MethodFailedError as error:
            error.kept = f"{folder / PREDICTIONS} keeps {recorder.nouns} of {_count(split)} nouns"
            raise
        recorder.finish()
    return folder / PREDICTIONS


def batches_of(split: Split, batch_size: int) -> list[list[Query]]:
    """Part the queries of a split that have nouns into batches."""
    queries = [query for query in split.queries() if query.nouns]
    return [queries[start : start + batch_size] for start in range(0, len(queries), batch_size)]


def _count(split: Split) -> int:
    return sum(len(query.nouns) for query in split.queries())


def count_drifted(folder: Path, tolerance: float | None) -> int | None:
    """Count the images that a method generated again and that came out unlike the dataset's.

    Earlier parts of an interrupted run in the folder of a split count too; None for a method that generates
    nothing, which has no tolerance.
    """
    if tolerance is None:
        return None
    if not (folder / DRIFT).exists():
        return 0
    _, lines = read_lines(folder / DRIFT)
    # An image of a batch that was begun again stands there twice; the last time counts.
    differences: dict[str, float] = {line.record["id"]: line.record["difference"] for line in lines}
    return sum(difference > tolerance for difference in differences.values())


class Recorder:
    """The files of one method on one split, for use in a `with` statement.

    Of each batch the drift and the heat maps are written first and the predictions last, so that a pair with
    predictions has all of its lines. InputError if the folder holds another method's or split's predictions.
    """

    def __init__(
        self, folder: Path, header: PredictionsHeader, taus: Sequence[float], *, restart: bool = False
    ) -> None:
        self._folder, self._taus = folder, taus
        if restart:
            for name in (PREDICTIONS, HEAT_MAPS, DRIFT):
                (folder / name).unlink(missing_ok=True)
        self._predictions = PredictionsWriter(folder / PREDICTIONS, header, taus=taus)
        # As the file has it, which may spell the dataset otherwise.
        self._header = self._predictions.header
        existing = self._predictions.existing_taus
        # Without any prediction, what lies beside them is of a run that came to nothing.
        self._fresh = not existing
        self._soft = None not in existing if existing else None
        if not self._soft:
            self._predictions.need((None,))
        elif not (folder / HEAT_MAPS).exists():
            self._predictions.close()
            raise InputError(f"{folder / HEAT_MAPS} is gone; use --restart to make it again")
        self._heat_maps = HeatMapsWriter(folder / HEAT_MAPS, self._header) if self._soft else None
        self._drift: LinesWriter | None = None
        self._held: list[tuple[Sequence[Query], Rendered]] = []

    @property
    def nouns(self) -> int:
        """Number of nouns that the files hold."""
        return self._predictions.nouns

    def has(self, queries: Sequence[Query]) -> bool:
        """Whether every noun of a batch is done."""
        done = self._predictions.done
        return all((query.id, noun) in done for query in queries for noun in range(len(query.nouns)))

    def add(self, queries: Sequence[Query], rendered: Rendered) -> None:
        """Write a batch. One without any prediction waits for the kind of the others.

        Raises:
            InputError: Masks after heat maps, or the other way round.
        """
        if None not in (self._soft, rendered.soft) and self._soft != rendered.soft:
            raise mixed_kinds(self._header.method, queries)
        if rendered.drift:
            self._drift = self._drift or LinesWriter(self._folder / DRIFT, self._header, restart=self._fresh)
            self._drift.write({"id": name, "difference": value} for name, value in rendered.drift.items())
        self._held.append((queries, rendered))
        if self._soft is None:
            self._soft = rendered.soft
        if self._soft is not None:
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
        for queries, rendered in self._held:
            if self._soft:
                self._heat_maps = self._heat_maps or HeatMapsWriter(
                    self._folder / HEAT_MAPS, self._header, restart=self._fresh
                )
                self._heat_maps.append_packed(rendered.maps)
            if rendered.soft is not None:
                self._predictions.append(rendered.predictions)
            else:
                taus = self._taus if self._soft else (None,)
                self._predictions.append(
                    Prediction(query.id, noun, tau, None)
                    for query in queries
                    for noun in range(len(query.nouns))
                    for tau in taus
                )
        self._held = []
