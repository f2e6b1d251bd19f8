"""How far two annotations of the same images agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daam_bench.scoring.bootstrap import RESAMPLES, ImageTotals, confidence_intervals
from daam_bench.scoring.iou import rle_iou
from daam_bench.types import RLE, Example, Split
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode_runs


@dataclass(frozen=True, slots=True)
class NounAgreement:
    """A noun in two annotations.

    Attributes:
        id: Id of the example.
        noun: Index of the noun in it.
        depicted_a: Whether it is depicted: the first annotation has a non-empty mask for it.
        depicted_b: Whether the second one has.
        iou: Intersection over union in [0, 1] of the two masks; None unless both are there.
    """

    id: str
    noun: int
    text: str
    lemma: str
    depicted_a: bool
    depicted_b: bool
    iou: float | None


@dataclass(frozen=True, slots=True)
class LemmaAgreement:
    """Mean IoU in [0, 1] over the `pairs` nouns of one lemma that are depicted in both annotations."""

    miou: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two annotations of a split agree, over the images that both annotate.

    Attributes:
        both: Nouns with a mask in both annotations.
        only_a: Nouns with a mask in the first one only.
        only_b: Nouns with a mask in the second one only.
        neither: Nouns without a mask in both.
        depicted: Fraction of the nouns that both call depicted or both not; None without nouns.
        kappa: Cohen's kappa of depicted or not; None without nouns, and where chance alone must agree.
        miou: Mean IoU in [0, 1] over the nouns with two masks; None without any.
        ci95: Its 95 % bootstrap interval (low, high) over images; None without any.
        per_lemma: Lemma -> its mean IoU, the lowest first.
    """

    images: int
    nouns: int
    both: int
    only_a: int
    only_b: int
    neither: int
    depicted: float | None
    kappa: float | None
    miou: float | None
    ci95: tuple[float, float] | None
    per_lemma: Mapping[str, LemmaAgreement]


def compare_nouns(a: Split, b: Split) -> list[NounAgreement]:
    """Compare two annotations noun by noun, in the order of the first.

    Examples that only one of them has, or has annotated, are left out.

    Raises:
        InputError: They have no annotated example in common, one differs in more than its masks, or a mask is
            malformed.
    """
    others = {example.query.id: example for example in b.examples if example.annotation is not None}
    shared = [
        (example, others[example.query.id])
        for example in a.examples
        if example.annotation is not None and example.query.id in others
    ]
    if not shared:
        raise InputError(
            f"split {a.name!r}: {a.dataset} and {b.dataset} have no annotated example in common; "
            "give two annotations of the same dataset"
        )
    for one, other in shared:
        _check_same(one, other)
    return [
        _compare(one, noun, mask, other.masks[noun])
        for one, other in shared
        for noun, mask in enumerate(one.masks)
    ]


def agreement(nouns: Sequence[NounAgreement], *, resamples: int = RESAMPLES, seed: int = 0) -> Agreement:
    """Sum up how far two annotations agree.

    Args:
        nouns: What `compare_nouns` returned.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.
    """
    votes = [(noun.depicted_a, noun.depicted_b) for noun in nouns]
    both, only_a = votes.count((True, True)), votes.count((True, False))
    only_b, neither = votes.count((False, True)), votes.count((False, False))
    images: dict[str, list[float]] = {noun.id: [] for noun in nouns}
    lemmas: dict[str, list[float]] = defaultdict(list)
    for noun in nouns:
        if noun.iou is not None:
            images[noun.id].append(noun.iou)
            lemmas[noun.lemma].append(noun.iou)
    totals = ImageTotals(
        np.array([sum(ious) for ious in images.values()]), np.array([len(ious) for ious in images.values()])
    )
    per_lemma = {lemma: LemmaAgreement(float(np.mean(ious)), len(ious)) for lemma, ious in lemmas.items()}
    return Agreement(
        images=len(images),
        nouns=len(nouns),
        both=both,
        only_a=only_a,
        only_b=only_b,
        neither=neither,
        depicted=(both + neither) / len(nouns) if nouns else None,
        kappa=cohens_kappa(both, only_a, only_b, neither),
        miou=float(totals.sums.sum() / both) if both else None,
        ci95=confidence_intervals([totals], resamples=resamples, seed=seed)[0] if both else None,
        per_lemma=dict(sorted(per_lemma.items(), key=lambda item: (item[1].miou, item[0]))),
    )


def cohens_kappa(both: int, only_a: int, only_b: int, neither: int) -> float | None:
    """Return Cohen's kappa of two raters by how often both, one or neither says yes (Cohen, 1960).

    Returns:
        A value in [-1, 1]; 0 is what chance would reach. None where chance must agree always.

    >>> cohens_kappa(20, 5, 10, 15)
    0.4
    """
    total = both + only_a + only_b + neither
    chance = (both + only_a) * (both + only_b) + (neither + only_b) * (neither + only_a)
    if chance == total**2:
        return None
    return ((both + neither) * total - chance) / (total**2 - chance)


def _check_same(one: Example, other: Example) -> None:
    a, b = one.query, other.query
    checks = (
        ("words", a.prompt == b.prompt),
        ("nouns", a.nouns == b.nouns),
        ("pixels", a.image.size == b.image.size and np.array_equal(np.asarray(a.image), np.asarray(b.image))),
    )
    for what, same in checks:
        if not same:
            raise InputError(
                f"the {what} of example {a.id!r} differ between the two; "
                "give two annotations of the same dataset"
            )


def _compare(example: Example, noun: int, a: RLE | None, b: RLE | None) -> NounAgreement:
    word = example.query.nouns[noun]
    try:
        depicted_a, depicted_b = (mask is not None and bool(decode_runs([mask]).areas[0]) for mask in (a, b))
    except InputError as error:
        raise InputError(f"example {example.query.id!r}, noun {word.text!r}: {error}") from None
    iou = rle_iou(a, b) if depicted_a and depicted_b and a is not None and b is not None else None
    return NounAgreement(example.query.id, noun, word.text, word.lemma, depicted_a, depicted_b, iou)
