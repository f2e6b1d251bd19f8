"""DAAM with every layer counting alike, however many heads it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from daam_bench.segmenters.daam import Daam
from daam_bench.segmenters.generator_method import NounMaps
from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types.heat_map import HeatMap


@dataclass(kw_only=True, eq=False)
class DaamMean(Daam):
    """DAAM as a mean over the heads of a layer, then a sum over layers.

    The paper sums over heads, so that where layers differ in their number of heads, those with many count
    more. In models whose layers all have as many, this is DAAM but for clamping each layer and not each head.
    """

    name: ClassVar[str] = "daam-mean"

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return the sum over layers of each layer's mean, upscaled."""
        height, width = image.size
        sums: list[HeatMap | None] = []
        by_layer = [
            image.nouns_of(maps / np.float32(image.layers[name].heads))
            for name, maps in image.layer_maps.items()
        ]
        for noun in zip(*by_layer, strict=True):
            layers = [HeatMap(maps).resize((width, height)).values for maps in noun if maps is not None]
            sums.append(HeatMap(np.sum(layers, axis=0)) if layers else None)
        return [None if one is None else self.normalized(one, image) for one in sums]
