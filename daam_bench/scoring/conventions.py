"""Whether the order of methods hangs on a convention: on the boundary of objects, or on tau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daam_bench.scoring.ranks import RankAgreement, rank_agreement, reversals
from daam_bench.scoring.results import HARD, SplitScores

USUAL_TAU = "0.4"
"""The tau at which methods are set side by side, the paper's."""

BAND = "mIoU_band"
"""The convention that leaves out the pixels along the ground truth's boundary."""


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What a convention does to the order that methods have by mIoU_inf at `usual_tau`.

    Attributes:
        convention: `BAND`, or "tau 0.3": heat maps cut at another tau, hard masks as they are.
        turned: Pairs of methods (ahead, behind) whose order turns round for sure: both differences have
            paired 95 % intervals that leave out 0.
        within_ties: Number of further pairs that change places within what is tied.
        agreement: Kendall's tau between the two orders; None for fewer than two methods.
    """

    convention: str
    turned: tuple[tuple[str, str], ...]
    within_ties: int
    agreement: RankAgreement | None


def usual_tau(scores: Mapping[str, object]) -> str:
    """Return the tau of a method's scores to compare methods at: 0.4, else its first; "none" for hard masks.

    >>> usual_tau({"0.3": None, "0.4": None}), usual_tau({"none": None})
    ('0.4', 'none')
    """
    return USUAL_TAU if USUAL_TAU in scores else next(iter(scores))


def order_changes(methods: Mapping[str, SplitScores]) -> list[OrderChange]:
    """Say for each convention what it changes in the order of methods on a split.

    The conventions are `BAND`, and each other tau that every method of heat maps was scored at.

    Args:
        methods: Name -> the method's scores on the split, over the same pairs as the others'.
    """
    names = list(methods)
    base = [usual_tau(scores) for scores in methods.values()]
    usual = [scores.ious.image_totals(tau) for scores, tau in zip(methods.values(), base, strict=True)]
    by_convention = {
        BAND: [
            scores.ious.image_totals(tau, band=True)
            for scores, tau in zip(methods.values(), base, strict=True)
        ]
    }
    for tau in _shared_taus(list(methods.values())):
        by_convention[f"tau {tau}"] = [
            scores.ious.image_totals(HARD if HARD in scores else tau) for scores in methods.values()
        ]
    found = []
    for convention, totals in by_convention.items():
        pairs = reversals(usual, totals)
        found.append(
            OrderChange(
                convention,
                tuple((names[pair.ahead], names[pair.behind]) for pair in pairs if pair.sure),
                sum(not pair.sure for pair in pairs),
                rank_agreement(usual, totals, same_images=True),
            )
        )
    return found


def _shared_taus(scores: Sequence[SplitScores]) -> list[str]:
    """Return the taus besides the usual one that all methods of heat maps have."""
    soft = [set(one) - {USUAL_TAU} for one in scores if HARD not in one]
    return sorted(set.intersection(*soft), key=float) if soft else []
