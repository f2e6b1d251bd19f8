"""Scores of a method's predictions on a split: protocol "1"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daam_bench.files.predictions import Block, check_blocks, read_blocks
from daam_bench.scoring.bootstrap import RESAMPLES, confidence_intervals
from daam_bench.scoring.ground_truth import GroundTruth
from daam_bench.scoring.iou import run_ious
from daam_bench.scoring.results import HARD, PairIous, SplitScores, mean, tau_key
from daam_bench.scoring.soft_scores import score_heat_maps
from daam_bench.types import ClassScore, Prediction, Scores, Split
from daam_bench.types.coco_classes import CATEGORY_IDS
from daam_bench.types.errors import InputError, ShapeError


def score(
    split: Split,
    predictions: Path | str | Iterable[Prediction],
    heat_maps: Path | str | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SplitScores:
    """Score predictions, reading them a few at a time.

    Args:
        split: The split with its ground truth masks.
        predictions: A predictions file of this split, or predictions.
        heat_maps: For a soft method, the file of its heat maps beside the predictions file.
        resamples: Number of bootstrap resamples behind each interval.
        seed: Seed of the bootstrap.

    Returns:
        The scores at every tau among the predictions; at "none" if there are no predictions at all.

    Raises:
        InputError: The predictions are of another dataset or split, malformed, of an unknown id or noun, of
            another size than their image, or double. The text names the file, the line and the id.
    """
    truth = GroundTruth(split)
    if isinstance(predictions, str | Path):
        header, blocks = read_blocks(predictions)
        truth.check_header(header, predictions)
    else:
        header, blocks = None, check_blocks(enumerate(predictions, start=1), "prediction")
    columns = _Columns(truth)
    for block in blocks:
        columns.add(block)
    pairs = truth.pairs()
    ious = PairIous(truth, pairs, {tau: column.ious[pairs] for tau, column in columns.by_tau()})
    coverage = {tau: mean(column.is_covered()[pairs]) for tau, column in columns.by_tau()}
    del columns
    scores = _scores(ious, coverage, resamples, seed)
    if heat_maps is not None:
        soft = score_heat_maps(truth, heat_maps, header)
        scores = {tau: replace(hard, **soft._asdict()) for tau, hard in scores.items()}
    return SplitScores(scores, ious, header)


class _Column:
    """What is known of every noun at one tau; a noun without a prediction stays at IoU 0."""

    def __init__(self, nouns: int) -> None:
        self.ious = np.zeros(nouns)
        self.seen = bytearray(nouns)
        self.covered = bytearray(nouns)

    def is_covered(self) -> NDArray[np.bool_]:
        return np.frombuffer(self.covered, dtype=np.bool_)


class _Columns:
    """One column a tau, filled block by block."""

    def __init__(self, truth: GroundTruth) -> None:
        self._truth = truth
        self._columns: dict[str, _Column] = {}
        self._by_number: dict[float | None, _Column] = {}

    def add(self, block: Block) -> None:
        """Score the predictions of a block.

        Raises:
            InputError: An unknown id or noun, a mask of another size than its image, or a double prediction.
        """
        numbers: list[int] = []
        columns: list[_Column] = []
        truths = []
        for position, prediction in enumerate(block.predictions):
            try:
                number, mask = self._truth.find(prediction.id, prediction.noun)
                column = self._by_number.get(prediction.tau) or self._column(prediction.tau)
                _check(prediction, mask.size, seen=column.seen[number])
            except InputError as error:
                raise InputError(f"{block.place(position)} (id {prediction.id!r:.80}): {error}") from None
            column.seen[number] = 1
            numbers.append(number)
            columns.append(column)
            truths.append(mask)
        ious = run_ious(block.runs, self._truth.decode(numbers, truths))
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
            self._columns[key] = _Column(len(self._truth))
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
