"""The words of daam-bench, as frozen dataclasses. Loads neither torch nor diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BoolMask = NDArray[np.bool_]
"""A boolean mask of shape (height, width)."""

FloatMap = NDArray[np.float32]
"""A float32 map of shape (height, width), values >= 0."""


@dataclass(frozen=True, slots=True)
class RLE:
    """A mask in COCO's compressed run-length encoding.

    Attributes:
        size: (height, width) in pixels.
        counts: COCO's compressed counts, column-major, as ASCII text.
    """

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True, slots=True)
class Noun:
    """A countable noun of a prompt.

    Attributes:
        text: The noun as it stands in the prompt ("cats").
        lemma: Its dictionary form ("cat").
        start: First character of the noun in the prompt.
        end: One past its last character.
        coco_class: Its COCO-80 class ("cat"), or None for a noun outside the 80 classes.
    """

    text: str
    lemma: str
    start: int
    end: int
    coco_class: str | None


@dataclass(frozen=True, slots=True)
class Token:
    """A word or punctuation mark of a prompt with its part of speech (universal tag: "NOUN", "DET", ...)."""

    text: str
    pos: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Generation:
    """The settings an image was generated with.

    Attributes:
        model: Hub id or path of the pipeline; "emoji" is the shipped one.
        revision: Revision of the model, or None.
        scheduler: Class name of the scheduler.
        steps: Number of inference steps.
        guidance_scale: Classifier-free guidance scale; 1 or less means no guidance.
        height: Image height in pixels.
        width: Image width in pixels.
        dtype: "float32", "float16" or "bfloat16".
    """

    model: str
    revision: str | None
    scheduler: str
    steps: int
    guidance_scale: float
    height: int
    width: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Query:
    """An example without its masks: all that a segmenter is ever handed.

    Attributes:
        id: Name of the example, unique in its split.
        prompt: The prompt.
        image: The RGB image of the prompt.
        nouns: The countable nouns to segment, in prompt order.
        seed: Seed the image was generated from, or None for a picture that no model drew.
        generation: How the image was generated, or None for a picture that no model drew.
    """

    id: str
    prompt: str
    image: Image.Image
    nouns: tuple[Noun, ...]
    seed: int | None
    generation: Generation | None


@dataclass(frozen=True, slots=True)
class Swap:
    """A noun `text` that the noun swap replaced `by` another."""

    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a prompt came from: the caption, and the swapped nouns in prompt order (empty: as captioned)."""

    caption_id: str | None
    swapped_from: tuple[Swap, ...] = ()


@dataclass(frozen=True, slots=True)
class Annotation:
    """Who made an example's masks (a person's or program's name), how, and when (ISO date)."""

    by: str
    how: str
    date: str

    @property
    def is_proposal(self) -> bool:
        """Whether a program made the masks and nobody has checked them: `how` begins with "proposal".

        >>> Annotation("daam", "proposal: at tau 0.4", "2026-01-31").is_proposal
        True
        """
        return self.how.startswith("proposal")


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt, one image, its nouns and their ground-truth masks.

    Attributes:
        query: The example without its masks.
        masks: One mask a noun of `query.nouns`, or None for a noun that was not drawn.
        tokens: Every word of the prompt with its part of speech.
        source: Where the prompt came from.
        annotation: How the masks came to be, or None while there are none.
    """

    query: Query
    masks: tuple[RLE | None, ...]
    tokens: tuple[Token, ...]
    source: Source
    annotation: Annotation | None


@dataclass(frozen=True)
class Split(Sequence["Example"]):
    """The examples of one split of a dataset, in file order.

    Attributes:
        dataset: Name, path or hub id as the user gave it.
        name: "coco_gen", "unreal_gen" or "scenes".
        examples: The examples.
        fingerprint: Hex SHA-256 over prompts, images, nouns and masks.
        model: Generator model of the dataset, also for a split that no model drew; None if unknown.
        revision: Commit on the hub that it was loaded from; None for a local one.
    """

    dataset: str
    name: str
    examples: tuple[Example, ...] = field(repr=False)
    fingerprint: str
    model: str | None = None
    revision: str | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: Any) -> Any:
        return self.examples[index]

    def queries(self) -> tuple[Query, ...]:
        """Return the examples without their masks."""
        return tuple(example.query for example in self.examples)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted mask.

    Attributes:
        id: Id of the example.
        noun: Index of the noun in the example.
        tau: Threshold the mask was made with, in [0, 1]; None for a method that gives hard masks.
        mask: The mask at the image's size.
    """

    id: str
    noun: int
    tau: float | None
    mask: RLE


@dataclass(frozen=True, slots=True)
class PredictionsHeader:
    """First line of a predictions file: which method on which split of which dataset."""

    method: str
    parameters: Mapping[str, Any]
    dataset: str
    split: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PairScore:
    """One row of `pairs.csv`: a pair's score.

    Attributes:
        id: Id of the example.
        noun: Index of the noun in the example.
        text: The noun as it stands in the prompt.
        coco_class: Its COCO-80 class, or None.
        tau: Threshold as a report writes it ("0.4"), or "none".
        iou: Intersection over union in [0, 1].
    """

    id: str
    noun: int
    text: str
    coco_class: str | None
    tau: str
    iou: float


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Mean IoU in [0, 1] over the `pairs` pairs of one COCO class."""

    miou: float
    pairs: int


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """mIoU of the heat maps thresholded at one tau; None where there is no pair."""

    miou_80: float | None
    miou_inf: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one method on one split at one tau: protocol "1", fractions in [0, 1].

    Attributes:
        miou_80: Mean IoU over the pairs whose noun has a COCO-80 class; None without such pairs.
        miou_inf: Mean IoU over all pairs; None without pairs.
        ci95_80: 95 % bootstrap interval (low, high) of `miou_80` over images; None without such pairs.
        ci95_inf: The same for `miou_inf`.
        pairs_80: Number of pairs behind `miou_80`.
        pairs_inf: Number of pairs behind `miou_inf`.
        coverage: Fraction of pairs with a non-empty prediction; None without pairs.
        per_class: COCO class -> its score, in COCO's order; classes without a pair are absent.
        average_precision: Pixel average precision of the heat maps, mean over pairs; None for a hard method.
        pointing_game: Fraction of pairs whose heat map peaks inside the truth; None for a hard method.
        miou_over_tau: Tau ("0.05" ... "0.95") -> mIoU of the thresholded heat maps; None for a hard method.
    """

    miou_80: float | None
    miou_inf: float | None
    ci95_80: tuple[float, float] | None
    ci95_inf: tuple[float, float] | None
    pairs_80: int
    pairs_inf: int
    coverage: float | None
    per_class: Mapping[str, ClassScore]
    average_precision: float | None = None
    pointing_game: float | None = None
    miou_over_tau: Mapping[str, CurvePoint] | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """How and where a number came to be.

    Attributes:
        version: Version of daam-bench.
        commit: Git commit of the package's own checkout; None outside one.
        dirty: Whether that checkout had uncommitted changes; None outside one.
        python: Version of Python.
        libraries: Library -> version, for those installed.
        platform: Operating system and machine.
        device: What the method ran on ("cpu", "NVIDIA H200"); None if unknown.
        wall_seconds: Wall-clock time of the run; None if unknown.
        seeds: What was seeded ("method", "bootstrap") -> seed.
        limit: Only the first so many examples of each split were run; None for all of them.
        drifted: Images that the method drew anew and that came out otherwise; None if it draws none.
        dataset_revision: Commit on the hub that the dataset was loaded from; None for a local one.
    """

    version: str
    commit: str | None
    dirty: bool | None
    python: str
    libraries: Mapping[str, str]
    platform: str
    device: str | None = None
    wall_seconds: float | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)
    limit: int | None = None
    drifted: int | None = None
    dataset_revision: str | None = None


@dataclass(frozen=True, slots=True)
class Proposals:
    """How much of a split's truth a program proposed and nobody has checked.

    Attributes:
        images: Number of images with proposed masks.
        of: Number of images of the split.
        by: Who proposed them, the programs' names in ABC order, separated by commas.
    """

    images: int
    of: int
    by: str


@dataclass(frozen=True, slots=True)
class Report:
    """A method's scores on a dataset, with how they came to be: what `report.json` holds.

    Attributes:
        protocol: Version of the scoring protocol, "1".
        method: Name of the method.
        parameters: Its parameters.
        dataset: Name, path or hub id of the dataset.
        fingerprint: Split -> fingerprint of its content.
        environment: Versions, commit, device, time, seeds.
        splits: Split -> tau ("0.4", or "none" for hard masks) -> scores.
        proposals: Split -> how many of its masks are unchecked proposals; splits without any are absent.
    """

    protocol: str
    method: str
    parameters: Mapping[str, Any]
    dataset: str
    fingerprint: Mapping[str, str]
    environment: Environment
    splits: Mapping[str, Mapping[str, Scores]]
    proposals: Mapping[str, Proposals] = field(default_factory=dict)
