"""The ground truth of a split as scoring asks for it, and the scores of a method on it, pair by pair."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daam_bench.scoring.bootstrap import ImageTotals
from daam_bench.scoring.mask_regions import Regions, image_regions
from daam_bench.types import RLE, Example, FloatMap, PairScore, PredictionsHeader, Scores, Split, masks
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.examples import CATEGORY_IDS
from daam_bench.types.masks import decode_runs

HARD = "none"
"""Stands for tau where a method gives hard masks."""

_EMPTY = 0
_UNKNOWN = -1


@lru_cache
def tau_key(tau: float | None) -> str:
    """Write tau as a report's keys do.

    >>> tau_key(0.4), tau_key(None)
    ('0.4', 'none')
    """
    return HARD if tau is None else format(tau + 0.0, "g")


def mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    """Return the mean, or None if there are no values."""
    return float(values.mean()) if len(values) else None


def known_mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of the values that are no NaN, or None if there are none."""
    return mean(values[~np.isnan(values)])


class GroundTruth:
    """The nouns of a split, numbered through in file order; `images` is the index of each noun's example.

    Raises:
        InputError: Two examples share an id.
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        self._examples = {example.query.id: index for index, example in enumerate(split.examples)}
        if len(self._examples) != len(split.examples):
            raise InputError(
                f"split {split.name!r} of {split.dataset!r} holds an id twice; rebuild the dataset"
            )
        lengths = np.fromiter((len(example.query.nouns) for example in split.examples), np.int64)
        self._starts: array[int] = array("q", accumulate(lengths.tolist(), initial=0))
        self.images = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        every_mask = (mask for example in split.examples for mask in example.masks)
        self._depicted = np.fromiter((_EMPTY if mask is None else _UNKNOWN for mask in every_mask), np.int8)
        self._has_core = np.zeros(len(self._depicted), dtype=np.bool_)
        self._last: tuple[int, tuple[Regions, ...]] = (-1, ())

    def __len__(self) -> int:
        return len(self.images)

    def find(self, identifier: str, noun: int) -> tuple[int, RLE]:
        """Return the number of a noun and its mask; InputError for an unknown example or noun."""
        index = self._examples.get(identifier)
        if index is None:
            if any(example.id == identifier for example in self.split.whole.examples):
                raise InputError(
                    f"predictions of more than the {len(self.split)} examples of {self.split.name!r} that "
                    "are scored, as of a run of more; leave --limit out, or give another --output"
                )
            raise InputError(
                f"split {self.split.name!r} of {self.split.dataset!r} has no example with that id; "
                "are these predictions of another dataset?"
            )
        example = self.split.examples[index]
        if not 0 <= noun < len(example.masks):
            raise InputError(f"noun {noun} of an example that has {len(example.masks)}, counted from 0")
        return self._starts[index] + noun, self._mask(example, noun)

    def example(self, number: int) -> Example:
        """Return the example of a noun."""
        return self.split.examples[int(self.images[number])]

    def noun_index(self, number: int) -> int:
        """Return the index of a noun in its example."""
        return number - self._starts[int(self.images[number])]

    def mask(self, number: int) -> RLE:
        """Return the mask of a noun, at the image's size; an empty one for a noun that is not depicted."""
        return self._mask(self.example(number), self.noun_index(number))

    def pairs(self) -> NDArray[np.int64]:
        """Return the numbers of the nouns with a non-empty mask, ascending: the pairs of the split.

        Raises:
            InputError: A mask of the split is malformed or of another size than its image.
        """
        for number in np.flatnonzero(self._depicted == _UNKNOWN).tolist():
            self.regions(number)
        return np.flatnonzero(self._depicted)

    def regions(self, number: int) -> Regions:
        """Return what belongs to the mask of a noun.

        Raises:
            InputError: A mask of its image is malformed or of another size than the image.
        """
        index = int(self.images[number])
        if self._last[0] != index:
            self._last = index, self._image_regions(index)
        return self._last[1][number - self._starts[index]]

    def _image_regions(self, index: int) -> tuple[Regions, ...]:
        numbers = range(self._starts[index], self._starts[index + 1])
        encoded = tuple(self.mask(one) for one in numbers)
        try:
            regions = image_regions(encoded)
        except InputError:
            for number, mask in zip(numbers, encoded, strict=True):
                try:
                    decode_runs([mask])
                except InputError as error:
                    place = self._place(self.example(number), self.noun_index(number))
                    raise InputError(f"{place}: {error}") from None
            raise
        self._depicted[numbers] = [one.own.areas[0] > 0 for one in regions]
        self._has_core[numbers] = [one.core.areas[0] > 0 for one in regions]
        return regions

    def with_core(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of some pairs have pixels outside the band along their masks' boundaries."""
        return self._has_core[numbers]

    def categories(self) -> NDArray[np.int16]:
        """Return the COCO category id of every noun, 0 for a noun outside the 80 classes. Shape (nouns,)."""
        nouns = (noun for example in self.split.examples for noun in example.query.nouns)
        return np.fromiter(
            (CATEGORY_IDS.get(noun.coco_class or "", 0) for noun in nouns), np.int16, len(self)
        )

    def check_header(self, header: PredictionsHeader, path: Path | str) -> None:
        """Check that a file was made on this split; InputError for another split, dataset or content.

        A dataset may have been loaded from another folder, or from a hub: of the two names only the last part
        has to agree.
        """
        split = self.split
        if header.split != split.name:
            raise InputError(
                f"{path} is of split {header.split!r}, not {split.name!r}; score it on {header.split!r}"
            )
        if Path(header.dataset).absolute().name != Path(split.dataset).absolute().name:
            raise InputError(
                f"{path} is of dataset {header.dataset!r}, not {split.dataset!r}; "
                f"score it on {header.dataset!r}"
            )
        if header.fingerprint != split.fingerprint:
            raise InputError(
                f"{path} was made on other content than {split.dataset!r}, split {split.name!r}, has "
                f"(fingerprint {header.fingerprint:.12}, not {split.fingerprint:.12}); make it again, or "
                "score it on the dataset as it was"
            )

    def _mask(self, example: Example, noun: int) -> RLE:
        width, height = example.query.image.size
        mask = example.masks[noun]
        if mask is None:
            return empty_mask(height, width)
        if mask.size != (height, width):
            raise ShapeError(
                f"{self._place(example, noun)}: a mask of (height, width) {mask.size} for an image of "
                f"{(height, width)}; rebuild the dataset"
            )
        return mask

    def _place(self, example: Example, noun: int) -> str:
        return f"split {self.split.name!r} of {self.split.dataset!r}, id {example.query.id!r}, noun {noun}"


@lru_cache
def empty_mask(height: int, width: int) -> RLE:
    """Return the mask of no pixel."""
    return masks.encode(np.zeros((height, width), dtype=np.bool_))


@dataclass(frozen=True)
class PairIous:
    """The IoU of every pair of a split at every tau ("0.4", or "none"), and what else is known of it there.

    Attributes:
        ground_truth: The nouns of the split.
        pairs: Numbers of the nouns with a non-empty mask that the method was asked, ascending.
        by_tau: Tau -> IoU in [0, 1].
        bands: Tau -> IoU outside the band along the ground truth's boundary; NaN where nothing of the ground
            truth lies outside it.
        leakages: Tau -> share of the prediction on other nouns; NaN for an empty prediction, and where no
            other noun has a mask. All of shape (pairs,).
    """

    ground_truth: GroundTruth
    pairs: NDArray[np.int64]
    by_tau: Mapping[str, NDArray[np.float64]]
    bands: Mapping[str, NDArray[np.float64]]
    leakages: Mapping[str, NDArray[np.float64]]

    def classes(self) -> NDArray[np.int16]:
        """Return the COCO category id of every pair, 0 outside the 80 classes. Shape (pairs,)."""
        return self.ground_truth.categories()[self.pairs]

    def images(self) -> NDArray[np.int32]:
        """Return the index of every pair's example. Shape (pairs,)."""
        return self.ground_truth.images[self.pairs]

    def image_totals(self, tau: str, *, only_80: bool = False, band: bool = False) -> ImageTotals:
        """Sum up the IoUs at a tau image by image; `only_80`: of COCO's 80 classes alone.

        `band`: those outside the band along the boundary, of the pairs that have any.
        """
        ious, images = (self.bands if band else self.by_tau)[tau], self.images()
        chosen = ~np.isnan(ious)
        if only_80:
            chosen &= self.classes() > 0
        ious, images = ious[chosen], images[chosen]
        count = len(self.ground_truth.split.examples)
        sums = np.bincount(images, weights=ious, minlength=count).astype(np.float64)
        return ImageTotals(sums, np.bincount(images, minlength=count))


@dataclass(frozen=True, eq=False)
class SplitScores(Mapping[str, Scores]):
    """The scores of one method on one split: a mapping from tau ("0.4", or "none") to `Scores`.

    A number will do for the text of a tau, and None for "none".

    Attributes:
        by_tau: The scores.
        ious: The IoU of every pair behind them.
        header: Header of the predictions file; None for predictions that came without one.
        masks: The predicted masks that were kept in scoring, by id, noun and tau.
        heat_maps: The heat maps that were kept in scoring, by id and noun, each at its own resolution.
        partial: Whether nouns of the split were left out: never asked, or not in the slice that was scored.
    """

    by_tau: Mapping[str, Scores]
    ious: PairIous = field(repr=False)
    header: PredictionsHeader | None = None
    masks: Mapping[tuple[str, int, str], RLE] = field(default_factory=dict, repr=False)
    heat_maps: Mapping[tuple[str, int], FloatMap] = field(default_factory=dict, repr=False)
    partial: bool = False

    @property
    def split(self) -> Split:
        """The split."""
        return self.ious.ground_truth.split

    def pairs(self) -> Iterator[PairScore]:
        """Yield the score of every pair at every tau: the rows of `pairs.csv`."""
        ground_truth = self.ious.ground_truth
        for position, number in enumerate(self.ious.pairs.tolist()):
            example, index = ground_truth.example(number), ground_truth.noun_index(number)
            noun = example.query.nouns[index]
            for tau, ious in self.ious.by_tau.items():
                yield PairScore(
                    id=example.id,
                    noun=index,
                    text=noun.text,
                    coco_class=noun.coco_class,
                    tau=tau,
                    iou=float(ious[position]),
                    iou_band=_known(self.ious.bands[tau][position]),
                    leakage=_known(self.ious.leakages[tau][position]),
                )

    def __getitem__(self, tau: str | float | None) -> Scores:
        return self.by_tau[tau if isinstance(tau, str) else tau_key(tau)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_tau)

    def __len__(self) -> int:
        return len(self.by_tau)


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
