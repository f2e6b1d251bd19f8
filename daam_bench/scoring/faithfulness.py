"""Faithfulness: how much of a word's effect on the image lies where a map says that it does.

It asks for no ground truth. A denoiser says o with the whole prompt, a with the word absent everywhere, and
o_M with the word absent in a part M of the image (`daam_bench.attribution.intervene`). The necessity
N(M) = 1 - |o_M - a| / |o - a| is 1 where M holds all of the word's effect, and 0 where it holds none.
Scores of this kind for text are comprehensiveness and sufficiency (DeYoung et al., "ERASER", 2020,
section 4).
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from daam_bench.types.errors import ShapeError
from daam_bench.types.masks import BoolMask, FloatMap

AREAS = (0.03, 0.06, 0.12, 0.2, 0.35, 0.6)
"""Shares of the image at which the curve of a heat map is measured."""

LEAST_EFFECT = 0.02
"""Effect of a word under which its faithfulness is undefined: the word does nothing."""

BLUR = 3 / 16
"""Standard deviation of the blurred control, as a share of the map's shorter side."""

Scalar = TypeVar("Scalar", bound=np.generic)

Outputs = NDArray[np.float32]
"""What a denoiser says at some steps: shape (steps, *latents)."""


def effect(original: Outputs, absent: Outputs) -> float:
    """Return a word's effect R: the mean over steps of |o - a| / |o|, in L1 norms.

    Args:
        original: What the denoiser says with the whole prompt.
        absent: What it says with the word absent everywhere.

    Raises:
        ShapeError: The shapes differ.

    >>> effect(np.array([[2.0, 2.0]]), np.array([[1.0, 2.0]]))
    0.25
    """
    _check(original, absent)
    return float(np.mean(_sizes(original - absent) / _sizes(original)))


def necessity(hidden: NDArray[np.float32], original: Outputs, absent: Outputs) -> NDArray[np.float64]:
    """Return the necessity N of parts of an image for a word: the mean over steps of 1 - |o_M - a| / |o - a|.

    The ratios are within a step, so they are the same whether the denoiser predicts the noise, the image or
    the velocity.

    Args:
        hidden: What the denoiser says with the word absent in each part. Shape (parts, steps, *latents).
        original: What it says with the whole prompt.
        absent: What it says with the word absent everywhere.

    Returns:
        At most 1, and below 0 where hiding the word moves the output away. Shape (parts,). A step at which
        the word has no effect at all is left out; without any other, 0.

    Raises:
        ShapeError: The shapes differ.
    """
    for part in hidden:
        _check(part, original)
    _check(original, absent)
    whole = _sizes(original - absent)
    left = np.stack([_sizes(part - absent) for part in hidden]) if len(hidden) else np.zeros((0, len(whole)))
    acting = whole > 0
    if not acting.any():
        return np.zeros(len(hidden))
    ratios = 1 - left[:, acting] / whole[acting]
    means: NDArray[np.float64] = ratios.mean(axis=1)
    return means


def area_under(curve: tuple[float, ...]) -> float:
    """Return 2 AUC - 1 of a curve of necessities at `AREAS`, by the trapezoidal rule from (0, 0) to (1, 1).

    A map that says nothing of where the word acts, with N(a) = a, has 0.

    >>> round(area_under(AREAS), 9), round(area_under((1.0,) * 6), 3)
    (0.0, 0.97)
    """
    return 2 * float(np.trapezoid((0.0, *curve, 1.0), (0.0, *AREAS, 1.0))) - 1


def faithfulness(curve: tuple[float, ...], random: tuple[float, ...]) -> float:
    """Return the faithfulness F of a heat map: `area_under` its curve minus that of a random order."""
    return area_under(curve) - area_under(random)


def order_of_chance(shape: tuple[int, int], key: str) -> NDArray[np.int64]:
    """Return the cells of a map in a random order that depends on `key` alone: flat indices (cells,)."""
    seed = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    # The raw bits of a generator are the same in every version of NumPy.
    return np.argsort(np.random.PCG64(seed).random_raw(shape[0] * shape[1]), kind="stable")


def top_shares(heat_map: FloatMap, chance: NDArray[np.int64]) -> BoolMask:
    """Return the hottest cells of a map at each of `AREAS`. Shape (areas, height, width).

    Args:
        heat_map: Map of shape (height, width).
        chance: A random order of its cells, which decides between equals.
    """
    return np.stack([top_share(heat_map, area, chance) for area in AREAS])


def top_share(heat_map: FloatMap, area: float, chance: NDArray[np.int64]) -> BoolMask:
    """Return a map's hottest cells, a share `area` of all, rounded; see `top_shares`.

    >>> top_share(np.array([[1.0, 3.0], [2.0, 0.0]]), 0.5, np.arange(4)).astype(int)
    array([[0, 1],
           [1, 0]])
    """
    cells = heat_map.size
    rank = np.empty(cells, dtype=np.int64)
    rank[chance] = np.arange(cells)
    order = np.lexsort((rank, -heat_map.ravel().astype(np.float64)))
    chosen = np.zeros(cells, dtype=np.bool_)
    chosen[order[: round(area * cells)]] = True
    return chosen.reshape(heat_map.shape)


def shifted(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a map or mask moved by half its height and half its width, what leaves coming in opposite."""
    height, width = values.shape
    return np.roll(values, (height // 2, width // 2), axis=(0, 1))


def centred(shape: tuple[int, int]) -> FloatMap:
    """Return a map whose hottest cells at any area are a rectangle of the map's proportions at its centre."""
    rows, columns = (np.abs(2 * np.arange(side) + 1 - side) / side for side in shape)
    return (1 - np.maximum(rows[:, None], columns[None, :])).astype(np.float32)


def blurred(values: FloatMap) -> FloatMap:
    """Return a map smoothed by a Gaussian of `BLUR` times its shorter side."""
    smooth: FloatMap = gaussian_filter(values.astype(np.float32), BLUR * min(values.shape), mode="nearest")
    return smooth


def _sizes(outputs: Outputs) -> NDArray[np.float64]:
    """Return the L1 norm of each step."""
    sizes: NDArray[np.float64] = np.abs(outputs.astype(np.float64)).reshape(len(outputs), -1).sum(axis=1)
    return sizes


def _check(one: Outputs, other: Outputs) -> None:
    if one.shape != other.shape:
        raise ShapeError(f"outputs of shapes {one.shape} and {other.shape}: give those of the same calls")
