"""iSeg: cross-attention refined again and again by self-attention of reduced entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from daam_bench.segmenters.generator_method import NounMaps, OneCallMethod
from daam_bench.segmenters.refinement import (
    Maps,
    combine_by_factor,
    enlarge,
    mean_by_factor,
    stretch,
    weights_by_factor,
)
from daam_bench.segmenters.traced_image import EVERY_RESOLUTION, TracedImage
from daam_bench.types import FloatMap
from daam_bench.types.errors import InputError


@dataclass(kw_only=True, eq=False)
class ISeg(OneCallMethod):
    """iSeg's recipe (arXiv 2409.03209) on this model's layers: iterative refinement, entropy reduced first.

    The image is noised to t = 100 and denoised once. Start: the mean cross-attention of each resolution, each
    map summing to 1, enlarged bilinearly and added with weights. Then `iterations` times m = A m, less its
    minimum, divided by its sum. A is the finest self-attention, see `reduce_entropy`. Numbers are those of
    the method's code for VOC; it has other ones for Context (5 iterations, 0.002) and COCO (10, 0.2).

    Not done: the code takes heads and one layer by their numbers in Stable Diffusion 2.1, here heads and
    layers of a resolution are averaged; it multiplies the classes' embeddings by 1.6 in a prompt of their
    names, here the prompt is the image's own.

    Args:
        weights: How much each resolution counts: "1" the latents' size, "2" half of it. The paper's are those
            of 32 and 16 places a side of 64x64 latents.
        iterations: Number of refinements.
        entropy: Step of the entropy reduction.
    """

    name: ClassVar[str] = "iseg"
    calls: ClassVar[str] = "1"
    paper: ClassVar[str] = "arXiv 2409.03209"

    weights: Mapping[str, float] = field(default_factory=lambda: {"2": 0.3, "4": 0.7})
    iterations: int = 8
    entropy: float = 0.015

    def __post_init__(self) -> None:
        super().__post_init__()
        self._weights = weights_by_factor(self.weights, "weights")
        if not isinstance(self.iterations, int) or self.iterations < 0:
            raise InputError(f"iterations must be a whole number of at least 0, not {self.iterations!r}")
        if not self.entropy >= 0:
            raise InputError(f"entropy must be at least 0, not {self.entropy!r}")

    def traced(self) -> Mapping[str, Any]:
        """Trace all layers, and self-attention."""
        return {"layers": slice(None), "attention": ("cross", "self"), "resolutions": EVERY_RESOLUTION}

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return the refined map of each noun."""
        size, attention = image.finest_self_attention()
        attention = reduce_entropy(attention, self.entropy)
        by_factor = {
            factor: image.nouns_of(enlarge(_sum_to_one(maps), size))
            for factor, maps in mean_by_factor(image).items()
        }
        maps: list[FloatMap | None] = []
        for noun in range(len(image.query.nouns)):
            parts = {factor: part for factor, nouns in by_factor.items() if (part := nouns[noun]) is not None}
            if not parts:
                maps.append(None)
                continue
            refined = _from_zero(combine_by_factor(parts, self._weights, self.name))
            for _ in range(self.iterations):
                refined = _from_zero((attention @ refined.reshape(-1)).reshape(size))
            maps.append(stretch(refined))
        return maps


def reduce_entropy(attention: Maps, step: float) -> Maps:
    """Sharpen self-attention by one step down the gradient of its entropy, as iSeg's code does.

    Args:
        attention: Shape (places, places), rows the queries. Each column is divided by its maximum.
        step: Factor of the step, log10(e A), which is negative where A is below 1 / e.

    Returns:
        The attention after the step, negatives set to 0, rows summing to 1.
    """
    sharp = attention / attention.max(axis=0, keepdims=True)
    gradient = np.log10(np.e * sharp, out=np.zeros_like(sharp), where=sharp > 0)
    sharp = np.maximum(sharp + step * gradient, 0)
    rows = sharp.sum(axis=1, keepdims=True)
    normalized: Maps = np.divide(sharp, rows, out=np.zeros_like(sharp), where=rows > 0)
    return normalized


def _sum_to_one(maps: Maps) -> Maps:
    # Padding, which a longer prompt of the batch has words in, may have no attention at all.
    total = maps.sum(axis=(-2, -1), keepdims=True)
    summed: Maps = np.divide(maps, total, out=np.zeros_like(maps), where=total > 0)
    return summed


def _from_zero(values: Maps) -> Maps:
    lifted = values - values.min()
    total = lifted.sum()
    result: Maps = lifted / total if total > 0 else lifted
    return result
