"""Scores of a method's predictions on a split: protocol "1"."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daam_bench.files.heat_maps import NounHeatMap
from daam_bench.files.predictions import Block, check_blocks, read_blocks
from daam_bench.files.run_folder import HEAT_MAPS, PREDICTIONS
from daam_bench.scoring.bootstrap import RESAMPLES, confidence_intervals
from daam_bench.scoring.ground_truth import GroundTruth
from daam_bench.scoring.iou import run_ious
from daam_bench.scoring.results import HARD, PairIous, SplitScores, mean, tau_key
from daam_bench.scoring.soft import add_heat_maps
from daam_bench.types import RLE, ClassScore, Prediction, Scores, Split
from daam_bench.types.checks import check_taus
from daam_bench.types.coco_classes import CATEGORY_IDS
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.segmentations import Segmentation, check_query, predictions_of

Segmentations = Sequence[Segmentation]
"""One segmentation for each noun of an example."""


def score(
    split: Split,
    predictions: Path
    | str
    | Iterable[Prediction]
    | Mapping[str, Segmentations]
    | Iterable[tuple[str, Segmentations]]
    | Iterable[Segmentations],
    heat_maps: Path | str | None = None,
    *,
    tau: float | Sequence[float] = 0.4,
    resamples: int = RESAMPLES,
    seed: int = 0,
    keep: Collection[str] = (),
) -> SplitScores:
    """Score predictions, reading them a few at a time.

    Args:
        split: The split with its ground-truth masks.
        predictions: A predictions file of this split; the output folder of a run, or its folder of this
            split, whose heat maps are scored too; predictions; or arrays, boolean masks or floating-point
            heat maps: by the id of their example, or for every example of the split in its order, one for
            each noun (None for no prediction).
        heat_maps: For a predictions file of a soft method, the file of its heat maps.
        tau: Thresholds in [0, 1] for heat maps in memory.
        resamples: Number of bootstrap resamples behind each interval.
        seed: Seed of the bootstrap.
        keep: Taus ("0.4", "none") whose predicted masks go into `SplitScores.masks`, to be shown.

    Returns:
        The scores at every tau among the predictions; at "none" if there are no predictions at all.

    Raises:
        InputError: The predictions are of another dataset or split, malformed, of an unknown id or noun, of
            another size than their image, or double. The text names the file, the line and the id.
    """
    ground_truth, header, soft = GroundTruth(split), None, heat_maps
    in_memory: list[NounHeatMap] = []
    if isinstance(predictions, str | Path):
        path, beside = _find(Path(predictions), split.name)
        soft = beside if heat_maps is None else heat_maps
        header, blocks = read_blocks(path)
        ground_truth.check_header(header, path)
    else:
        taus = (tau,) if isinstance(tau, int | float) else tuple(tau)
        check_taus(taus)
        given = _predictions(split, predictions, taus, in_memory)
        blocks = check_blocks(enumerate(given, start=1), "prediction")
    columns = _Columns(ground_truth, keep)
    for block in blocks:
        columns.add(block)
    pairs = ground_truth.pairs()
    ious = PairIous(ground_truth, pairs, {tau: column.ious[pairs] for tau, column in columns.by_tau()})
    coverage = {tau: mean(column.is_covered()[pairs]) for tau, column in columns.by_tau()}
    scores = SplitScores(_scores(ious, coverage, resamples, seed), ious, header, columns.masks)
    if soft is None and not in_memory:
        return scores
    return add_heat_maps(scores, in_memory if soft is None else soft)


def _find(path: Path, split: str) -> tuple[Path, Path | None]:
    """Return the predictions file that a path names, and for a folder the heat maps beside it."""
    if not path.is_dir():
        return path, None
    folder = path / split if (path / split).is_dir() else path
    if not (folder / PREDICTIONS).exists():
        raise InputError(f"no {PREDICTIONS} in {path} or {path / split}; give the output folder of a run")
    return folder / PREDICTIONS, folder / HEAT_MAPS if (folder / HEAT_MAPS).exists() else None


def _predictions(
    split: Split, given: Any, taus: Sequence[float], heat_maps: list[NounHeatMap]
) -> Iterator[Prediction]:
    """Yield what is given in memory as predictions, and add heat maps to `heat_maps`.

    Nothing is yielded for None: a noun without a prediction scores 0 in any case.
    """
    items = iter(given.items() if isinstance(given, Mapping) else given)
    first = next(items, None)
    items = chain([] if first is None else [first], items)
    if isinstance(first, Prediction):
        yield from items
        return
    if first is not None and not (isinstance(first, tuple) and first and isinstance(first[0], str)):
        by_example = list(items)
        if len(by_example) != len(split):
            raise InputError(
                f"segmentations of {len(by_example)} examples for a split of {len(split)}; give one list for "
                "each example, or a mapping from ids"
            )
        items = zip((example.id for example in split), by_example, strict=True)
    queries = {query.id: query for query in split.queries()}
    is_hard = False
    for identifier, segmentations in items:
        if identifier not in queries:
            raise InputError(f"split {split.name!r} of {split.dataset!r} has no example {identifier!r:.80}")
        query = queries[identifier]
        for noun, item in enumerate(check_query("", query, segmentations)):
            if item is None:
                continue
            if isinstance(item, HeatMap):
                heat_maps.append(NounHeatMap(query.id, noun, item.values))
            is_hard = is_hard or not isinstance(item, HeatMap)
            if is_hard and heat_maps:
                raise InputError(
                    f"both hard masks and heat maps are given (up to example {query.id!r}); give one kind"
                )
            yield from predictions_of(query, noun, item, (None,) if is_hard else taus)


class _Column:
    """What is known of every noun at one tau; a noun without a prediction stays at IoU 0."""

    def __init__(self, nouns: int) -> None:
        self.ious = np.zeros(nouns)
        self.seen = bytearray(nouns)
        self.covered = bytearray(nouns)

    def is_covered(self) -> NDArray[np.bool_]:
        return np.frombuffer(self.covered, dtype=np.bool_)


class _Columns:
    """One column a tau, filled block by block, and the masks of the taus to keep."""

    def __init__(self, ground_truth: GroundTruth, keep: Collection[str]) -> None:
        self.masks: dict[tuple[str, int, str], RLE] = {}
        self._ground_truth, self._keep = ground_truth, keep
        self._columns: dict[str, _Column] = {}
        self._by_number: dict[float | None, _Column] = {}

    def add(self, block: Block) -> None:
        """Score the predictions of a block.

        Raises:
            InputError: An unknown id or noun, a mask of another size than its image, or a double prediction.
        """
        numbers: list[int] = []
        columns: list[_Column] = []
        encoded = []
        for position, prediction in enumerate(block.predictions):
            try:
                number, mask = self._ground_truth.find(prediction.id, prediction.noun)
                column = self._by_number.get(prediction.tau) or self._column(prediction.tau)
                _check(prediction, mask.size, seen=column.seen[number])
            except InputError as error:
                raise InputError(f"{block.place(position)} (id {prediction.id!r:.80}): {error}") from None
            column.seen[number] = 1
            if self._keep and (key := tau_key(prediction.tau)) in self._keep:
                self.masks[prediction.id, prediction.noun, key] = prediction.mask
            numbers.append(number)
            columns.append(column)
            encoded.append(mask)
        ious = run_ious(block.runs, self._ground_truth.decode(numbers, encoded))
        covered = block.runs.areas > 0
        for column, number, iou, is_covered in zip(
            columns, numbers, ious.tolist(), covered.tolist(), strict=True
        ):
            column.ious[number] = iou
            column.covered[number] = is_covered

    def by_tau(self) -> list[tuple[str, _Column]]:
        """Return tau's key and column, hard masks first, then by tau."""
        if not self._columns:
            self._column(None)
        return sorted(self._columns.items(), key=lambda item: -1.0 if item[0] == HARD else float(item[0]))

    def _column(self, tau: float | None) -> _Column:
        key = tau_key(tau)
        if key not in self._columns:
            self._columns[key] = _Column(len(self._ground_truth))
        self._by_number[tau] = self._columns[key]
        return self._columns[key]


def _check(prediction: Prediction, size: tuple[int, int], *, seen: int) -> None:
    if prediction.mask.size != size:
        raise ShapeError(
            f"a mask of (height, width) {prediction.mask.size} for an image of {size}; resize it to the image"
        )
    if seen:
        raise InputError(
            f"a second prediction of noun {prediction.noun} at tau {tau_key(prediction.tau)}; delete one"
        )


def _scores(
    ious: PairIous, coverage: Mapping[str, float | None], resamples: int, seed: int
) -> dict[str, Scores]:
    taus = list(ious.by_tau)
    totals = [ious.image_totals(tau, only_80=only_80) for tau in taus for only_80 in (True, False)]
    intervals = confidence_intervals(totals, resamples=resamples, seed=seed)
    classes = ious.classes()
    scores = {}
    for tau, ci95_80, ci95_inf in zip(taus, intervals[::2], intervals[1::2], strict=True):
        values = ious.by_tau[tau]
        in_80 = values[classes > 0]
        scores[tau] = Scores(
            miou_80=mean(in_80),
            miou_inf=mean(values),
            ci95_80=ci95_80,
            ci95_inf=ci95_inf,
            pairs_80=len(in_80),
            pairs_inf=len(values),
            coverage=coverage[tau],
            per_class=_per_class(values, classes),
        )
    return scores


def _per_class(ious: NDArray[np.float64], classes: NDArray[np.int16]) -> dict[str, ClassScore]:
    pairs = np.bincount(classes, minlength=max(CATEGORY_IDS.values()) + 1)
    sums = np.bincount(classes, weights=ious, minlength=len(pairs))
    return {
        name: ClassScore(float(sums[category] / pairs[category]), int(pairs[category]))
        for name, category in CATEGORY_IDS.items()
        if pairs[category]
    }
