"""DiffSeg: segments merged of self-attention, named by cross-attention."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from daam_bench.segmenters.generator_method import NounMaps, OneCallMethod
from daam_bench.segmenters.refinement import Maps, enlarge, mean_by_factor
from daam_bench.segmenters.traced_image import EVERY_RESOLUTION, TracedImage
from daam_bench.types import FloatMap
from daam_bench.types.errors import InputError


@dataclass(kw_only=True, eq=False)
class DiffSeg(OneCallMethod):
    """DiffSeg's recipe (arXiv 2308.12469) on this model's layers, its segments valued by cross-attention.

    The image is noised to t = 300 and denoised once. Self-attention of all resolutions is brought to the
    finest, weighted by map size; the maps of a grid of anchors are merged where their symmetric KL divergence
    is below a threshold; each place belongs to the segment whose map is largest there. A noun's map is
    then its cross-attention (each resolution's mean, enlarged, added, of unit length over the image)
    averaged over each segment.

    Args:
        thresholds: KL divergences below which maps merge, one an iteration; those of the method's code.
        anchors: Anchors along each side, at most as many as there are places.
        refine: Refine the segments with k-means, begun at the merged maps.
        naming: "mean" for the map above; "argmax" for masks, as the code's: a segment is wholly the noun
            whose mean is largest there, so that each place is one of the nouns.
    """

    name: ClassVar[str] = "diffseg"
    calls: ClassVar[str] = "1"
    paper: ClassVar[str] = "arXiv 2308.12469"

    timesteps: Sequence[int] | None = (300,)
    thresholds: Sequence[float] = (0.9, 0.9, 0.9)
    anchors: int = 16
    refine: bool = True
    naming: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.naming not in ("mean", "argmax"):
            raise InputError(f"naming must be 'mean' or 'argmax', not {self.naming!r}")
        if not isinstance(self.thresholds, list | tuple) or not self.thresholds or min(self.thresholds) <= 0:
            raise InputError(f"thresholds must be one or more numbers above 0, not {self.thresholds!r}")
        if not isinstance(self.anchors, int) or self.anchors < 2:
            raise InputError(f"anchors must be a whole number of at least 2, not {self.anchors!r}")

    def traced(self) -> Mapping[str, Any]:
        """Trace all layers, and self-attention."""
        return {"layers": slice(None), "attention": ("cross", "self"), "resolutions": EVERY_RESOLUTION}

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return each noun's map, constant within segments."""
        attention, size = aggregate(image.self_attention)
        segments = segment_places(
            attention, size, thresholds=self.thresholds, anchors=self.anchors, refine=self.refine
        )
        tokens = sum(enlarge(maps, size) for maps in mean_by_factor(image).values())
        means: list[FloatMap | None] = []
        for cross in image.nouns_of(np.asarray(tokens)):
            if cross is None:
                means.append(None)
                continue
            unit = cross / max(float(np.linalg.norm(cross)), 1e-12)
            sums = np.bincount(segments, weights=unit.reshape(-1))
            mean = sums / np.maximum(np.bincount(segments), 1)
            means.append(mean[segments].reshape(size).astype(np.float32))
        if self.naming == "mean":
            return means
        there = [mean for mean in means if mean is not None]
        best = np.argmax(there, axis=0) if there else None
        numbers = iter(range(len(there)))
        return [None if one is None else np.asarray(best == next(numbers), np.float32) for one in means]


def aggregate(by_size: Mapping[tuple[int, ...], Maps]) -> tuple[Maps, tuple[int, int]]:
    """Bring self-attention of several resolutions to the finest: section 3.2 of the paper.

    A place's map is enlarged bilinearly to sum to 1; a coarse place speaks for the finer ones in it; a
    resolution counts by its side length.

    Returns:
        Attention (places, places), rows summing to 1, and the finest (height, width).
    """
    height, width = max(by_size, key=lambda size: size[0])[:2]
    total = np.zeros((height, width, height * width), dtype=np.float32)
    for size, attention in by_size.items():
        maps = enlarge(attention.reshape(-1, *size), (height, width)).reshape(*size, -1)
        maps = maps / maps.sum(axis=-1, keepdims=True)
        rows = np.arange(height) * size[0] // height
        columns = np.arange(width) * size[1] // width
        total += size[0] * maps[rows][:, columns]
    total /= sum(size[0] for size in by_size)
    return total.reshape(height * width, -1), (height, width)


def segment_places(
    attention: Maps, size: tuple[int, int], *, thresholds: Sequence[float], anchors: int, refine: bool
) -> NDArray[np.intp]:
    """Merge the maps of anchors into segments: sections 3.3 and 3.4 of the paper.

    Args:
        attention: Shape (places, places), rows summing to 1.
        size: (height, width) of the places.
        thresholds: See `DiffSeg`.
        anchors: See `DiffSeg`.
        refine: See `DiffSeg`.

    Returns:
        Number of each place's segment. Shape (places,).
    """
    rows, columns = (np.linspace(0, side - 1, min(anchors, side)).round().astype(int) for side in size)
    chosen = (rows[:, None] * size[1] + columns).reshape(-1)
    logs = np.log(np.maximum(attention, 1e-12))
    close = _divergence(attention[chosen], logs[chosen], attention, logs) < thresholds[0]
    merged = close @ attention / np.maximum(close.sum(axis=1, keepdims=True), 1)
    for threshold in thresholds[1:]:
        merged = _merge(merged, threshold)
    if refine:
        from scipy.cluster.vq import kmeans2

        with warnings.catch_warnings():
            # A cluster may lose all its places; it is then no segment.
            warnings.filterwarnings("ignore", message="One of the clusters is empty")
            _, labels = kmeans2(attention, merged, minit="matrix", missing="warn")
        there = np.unique(labels)
        merged = np.stack([attention[labels == label].mean(axis=0) for label in there])
    return np.asarray(merged.argmax(axis=0))


def _merge(maps: Maps, threshold: float) -> Maps:
    """Take each map that is left, and average all that are close to it."""
    logs = np.log(np.maximum(maps, 1e-12))
    taken = np.zeros(len(maps), dtype=bool)
    merged = []
    for index in range(len(maps)):
        if taken[index]:
            continue
        close = _divergence(maps[index : index + 1], logs[index : index + 1], maps, logs)[0] < threshold
        taken |= close
        merged.append(maps[close].mean(axis=0))
    return np.stack(merged)


def _divergence(one: Maps, one_logs: Maps, other: Maps, other_logs: Maps) -> Maps:
    """Return half the symmetric KL divergence of each pair of maps: (len(one), len(other))."""
    own = (one * one_logs).sum(axis=1)[:, None] + (other * other_logs).sum(axis=1)
    crossed: Maps = (own - one @ other_logs.T - one_logs @ other.T) / 2
    return crossed
