"""The ground truth of a split as scoring asks for it: nouns by number, their masks checked and decoded."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daam_bench.types import RLE, Example, Noun, PredictionsHeader, Split, masks
from daam_bench.types.coco_classes import CATEGORY_IDS
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.masks import Runs, decode_runs

_BLOCK = 48
_EMPTY = 0
_UNKNOWN = -1


class GroundTruth:
    """The nouns of a split, numbered through in file order.

    Args:
        split: The split.

    Attributes:
        split: The split.
        images: Index of each noun's example. Shape (nouns,).

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

    def __len__(self) -> int:
        return len(self.images)

    def find(self, identifier: str, noun: int) -> tuple[int, RLE]:
        """Return the number of a noun and its mask, as `mask` does.

        Raises:
            InputError: The split has no such example, or the example no such noun.
        """
        index = self._examples.get(identifier)
        if index is None:
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

    def noun(self, number: int) -> Noun:
        """Return a noun."""
        return self.example(number).query.nouns[self.noun_index(number)]

    def mask(self, number: int) -> RLE:
        """Return the mask of a noun, at the image's size; an empty one for a noun that is not depicted.

        Raises:
            ShapeError: The mask differs from its image in size.
        """
        return self._mask(self.example(number), self.noun_index(number))

    def decode(self, numbers: Sequence[int], encoded: Sequence[RLE]) -> Runs:
        """Decode the masks `encoded` of the nouns `numbers`, and remember which are empty.

        Raises:
            InputError: A mask of the split is malformed.
        """
        try:
            runs = decode_runs(encoded)
        except InputError:
            for number, one in zip(numbers, encoded, strict=True):
                self._check(number, one)
            raise
        self._depicted[numbers] = runs.areas > 0
        return runs

    def pairs(self) -> NDArray[np.int64]:
        """Return the numbers of the nouns with a non-empty mask, ascending: the pairs of the split.

        Raises:
            InputError: A mask of the split is malformed or of another size than its image.
        """
        unknown = np.flatnonzero(self._depicted == _UNKNOWN).tolist()
        for start in range(0, len(unknown), _BLOCK):
            numbers = unknown[start : start + _BLOCK]
            self.decode(numbers, [self.mask(number) for number in numbers])
        return np.flatnonzero(self._depicted)

    def categories(self) -> NDArray[np.int16]:
        """Return the COCO category id of every noun, 0 for a noun outside the 80 classes. Shape (nouns,)."""
        nouns = (noun for example in self.split.examples for noun in example.query.nouns)
        ids = (CATEGORY_IDS.get(noun.coco_class, 0) if noun.coco_class else 0 for noun in nouns)
        return np.fromiter(ids, np.int16, len(self))

    def check_header(self, header: PredictionsHeader, path: Path | str) -> None:
        """Check that a file was made on this split.

        A dataset may have been loaded from another folder, or from a hub: of the two names only the last part
        has to agree, and the content.

        Raises:
            InputError: The split's name, the dataset's, or the content differs.
        """
        split = self.split
        if header.split != split.name:
            raise InputError(
                f"{path} is of split {header.split!r}, not {split.name!r}; score it on {header.split!r}"
            )
        if _last_part(header.dataset) != _last_part(split.dataset):
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
            return _empty_mask(height, width)
        if mask.size != (height, width):
            raise ShapeError(
                f"{self._place(example, noun)}: a mask of (height, width) {mask.size} for an image of "
                f"{(height, width)}; rebuild the dataset"
            )
        return mask

    def _check(self, number: int, encoded: RLE) -> None:
        try:
            decode_runs([encoded])
        except InputError as error:
            place = self._place(self.example(number), self.noun_index(number))
            raise InputError(f"{place}: {error}") from None

    def _place(self, example: Example, noun: int) -> str:
        return f"split {self.split.name!r} of {self.split.dataset!r}, id {example.query.id!r}, noun {noun}"


def _last_part(dataset: str) -> str:
    return Path(dataset).absolute().name


@lru_cache
def _empty_mask(height: int, width: int) -> RLE:
    return masks.encode(np.zeros((height, width), dtype=np.bool_))
