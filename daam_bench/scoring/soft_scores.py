"""Scores of a method's heat maps on a split."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from daam_bench.files.heat_maps import read_heat_maps
from daam_bench.scoring.ground_truth import GroundTruth
from daam_bench.scoring.results import mean, tau_key
from daam_bench.scoring.soft import CURVE_TAUS, map_scores
from daam_bench.types import CurvePoint, PredictionsHeader, masks
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


class SoftScores(NamedTuple):
    """The fields of `Scores` that heat maps have and hard masks don't."""

    average_precision: float | None
    pointing_game: float | None
    miou_over_tau: dict[str, CurvePoint]


def score_heat_maps(
    truth: GroundTruth, path: Path | str, predictions_header: PredictionsHeader | None = None
) -> SoftScores:
    """Score a file of heat maps, upscaled to their images; a pair without a heat map scores 0 throughout.

    Args:
        truth: The nouns of the split.
        path: The file.
        predictions_header: Header of the predictions that the heat maps belong to, if known.

    Raises:
        InputError: The heat maps are of another split, dataset or run, malformed, double, or of unknown ids.
    """
    header, maps = read_heat_maps(path)
    truth.check_header(header, path)
    if predictions_header is not None and header != predictions_header:
        raise InputError(
            f"{path} was made by another run than the predictions; make both again with --restart"
        )
    pairs = truth.pairs()
    drawn = np.zeros(len(truth), dtype=np.bool_)
    drawn[pairs] = True
    seen = bytearray(len(truth))
    precisions, hits = np.zeros(len(truth)), np.zeros(len(truth))
    ious = np.zeros((len(CURVE_TAUS), len(truth)))
    for entry in maps:
        try:
            number, encoded = truth.find(entry.id, entry.noun)
            if seen[number]:
                raise InputError(f"a second heat map for noun {entry.noun}; delete one of them")
        except InputError as error:
            raise InputError(f"{path} (id {entry.id!r:.80}): {error}") from None
        seen[number] = 1
        if drawn[number]:
            mask = masks.decode(encoded)
            upscaled = HeatMap(entry.values).resize((mask.shape[1], mask.shape[0]))
            precisions[number], hits[number], ious[:, number] = map_scores(upscaled.values, mask)
    pairs_80 = pairs[truth.categories()[pairs] > 0]
    return SoftScores(
        average_precision=mean(precisions[pairs]),
        pointing_game=mean(hits[pairs]),
        miou_over_tau={
            tau_key(tau): CurvePoint(miou_80=mean(column[pairs_80]), miou_inf=mean(column[pairs]))
            for tau, column in zip(CURVE_TAUS, ious, strict=True)
        },
    )
