"""What goes into a method and comes out of it: nouns, queries, examples, splits, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, SupportsIndex, overload

from PIL import Image

from daam_bench.types.masks import RLE, BoolMask, decode, decode_runs

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""

CLASSES: tuple[str, ...] = tuple(_NAMES.strip().replace("\n", " ").split(", "))
"""The 80 class names in COCO's order."""

_UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})

CATEGORY_IDS: dict[str, int] = dict(
    zip(CLASSES, (number for number in range(1, 91) if number not in _UNUSED_IDS), strict=True)
)
"""Class name -> COCO category id, 1 to 90 with ten gaps."""


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
class MaskedNoun(Noun):
    """A noun with its ground-truth mask as `rle`; None for a noun that is not depicted."""

    rle: RLE | None

    @property
    def mask(self) -> BoolMask | None:
        """The mask of shape (height, width), decoded here; None for a noun that is not depicted.

        Raises:
            InputError: The dataset holds a malformed mask.
        """
        if self.rle is None:
            return None
        decode_runs([self.rle])
        return decode(self.rle)


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
        guidance_scale: Guidance scale; None where the pipeline is called without one. For classifier-free
            guidance 1 or less means none.
        height: Image height in pixels.
        width: Image width in pixels.
        dtype: "float32", "float16" or "bfloat16".
        arguments: Further arguments of the pipeline's call, as a JSON object; None for none.
        variant: Which of the model's files of weights were loaded, such as "fp16"; None for the plain ones.
    """

    model: str
    revision: str | None
    scheduler: str
    steps: int
    guidance_scale: float | None
    height: int
    width: int
    dtype: str
    arguments: str | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """An example without its masks: all that a segmenter is ever handed.

    Attributes:
        id: Name of the example, unique in its split.
        prompt: The prompt.
        image: The RGB image of the prompt.
        nouns: The countable nouns to segment, in prompt order.
        seed: Seed the image was generated from, or None for an image that no model generated.
        generation: How the image was generated, or None for an image that no model generated.
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


PROPOSED, ACCEPTED, EDITED, OWN = MASK_KINDS = ("proposed", "accepted", "edited", "own")
"""How the mask of a noun came to be: a method proposed it and nobody looked; an annotator left the
proposal as it was; an annotator changed it; an annotator made it without one."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Who made an example's masks, how, and when.

    Attributes:
        by: Name of a person or program.
        how: How, in a line.
        date: ISO date.
        masks: One of `MASK_KINDS` for each noun, also for one that is not depicted; None where a dataset does
            not say.
        proposal: The method that proposed masks; None if none did, or a dataset does not say.
    """

    by: str
    how: str
    date: str
    masks: tuple[str, ...] | None = None
    proposal: str | None = None

    @property
    def is_proposal(self) -> bool:
        """Whether a program made the masks and nobody has checked any: all are "proposed".

        Where a dataset does not say, `how` begins with "proposal".

        >>> Annotation("daam", "proposal: at tau 0.4", "2026-01-31").is_proposal
        True
        """
        if self.masks:
            return set(self.masks) == {PROPOSED}
        return self.how.startswith("proposal")


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt, one image, its nouns and their ground-truth masks.

    Attributes:
        query: The example without its masks.
        masks: One encoded mask a noun of `query.nouns`, or None for a noun that is not depicted.
        tokens: Every word of the prompt with its part of speech.
        source: Where the prompt came from.
        annotation: How the masks came to be, or None while there are none.
    """

    query: Query
    masks: tuple[RLE | None, ...]
    tokens: tuple[Token, ...]
    source: Source
    annotation: Annotation | None

    @property
    def id(self) -> str:
        """Name of the example, unique in its split."""
        return self.query.id

    @property
    def prompt(self) -> str:
        """The prompt."""
        return self.query.prompt

    @property
    def image(self) -> Image.Image:
        """The RGB image of the prompt."""
        return self.query.image

    @property
    def nouns(self) -> tuple[MaskedNoun, ...]:
        """The countable nouns of the prompt, each with its mask."""
        return tuple(
            MaskedNoun(noun.text, noun.lemma, noun.start, noun.end, noun.coco_class, mask)
            for noun, mask in zip(self.query.nouns, self.masks, strict=True)
        )


@dataclass(frozen=True)
class Split(Sequence[Example]):
    """The examples of one split of a dataset, in file order. A slice is a split of some of them.

    Attributes:
        dataset: Name, path or hub id as the user gave it.
        name: "coco_gen", "unreal_gen", "scenes" or "dev".
        examples: The examples.
        fingerprint: Hex SHA-256 over prompts, images, nouns and masks; a slice has that of the whole split.
        model: Generator model of the dataset, also for a split that no model generated; None if unknown.
        revision: Commit on the hub that it was loaded from; None for a local one.
    """

    dataset: str
    name: str
    examples: tuple[Example, ...] = field(repr=False)
    fingerprint: str
    model: str | None = None
    revision: str | None = None
    _whole: Split | None = field(default=None, repr=False, compare=False)

    @property
    def whole(self) -> Split:
        """The split that this one is a slice of; itself for one that was not sliced."""
        return self if self._whole is None else self._whole

    @property
    def partial(self) -> bool:
        """Whether this is a slice without some examples of the whole split."""
        return len(self) < len(self.whole)

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> Split: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Example | Split:
        if isinstance(index, slice):
            return replace(self, examples=self.examples[index], _whole=self.whole)
        return self.examples[index]

    def queries(self) -> tuple[Query, ...]:
        """Return the examples without their masks."""
        return tuple(example.query for example in self.examples)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a method predicted for a noun it was asked.

    Attributes:
        id: Id of the example.
        noun: Index of the noun in the example.
        tau: Threshold the mask was made with, in [0, 1]; None for a method that gives hard masks.
        mask: The mask at the image's size; None where the method gave nothing.
    """

    id: str
    noun: int
    tau: float | None
    mask: RLE | None


@dataclass(frozen=True, slots=True)
class PredictionsHeader:
    """First line of a predictions file: which method on which split of which dataset."""

    method: str
    parameters: Mapping[str, Any]
    dataset: str
    split: str
    fingerprint: str
