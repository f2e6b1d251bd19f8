"""DAAM averaged over the image's superpixels: edges from the image, no weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from daam_bench.segmenters.daam import Daam
from daam_bench.segmenters.generator_method import NounMaps
from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types import FloatMap
from daam_bench.types.errors import InputError


@dataclass(kw_only=True, eq=False)
class DaamSuperpixels(Daam):
    """DAAM's map at the image's size, its mean over each superpixel of the image (scikit-image).

    Args:
        superpixels: "slic" (Achanta et al., 2012) or "felzenszwalb" (Felzenszwalb and Huttenlocher, 2004).
        segments: About how many of them SLIC makes.
        compactness: SLIC's weight of nearness against colour.
        scale: Felzenszwalb's scale: larger ones make larger superpixels.
    """

    name: ClassVar[str] = "daam-superpixels"
    paper: ClassVar[str] = "arXiv 2210.04885; SLIC: 10.1109/TPAMI.2012.120"

    superpixels: str = "slic"
    segments: int = 200
    compactness: float = 10.0
    scale: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.superpixels not in ("slic", "felzenszwalb"):
            raise InputError(f"superpixels must be 'slic' or 'felzenszwalb', not {self.superpixels!r}")
        if not isinstance(self.segments, int) or self.segments < 1:
            raise InputError(f"segments must be a whole number of at least 1, not {self.segments!r}")

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return each noun's map, constant within superpixels."""
        from skimage.segmentation import felzenszwalb, slic

        pixels = np.asarray(image.query.image.convert("RGB"))
        if self.superpixels == "slic":
            regions = slic(pixels, n_segments=self.segments, compactness=self.compactness, start_label=0)
        else:
            regions = felzenszwalb(pixels, scale=self.scale)
        counts = np.bincount(regions.reshape(-1))
        maps: list[FloatMap | None] = []
        for heat_map in image.noun_maps():
            if heat_map is None:
                maps.append(None)
                continue
            values = heat_map.resize(image.query.image.size).values
            means = np.bincount(regions.reshape(-1), weights=values.reshape(-1)) / np.maximum(counts, 1)
            averaged = means[regions].astype(np.float32)
            maps.append(averaged - averaged.min() if self.normalize == "minmax" else averaged)
        return maps
