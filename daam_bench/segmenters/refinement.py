"""Steps that recipes on attention share: stretching, enlarging, spreading, one map a resolution."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types import FloatMap
from daam_bench.types.errors import InputError

Maps = NDArray[np.float32]


def stretch(maps: Maps) -> Maps:
    """Stretch each map (..., h, w) to [0, 1] by its minimum and maximum; a constant one becomes 0.

    >>> stretch(np.array([[1.0, 3.0, 2.0]])).tolist()
    [[0.0, 1.0, 0.5]]
    """
    lifted = maps - maps.min(axis=(-2, -1), keepdims=True)
    peak = lifted.max(axis=(-2, -1), keepdims=True)
    stretched: Maps = np.divide(lifted, peak, out=np.zeros_like(lifted), where=peak > 0)
    return stretched


def enlarge(maps: Maps, size: tuple[int, int]) -> Maps:
    """Resize maps (..., h, w) bilinearly, as torch's `interpolate` with align_corners=False."""
    import torch
    from torch.nn import functional

    flat = torch.from_numpy(np.ascontiguousarray(maps)).reshape(1, -1, *maps.shape[-2:])
    resized = functional.interpolate(flat, size=size, mode="bilinear", align_corners=False)
    return np.asarray(resized.reshape(*maps.shape[:-2], *size).numpy())


def mean_by_factor(image: TracedImage) -> dict[int, Maps]:
    """Return the mean map of the tokens over heads and layers, by how much smaller than the latents it is.

    Returns:
        Factor (1, 2, 4, ...) -> maps (tokens, h, w).
    """
    by_factor: dict[int, list[Maps]] = {}
    for name, maps in image.layer_maps.items():
        of_one_head = maps / np.float32(image.layers[name].heads)
        by_factor.setdefault(image.factor(maps.shape[-2:]), []).append(of_one_head)
    return {factor: np.mean(maps, axis=0) for factor, maps in by_factor.items()}


def weights_by_factor(given: Mapping[str, float], option: str) -> dict[int, float]:
    """Read weights of resolutions, whose keys are text in JSON.

    Raises:
        InputError: Not a mapping of factors to weights >= 0.
    """
    try:
        weights = {int(factor): float(weight) for factor, weight in given.items()}
    except (AttributeError, TypeError, ValueError):
        weights = {}
    if not weights or min(weights) < 1 or min(weights.values()) < 0 or not any(weights.values()):
        raise InputError(
            f'{option} says how much each resolution counts, such as {{"1": 0.1, "2": 0.9}} '
            f"(1: the latents' size, 2: half of it), not {given!r}"
        )
    return weights


def combine_by_factor(by_factor: Mapping[int, Maps], weights: Mapping[int, float], name: str) -> Maps:
    """Return the weighted sum of equally large maps of several resolutions, the weights those that are there.

    Raises:
        InputError: The denoiser has none of the resolutions.
    """
    there = [factor for factor, weight in weights.items() if weight > 0 and factor in by_factor]
    if not there:
        wanted = ", ".join(f"1/{factor}" for factor in sorted(weights))
        has = ", ".join(f"1/{factor}" for factor in sorted(by_factor))
        raise InputError(
            f"{name} adds up maps at {wanted} of the latents' size, and this denoiser has them at {has}; "
            "give other weights"
        )
    total = sum(weights[factor] for factor in there)
    combined: Maps = np.sum([by_factor[factor] * (weights[factor] / total) for factor in there], axis=0)
    return combined.astype(np.float32)


def spread(attention: Maps, maps: FloatMap, power: int = 1) -> FloatMap:
    """Return A^p m for attention (places, places) among the places of a map (h, w)."""
    values = maps.reshape(-1)
    for _ in range(power):
        values = attention @ values
    return values.reshape(maps.shape)
