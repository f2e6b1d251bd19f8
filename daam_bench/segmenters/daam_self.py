"""DAAM spread by self-attention: where a place attends to, there its word is too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from daam_bench.segmenters.daam import Daam
from daam_bench.segmenters.generator_method import NounMaps
from daam_bench.segmenters.refinement import spread, stretch
from daam_bench.segmenters.traced_image import EVERY_RESOLUTION, TracedImage
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap, Normalization


@dataclass(kw_only=True, eq=False)
class DaamSelf(Daam):
    """DAAM refined by self-attention: A^p m, stretched to begin at 0.

    m is DAAM's map, A the self-attention of the finest layers as a mean over heads, layers and steps, its
    rows summing to 1. Multiplying cross-attention by (powers of) self-attention is how Attn2Mask (arXiv
    2309.01369), DiffSegmenter and Dataset Diffusion (arXiv 2309.14303) refine it.

    Args:
        power: How often the map is multiplied with A.
        normalize: "minmax" stretches the product to begin at 0, without which it has a floor; "max" does not.
    """

    name: ClassVar[str] = "daam-self"
    paper: ClassVar[str] = "arXiv 2309.01369, 2309.14303"

    power: int = 1
    normalize: Normalization = "minmax"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.power, int) or self.power < 1:
            raise InputError(f"power must be a whole number of at least 1, not {self.power!r}")

    def traced(self) -> Mapping[str, Any]:
        """Trace self-attention too."""
        return {"blocks": self.blocks, "attention": ("cross", "self"), "resolutions": EVERY_RESOLUTION}

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return A^p m for each noun."""
        size, attention = image.finest_self_attention()
        maps: list[HeatMap | None] = []
        for heat_map in image.noun_maps():
            if heat_map is None:
                maps.append(None)
                continue
            product = spread(attention, heat_map.resize((size[1], size[0])).values, self.power)
            maps.append(HeatMap(stretch(product) if self.normalize == "minmax" else product))
        return maps
