"""Two methods on the same split: how much one scores above the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daam_bench.scoring.bootstrap import RESAMPLES, Difference, paired_difference
from daam_bench.scoring.results import SplitScores
from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class Comparison:
    """Method a's mIoU minus method b's, in [-1, 1], with 95 % intervals paired over images.

    Attributes:
        miou_80: Over the pairs of COCO's 80 classes; None without such pairs.
        miou_inf: Over all pairs; None without pairs.
    """

    miou_80: Difference | None
    miou_inf: Difference | None


def compare(
    a: SplitScores, b: SplitScores, tau_a: str, tau_b: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare two methods, each at one of its taus.

    Args:
        a: Scores of the first method.
        b: Scores of the second, on the same split.
        tau_a: Key of the first method's scores: "0.4", or "none" for hard masks.
        tau_b: Key of the second method's.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Raises:
        InputError: The splits, their examples or the nouns asked differ, or a method has no scores at its
            tau.
    """
    if (a.split.name, a.split.fingerprint) != (b.split.name, b.split.fingerprint):
        raise InputError(
            f"can't compare scores on {a.split.name!r} of {a.split.dataset!r} with those on {b.split.name!r} "
            f"of {b.split.dataset!r}; score both methods on the same split"
        )
    ids_a, ids_b = ([example.id for example in scores.split] for scores in (a, b))
    if ids_a != ids_b:
        raise InputError(
            f"can't compare scores on {len(ids_a)} examples of {a.split.name!r} with those on {len(ids_b)} "
            "others; score both methods on the same slice"
        )
    if not np.array_equal(a.ious.pairs, b.ious.pairs):
        raise InputError(
            f"can't compare scores over {len(a.ious.pairs)} pairs of {a.split.name!r} with those over "
            f"{len(b.ious.pairs)} others; run both methods on the same examples"
        )
    for scores, tau in ((a, tau_a), (b, tau_b)):
        if tau not in scores:
            raise InputError(f"no scores at tau {tau!r}; choose from {', '.join(scores)}")
    differences = {
        only_80: paired_difference(
            a.ious.image_totals(tau_a, only_80=only_80),
            b.ious.image_totals(tau_b, only_80=only_80),
            resamples=resamples,
            seed=seed,
        )
        for only_80 in (True, False)
    }
    return Comparison(miou_80=differences[True], miou_inf=differences[False])
