"""DAAM as a method: the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from daam_bench.segmenters.generator_method import AttentionMethod, NounMaps
from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap, Normalization


@dataclass(kw_only=True, eq=False)
class Daam(AttentionMethod):
    """DAAM: cross-attention summed over layers, heads and steps.

    Section 2.2 of "What the DAAM" (arXiv 2210.04885), over the model that generated the images.

    Args:
        blocks: Parts of the denoiser that are added up; None for its family's: "down" and "up" of a UNet, all
            layers of a transformer.
        normalize: "max" as in the paper; "minmax" stretches each map to begin at 0, as castorini/daam does.
    """

    name: ClassVar[str] = "daam"
    calls: ClassVar[str] = "1 generation"
    paper: ClassVar[str] = "arXiv 2210.04885"

    blocks: Sequence[str] | None = None
    normalize: Normalization = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.normalize not in ("max", "minmax"):
            raise InputError(f"normalize must be 'max' or 'minmax', not {self.normalize!r}")

    def traced(self) -> Mapping[str, Any]:
        """Trace the blocks."""
        return {"blocks": self.blocks}

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return each noun's map at the latents' size, or with "minmax" at the image's."""
        return [None if one is None else self.normalized(one, image) for one in image.noun_maps()]

    def normalized(self, heat_map: HeatMap, image: TracedImage) -> HeatMap:
        """With "minmax" let a map begin at 0, at the image's size: a threshold is then one of its range.

        Its range is that of the bicubic map, negatives included, as in `HeatMap.threshold`.
        """
        if self.normalize == "max":
            return heat_map
        values = heat_map.resize(image.query.image.size).signed
        return HeatMap(values - values.min())
