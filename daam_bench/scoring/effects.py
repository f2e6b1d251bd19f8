"""What faithfulness is kept and reported as: a word's effects, an image's, and the scores made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daam_bench.scoring.bootstrap import Difference
from daam_bench.scoring.ranks import RankAgreement
from daam_bench.types import Environment
from daam_bench.types.reports import Fraction

MEASURE = "1"
"""Version of the definition; any change to a number's definition raises it."""

OWN, ANOTHER, SHIFTED, BLURRED = "map", "another word's", "shifted", "blurred"
"""A method's map or mask of a word, and the controls made of the method's maps."""

RANDOM, CENTRE, SHUFFLED, GROUND_TRUTH = "random", "centre", "weights shuffled", "ground truth"
"""What is measured once for all methods: a random order, a square at the centre, DAAM with the weights of
cross-attention shuffled (Adebayo et al., "Sanity checks for saliency maps", 2018), the ground truth."""

NOUN = "noun"
"""The group of a dataset's nouns; those that the image doesn't depict have one of their own."""


@dataclass(frozen=True, slots=True)
class MaskEffect:
    """A mask's necessity, its area as a share of the image, and its IoU with the ground truth, if any."""

    necessity: float
    area: Fraction
    iou: Fraction | None = None


@dataclass(frozen=True, slots=True)
class WordEffect:
    """What one word of an image does, and how much of it lies in maps and masks.

    Attributes:
        text: The word.
        start: Its first character in the prompt.
        group: "noun", "noun, not depicted", "other noun", or its part of speech ("adjective").
        effect: R, how much it moves the denoiser's output.
        pooled: How much of its whole effect is the pooled text's; None where there is none.
        curves: Heat map ("map", "shifted", ...) -> its necessities at `AREAS`.
        masks: Tau, or "none" -> mask ("map", "shifted", ...) -> its effect.
    """

    text: str
    start: int
    group: str
    effect: float
    pooled: float | None
    curves: Mapping[str, tuple[float, ...]]
    masks: Mapping[str, Mapping[str, MaskEffect]]


@dataclass(frozen=True, slots=True)
class ImageEffects:
    """One image's words, for a method: a line of its file.

    Attributes:
        id: Id of the example.
        difference: Mean absolute difference to the dataset's image, 0 to 255, when it was generated again.
        words: Its words; none where the image came out otherwise.
        maps: Digest of the maps and masks that were measured; None for what all methods share.
    """

    id: str
    difference: float
    words: tuple[WordEffect, ...]
    maps: str | None = None


@dataclass(frozen=True, slots=True)
class RowScore:
    """The mean F of a heat map or J of a mask over words.

    Attributes:
        mean: The mean.
        ci95: Its 95 % bootstrap interval (low, high) over images.
        words: Number of words.
        images: Number of images.
        behind: How much the method's own map exceeds this one, over the words of both; None for itself.
        ahead: Share of these words on which the method's own map is the better one; None for itself.
        raw: Mean of 2 AUC - 1, before that of a random order is taken off; None for a mask.
        curve: Mean necessity at `AREAS`; None for a mask.
        area: Mean share of the image; None for a heat map.
        necessity: Mean necessity; None for a heat map.
        miou: Mean IoU over the words with a ground truth; None for a heat map, or without such words.
    """

    mean: float
    ci95: tuple[float, float]
    words: int
    images: int
    behind: Difference | None = None
    ahead: Fraction | None = None
    raw: float | None = None
    curve: tuple[float, ...] | None = None
    area: Fraction | None = None
    necessity: float | None = None
    miou: Fraction | None = None


@dataclass(frozen=True, slots=True)
class GroupScores:
    """The scores of a method over the words of one group.

    Attributes:
        words: Number of words with an effect.
        undefined: Number of words whose effect is under `LEAST_EFFECT`; no mean counts them.
        effect: Mean effect R over all of them; None without words.
        pooled: Mean share of the pooled text in the effect; None where there is none.
        soft: Heat map -> its score: the method's own ("map") and the controls. Empty for hard masks.
        hard: Tau, or "none" -> mask -> its score.
    """

    words: int
    undefined: int
    effect: float | None
    pooled: float | None
    soft: Mapping[str, RowScore]
    hard: Mapping[str, Mapping[str, RowScore]]


@dataclass(frozen=True, slots=True)
class MethodScores:
    """The scores of a method on a split.

    Attributes:
        parameters: What the method was made with.
        groups: Group of words -> scores.
        tau_soft: Kendall's tau-b of F and the IoU of the mask at the first tau over depicted nouns.
        tau_hard: The same of J. Both are None for fewer than three nouns, or where all are equal.
    """

    parameters: Mapping[str, Any]
    groups: Mapping[str, GroupScores]
    tau_soft: float | None
    tau_hard: float | None


@dataclass(frozen=True, slots=True)
class SplitFaithfulness:
    """The methods on one split.

    Attributes:
        images: Number of images.
        left_out: Number of images that came out otherwise than recorded; no number counts them.
        methods: Method -> its scores.
        differences: "A - B" -> difference of their F over the nouns of both, paired over images.
        differences_hard: The same of J at each method's first tau.
        tau_with_miou: Kendall's tau-b of the methods' F and mIoU, with its interval over images; None for
            fewer than three methods.
        tau_with_miou_hard: The same by J.
    """

    images: int
    left_out: int
    methods: Mapping[str, MethodScores]
    differences: Mapping[str, Difference]
    differences_hard: Mapping[str, Difference]
    tau_with_miou: RankAgreement | None
    tau_with_miou_hard: RankAgreement | None


@dataclass(frozen=True, slots=True)
class FaithfulnessReport:
    """What `faithfulness.json` holds.

    Attributes:
        measure: Version of the definition.
        dataset: Name, path or hub id of the dataset.
        fingerprint: Split -> fingerprint of its content.
        words: What was asked for ("nouns", "adjectives").
        areas: `AREAS`.
        shares: Where in the generations the denoiser was called again, as shares.
        partial: Whether only the first examples of a split were taken.
        environment: Versions, commit, device, time, seeds.
        splits: Split -> scores.
    """

    measure: str
    dataset: str
    fingerprint: Mapping[str, str]
    words: tuple[str, ...]
    areas: tuple[float, ...]
    shares: tuple[float, ...]
    partial: bool
    environment: Environment
    splits: Mapping[str, SplitFaithfulness]
