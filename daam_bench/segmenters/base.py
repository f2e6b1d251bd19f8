"""What a method looks like: no base class, only these names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from daam_bench.types import BoolMask, FloatMap, Query
from daam_bench.types.heat_map import HeatMap

Segmentation = BoolMask | FloatMap | HeatMap | None
"""What a method says of one noun.

A boolean array (height, width) of the image's size is a hard mask. A floating-point array or a `HeatMap`, of
any resolution, is a heat map: the harness resizes it to the image and thresholds it at every tau. None is no
prediction and scores 0. One method gives hard masks or heat maps, not both.
"""


@runtime_checkable
class Segmenter(Protocol):
    """A method: queries in, a segmentation for each of their nouns out. Plain attributes will do."""

    @property
    def name(self) -> str:
        """Name of the method in reports."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that its results depend on, as JSON values."""
        ...

    def segment(self, queries: Sequence[Query]) -> Sequence[Sequence[Segmentation]]:
        """Segment a batch: for each query, one segmentation for each of its nouns, in order."""
        ...


@runtime_checkable
class RegeneratesImages(Protocol):
    """What a method also has that draws the images again, to look into the drawing."""

    @property
    def drift(self) -> Mapping[str, float]:
        """Mean absolute difference between each image of the last batch, generated again, and the dataset's.

        In grey levels from 0 to 255, by the id of the example.
        """
        ...

    @property
    def tolerance(self) -> float:
        """The largest difference with which an image counts as the same."""
        ...


@runtime_checkable
class KnowsSplit(Protocol):
    """What a method also has that must know the split of its queries: an id is unique in its split only."""

    def begin_split(self, name: str, queries: Sequence[Query]) -> None:
        """Hear of a split before its first batch.

        Args:
            name: Name of the split.
            queries: All of its queries, in its order, also those of an earlier, interrupted run.
        """
        ...
