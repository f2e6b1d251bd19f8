"""Scores of a method's predictions on a split: protocol "2"."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daam_bench.files import HEAT_MAPS, PREDICTIONS
from daam_bench.files.predictions import Block, NounHeatMap, check_blocks, read_blocks
from daam_bench.scoring.bootstrap import RESAMPLES, confidence_intervals
from daam_bench.scoring.mask_regions import Regions
from daam_bench.scoring.metrics import add_heat_maps, run_band_ious, run_ious, run_leakages
from daam_bench.scoring.results import (
    HARD,
    GroundTruth,
    PairIous,
    SplitScores,
    empty_mask,
    known_mean,
    mean,
    tau_key,
)
from daam_bench.types import RLE, ClassScore, Prediction, Scores, Split, masks
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.examples import CATEGORY_IDS
from daam_bench.types.masks import Runs, join
from daam_bench.types.segmentations import Segmentation

_SHOWN_IDS = 3
_MANY = 100_000
"""Nouns from which on loading a compiler pays."""

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
    partial: bool = False,
) -> SplitScores:
    """Score predictions, reading them a few at a time.

    A noun that the method was asked and gave nothing for has IoU 0. One that it was never asked makes the
    predictions incomplete.

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
        partial: Score incomplete predictions over the nouns that were asked, at every tau.

    Returns:
        The scores at every tau among the predictions; at "none" if there are no predictions at all.

    Raises:
        InputError: The predictions are incomplete and not `partial`; of another dataset or split, malformed,
            of an unknown id or noun, of another size than their image, or double. The text names the file,
            the line and the id.
    """
    ground_truth, header, soft = GroundTruth(split), None, heat_maps
    if len(ground_truth) >= _MANY:
        # Numba says by a RuntimeError that there is no place for its cache.
        with suppress(ImportError, RuntimeError):
            masks.compiled = import_module("daam_bench.types.compiled_masks")
    in_memory: list[NounHeatMap] = []
    source = "the predictions"
    if isinstance(predictions, str | Path):
        path, beside = _find(Path(predictions), split.name)
        soft, source = beside if heat_maps is None else heat_maps, str(path)
        header, blocks = read_blocks(path)
        ground_truth.check_header(header, path)
    else:
        from daam_bench.scoring.in_memory import as_predictions

        given = as_predictions(split, predictions, tau, in_memory)
        blocks = check_blocks(enumerate(given, start=1), "prediction")
    columns = _Columns(ground_truth, keep)
    for block in blocks:
        columns.add(block)
    asked = columns.asked()
    if not partial and not asked.all():
        raise InputError(f"{source}: {_what_is_missing(ground_truth, asked)}")
    pairs = ground_truth.pairs()
    pairs = pairs[asked[pairs]]
    ious = columns.pair_ious(pairs)
    coverage = {tau: mean(column.covered[pairs]) for tau, column in columns.by_tau()}
    scores = SplitScores(
        _scores(ious, coverage, resamples, seed),
        ious,
        header,
        columns.masks,
        partial=split.partial or not asked.all(),
    )
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


class _Column:
    """What is known of every noun at one tau; one that the method gave nothing for stays at IoU 0."""

    def __init__(self, nouns: int) -> None:
        self.ious, self.bands = np.zeros((2, nouns))
        self.leakages = np.full(nouns, np.nan)
        self.seen = bytearray(nouns)
        self.covered = np.zeros(nouns, dtype=np.bool_)


class _Columns:
    """One column a tau, filled block by block, and the masks of the taus to keep."""

    def __init__(self, ground_truth: GroundTruth, keep: Collection[str]) -> None:
        self.masks: dict[tuple[str, int, str], RLE] = {}
        self._ground_truth, self._keep = ground_truth, keep
        self._columns: dict[str, _Column] = {}

    def add(self, block: Block) -> None:
        """Score the predictions of a block; InputError for an unknown noun, a wrong size, or a double one."""
        numbers: list[int] = []
        columns: list[_Column] = []
        pixels: list[int] = []
        for position, prediction in enumerate(block.predictions):
            try:
                number, mask = self._ground_truth.find(prediction.id, prediction.noun)
                key = tau_key(prediction.tau)
                column = self._columns.get(key) or self._add_column(key)
                _check(prediction, mask.size, seen=column.seen[number])
            except InputError as error:
                raise InputError(f"{block.place(position)} (id {prediction.id!r:.80}): {error}") from None
            column.seen[number] = 1
            if key in self._keep:
                self.masks[prediction.id, prediction.noun, key] = prediction.mask or empty_mask(*mask.size)
            if prediction.mask is not None:
                numbers.append(number)
                columns.append(column)
                pixels.append(mask.size[0] * mask.size[1])
        if block.runs is None:
            return
        regions = [self._ground_truth.regions(number) for number in numbers]
        ious, bands, leakages = _region_scores(block.runs, regions, pixels)
        for place, (column, number) in enumerate(zip(columns, numbers, strict=True)):
            column.ious[number] = ious[place]
            column.bands[number] = bands[place]
            column.leakages[number] = leakages[place]
            column.covered[number] = block.runs.areas[place] > 0

    def asked(self) -> NDArray[np.bool_]:
        """Return which nouns have a prediction at every tau. Shape (nouns,)."""
        asked = np.ones(len(self._ground_truth), dtype=np.bool_)
        for _, column in self.by_tau():
            asked &= np.frombuffer(column.seen, np.bool_)
        return asked

    def pair_ious(self, pairs: NDArray[np.int64]) -> PairIous:
        """Return what is known of pairs, given by the numbers of their nouns."""
        has_core = self._ground_truth.with_core(pairs)
        columns = self.by_tau()
        return PairIous(
            self._ground_truth,
            pairs,
            by_tau={tau: column.ious[pairs] for tau, column in columns},
            bands={tau: np.where(has_core, column.bands[pairs], np.nan) for tau, column in columns},
            leakages={tau: column.leakages[pairs] for tau, column in columns},
        )

    def by_tau(self) -> list[tuple[str, _Column]]:
        """Return tau's key and column, hard masks first, then by tau."""
        if not self._columns:
            self._add_column(HARD)
        return sorted(self._columns.items(), key=lambda item: -1.0 if item[0] == HARD else float(item[0]))

    def _add_column(self, key: str) -> _Column:
        column = self._columns[key] = _Column(len(self._ground_truth))
        return column


def _region_scores(
    predictions: Runs, regions: Sequence[Regions], pixels: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return masks' IoU, that outside the band, and leakage; NaN where there is none. Shapes (masks,)."""
    own, cores, reaches, others = (
        join([getattr(one, name) for one in regions], pixels) for name in ("own", "core", "reach", "others")
    )
    has_others = np.array([one.has_others for one in regions])
    leakages = np.where(has_others, run_leakages(predictions, others), np.nan)
    return run_ious(predictions, own), run_band_ious(predictions, cores, reaches), leakages


def _check(prediction: Prediction, size: tuple[int, int], *, seen: int) -> None:
    if prediction.mask is not None and prediction.mask.size != size:
        raise ShapeError(
            f"a mask of (height, width) {prediction.mask.size} for an image of {size}; resize it to the image"
        )
    if seen:
        raise InputError(
            f"a second prediction of noun {prediction.noun} at tau {tau_key(prediction.tau)}; delete one"
        )


def _what_is_missing(ground_truth: GroundTruth, asked: NDArray[np.bool_]) -> str:
    missing = np.flatnonzero(~asked)
    ids = list(dict.fromkeys(ground_truth.example(number).id for number in missing.tolist()))
    shown = ", ".join(repr(identifier)[:80] for identifier in ids[:_SHOWN_IDS])
    return (
        f"incomplete: {len(missing)} of {len(asked)} nouns of {ground_truth.split.name!r} were never asked "
        f"(ids {shown}{', ...' if len(ids) > _SHOWN_IDS else ''}); run the method on all of them, or score "
        "what there is with --partial"
    )


def _scores(
    ious: PairIous, coverage: Mapping[str, float | None], resamples: int, seed: int
) -> dict[str, Scores]:
    taus = list(ious.by_tau)
    totals = [ious.image_totals(tau, only_80=only_80) for tau in taus for only_80 in (True, False)]
    intervals = confidence_intervals(totals, resamples=resamples, seed=seed)
    classes = ious.classes()
    images_80, images_inf = (len(np.unique(ious.images()[chosen])) for chosen in (classes > 0, ...))
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
            miou_band=known_mean(ious.bands[tau]),
            pairs_band=int(np.count_nonzero(~np.isnan(ious.bands[tau]))),
            leakage=known_mean(ious.leakages[tau]),
            pairs_leakage=int(np.count_nonzero(~np.isnan(ious.leakages[tau]))),
            per_class=_per_class(values, classes),
            images_80=images_80,
            images_inf=images_inf,
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
