"""DiffSegmenter: cross-attention weighted by resolution, spread once by the finest self-attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from daam_bench.segmenters.generator_method import NounMaps, OneCallMethod
from daam_bench.segmenters.refinement import (
    combine_by_factor,
    enlarge,
    mean_by_factor,
    spread,
    stretch,
    weights_by_factor,
)
from daam_bench.segmenters.traced_image import EVERY_RESOLUTION, TracedImage


@dataclass(kw_only=True, eq=False)
class DiffSegmenter(OneCallMethod):
    """DiffSegmenter's recipe (arXiv 2309.02773) on this model's layers: m' = A m, stretched to [0, 1].

    The image is noised to t = 100 and denoised once. m: a word's cross-attention as a mean over heads and
    over the layers (down, mid and up) of a resolution, enlarged bilinearly and stretched to [0, 1], the
    resolutions added with the weights of the method's code. A: self-attention at the finest resolution.

    Not done: the paper prompts with a caption in which the class is emphasised, for each class apart; here
    the prompt is the image's own. Its step that filters classes is not needed, for the nouns are given.

    Args:
        weights: How much each resolution counts: "1" the latents' size, "2" half of it. The paper's are those
            of 64, 32, 16 and 8 places a side of 64x64 latents.
    """

    name: ClassVar[str] = "diffsegmenter"
    calls: ClassVar[str] = "1"
    paper: ClassVar[str] = "arXiv 2309.02773"

    weights: Mapping[str, float] = field(default_factory=lambda: {"1": 0.1, "2": 0.1, "4": 0.5, "8": 0.3})

    def __post_init__(self) -> None:
        super().__post_init__()
        self._weights = weights_by_factor(self.weights, "weights")

    def traced(self) -> Mapping[str, Any]:
        """Trace all layers, and self-attention."""
        return {"layers": slice(None), "attention": ("cross", "self"), "resolutions": EVERY_RESOLUTION}

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return the recipe's map of each noun."""
        size, attention = image.finest_self_attention()
        by_factor = {factor: image.nouns_of(maps) for factor, maps in mean_by_factor(image).items()}
        maps = []
        for noun in range(len(image.query.nouns)):
            parts = {
                factor: stretch(enlarge(part, size))
                for factor, nouns in by_factor.items()
                if (part := nouns[noun]) is not None
            }
            combined = combine_by_factor(parts, self._weights, self.name) if parts else None
            maps.append(None if combined is None else stretch(spread(attention, combined)))
        return maps
