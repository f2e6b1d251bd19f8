"""The scores of one mask or heat map against a ground-truth mask; and those of a split's heat maps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daam_bench.files.predictions import NounHeatMap, read_heat_maps
from daam_bench.scoring.results import SplitScores, known_mean, mean, tau_key
from daam_bench.types import BoolMask, CurvePoint, FloatMap
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.heat_map import HeatMap, check_map_size
from daam_bench.types.masks import Runs, intersections, paint

CURVE_TAUS = tuple(step / 20 for step in range(1, 20))
"""The taus of the mIoU-over-tau curve: 0.05 to 0.95."""


class MapScores(NamedTuple):
    """A heat map's pixel average precision, whether it peaks inside, IoU at each of `CURVE_TAUS` (19,)."""

    average_precision: float
    hit: bool
    ious: NDArray[np.float64]


def map_scores(heat_map: FloatMap, ground_truth: BoolMask) -> MapScores:
    """Score a heat map.

    Average precision is the mean, over the pixels of the ground truth, of the precision at that pixel's own
    heat: the area under the precision-recall curve as a step function, tied pixels taken together
    (scikit-learn's `average_precision_score`). The pointing game looks at the first maximum in row-major
    order (Zhang et al., "Top-down neural attention by excitation backprop", 2018); a map that is 0
    everywhere misses.

    Args:
        heat_map: Map of shape (height, width), values >= 0.
        ground_truth: Mask of the same shape, with at least one true pixel.

    Raises:
        ShapeError: The shapes differ.
    """
    if heat_map.shape != ground_truth.shape:
        raise ShapeError(f"heat map {heat_map.shape} and ground truth {ground_truth.shape} differ in shape")
    heats = np.sort(heat_map, axis=None)
    true_heats = np.sort(heat_map[ground_truth])
    # Descending order counted from the back of the ascending one: how many pixels are at least as hot.
    selected = len(heats) - np.searchsorted(heats, true_heats)
    hits = len(true_heats) - np.searchsorted(true_heats, true_heats)
    peak = heats[-1]
    if peak == 0:
        return MapScores(float(np.mean(hits / selected)), False, np.zeros(len(CURVE_TAUS)))
    levels = np.array(CURVE_TAUS, dtype=np.float32) * peak
    predicted = len(heats) - np.searchsorted(heats, levels)
    both = len(true_heats) - np.searchsorted(true_heats, levels)
    return MapScores(
        average_precision=float(np.mean(hits / selected)),
        hit=bool(ground_truth.flat[np.argmax(heat_map)]),
        ious=both / (predicted + len(true_heats) - both),
    )


def map_leakage(heat_map: FloatMap, others: BoolMask) -> float | None:
    """Return the share of a heat map's sum that lies on other nouns, in [0, 1]; None for a map of zeros.

    Args:
        heat_map: Map of shape (height, width), values >= 0.
        others: Pixels of the image's other nouns, without those of the map's own; of the same shape.

    Raises:
        ShapeError: The shapes differ.

    >>> map_leakage(np.array([[1.0, 3.0]], dtype=np.float32), np.array([[True, False]]))
    0.25
    """
    if heat_map.shape != others.shape:
        raise ShapeError(f"heat map {heat_map.shape} and mask {others.shape} differ in shape")
    total = heat_map.sum(dtype=np.float64)
    return float(heat_map[others].sum(dtype=np.float64) / total) if total > 0 else None


def add_heat_maps(
    scores: SplitScores,
    heat_maps: Path | str | Iterable[NounHeatMap],
    keep: Collection[tuple[str, int]] = (),
) -> SplitScores:
    """Add the scores of heat maps, upscaled to their images; a pair without a heat map scores 0 throughout.

    Args:
        scores: The scores of the masks that were made of them.
        heat_maps: The file of heat maps, or the heat maps.
        keep: Pairs (id, noun) whose heat maps go into `SplitScores.heat_maps`, to be shown.

    Raises:
        InputError: The heat maps are of another split, dataset or run, malformed, double, or of unknown ids.
    """
    ground_truth, pairs = scores.ious.ground_truth, scores.ious.pairs
    source = "heat maps"
    if isinstance(heat_maps, str | Path):
        source = str(heat_maps)
        header, heat_maps = read_heat_maps(heat_maps)
        ground_truth.check_header(header, source)
        if scores.header not in (None, header):
            raise InputError(
                f"{source} was made by another run than the predictions; make both again with --restart"
            )
    is_pair, seen = np.zeros((2, len(ground_truth)), dtype=np.bool_)
    is_pair[pairs] = True
    precisions, hits = np.zeros((2, len(ground_truth)))
    leakages = np.full(len(ground_truth), np.nan)
    ious = np.zeros((len(CURVE_TAUS), len(ground_truth)))
    kept = {}
    for entry in heat_maps:
        try:
            number, encoded = ground_truth.find(entry.id, entry.noun)
            check_map_size(entry.values.shape, encoded.size)
            if seen[number]:
                raise InputError(f"a second heat map for noun {entry.noun}; delete one of them")
        except InputError as error:
            raise InputError(f"{source} (id {entry.id!r:.80}): {error}") from None
        seen[number] = True
        if is_pair[number]:
            regions = ground_truth.regions(number)
            mask = paint(regions.own, encoded.size)
            upscaled = HeatMap(entry.values).resize((mask.shape[1], mask.shape[0]))
            precisions[number], hits[number], ious[:, number] = map_scores(upscaled.values, mask)
            if regions.has_others:
                share = map_leakage(upscaled.values, paint(regions.others, encoded.size))
                leakages[number] = np.nan if share is None else share
        if (entry.id, entry.noun) in keep:
            kept[entry.id, entry.noun] = entry.values
    pairs_80 = pairs[scores.ious.classes() > 0]
    curve = {
        tau_key(tau): CurvePoint(miou_80=mean(column[pairs_80]), miou_inf=mean(column[pairs]))
        for tau, column in zip(CURVE_TAUS, ious, strict=True)
    }
    by_tau = {
        tau: replace(
            at_tau,
            average_precision=mean(precisions[pairs]),
            pointing_game=mean(hits[pairs]),
            map_leakage=known_mean(leakages[pairs]),
            miou_over_tau=curve,
            oracle_tau=oracle_tau(curve),
        )
        for tau, at_tau in scores.by_tau.items()
    }
    return replace(scores, by_tau=by_tau, heat_maps=kept)


def oracle_tau(curve: Mapping[str, CurvePoint]) -> float | None:
    """Return the tau at which a curve's mIoU_inf is highest, the lowest of several; None without pairs.

    It is chosen on the ground truth that it is scored on: nothing may be ranked by it.
    """
    known = {tau: point.miou_inf for tau, point in curve.items() if point.miou_inf is not None}
    return float(max(known, key=lambda tau: (known[tau], -float(tau)))) if known else None


def run_ious(predictions: Runs, ground_truths: Runs) -> NDArray[np.float64]:
    """Return the intersection over union of masks of equal sizes, decoded to runs. Shape (masks,)."""
    both = intersections(predictions, ground_truths)
    union = predictions.areas + ground_truths.areas - both
    ious: NDArray[np.float64] = both / np.maximum(union, 1)
    return ious


def run_band_ious(predictions: Runs, cores: Runs, reaches: Runs) -> NDArray[np.float64]:
    """Return the IoU of masks outside the band along their ground truth's boundary. Shape (masks,).

    Outside the band the ground truth is its core, and a prediction P has |P| - |P and reach| pixels besides
    those in the core.

    Args:
        predictions: The masks, decoded to runs.
        cores: Their ground truths, eroded by the band's width.
        reaches: Their ground truths, dilated by it.

    Returns:
        Values in [0, 1]; NaN where the core is empty.
    """
    both = intersections(predictions, cores)
    union = cores.areas + predictions.areas - intersections(predictions, reaches)
    return _shares(both, union, known=cores.areas > 0)


def run_leakages(predictions: Runs, others: Runs) -> NDArray[np.float64]:
    """Return the share of masks that lies on other nouns. Shape (masks,).

    Args:
        predictions: The masks, decoded to runs.
        others: Pixels of the image's other nouns, without those of the mask's own.

    Returns:
        Values in [0, 1]; NaN for an empty mask.
    """
    return _shares(intersections(predictions, others), predictions.areas, known=predictions.areas > 0)


def _shares(
    part: NDArray[np.int64], whole: NDArray[np.int64], *, known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=known)
    return shares
