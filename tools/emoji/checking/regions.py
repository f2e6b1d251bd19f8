"""Regions of one colour, from which masks are put together, and the annotator's proposals of such masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from daam_bench.emoji.annotator import Annotator, findings, rivals
from daam_bench.types import BoolMask
from daam_bench.types.errors import InputError

COUNT = 32
"""Regions an image is cut into."""

SPACES = ("Lab", "RGB")
"""Colour spaces to cut in. Checks use Lab, which follows the eye; a second annotation uses the other."""

BY = "daam_bench.emoji.annotator"
"""What makes the proposals."""

HOW = "proposal: a SegFormer trained on composited scenes, cut along regions of one colour, not looked at"
"""How it makes them."""

Regions = NDArray[np.int64]
"""The number of the region of each pixel, shape (height, width); numbers follow first pixels, row by row."""


def colour_regions(image: Image.Image, space: str = "Lab", count: int = COUNT) -> Regions:
    """Cut an image into connected regions of much the same colour (Ward's method on the pixel grid).

    Args:
        image: The image.
        space: One of `SPACES`.
        count: Number of regions.

    Raises:
        InputError: An unknown colour space, or scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import AgglomerativeClustering
    except ImportError as error:
        raise InputError(
            "regions need scikit-learn: install daam-bench[emoji], or pip install scikit-learn"
        ) from error

    colours = _colours(image, space)
    height, width = colours.shape[:2]
    ward = AgglomerativeClustering(count, connectivity=_grid(height, width), linkage="ward")
    labels = ward.fit_predict(colours.reshape(height * width, 3))
    _, firsts, inverse = np.unique(labels, return_index=True, return_inverse=True)
    numbers: Regions = firsts.argsort().argsort()[inverse].reshape(height, width).astype(np.int64)
    return numbers


def space_of(*, blind: bool) -> str:
    """Return the colour space of the sheets: those of a second annotation cut other regions."""
    return SPACES[int(blind)]


def mask_of(regions: Regions, chosen: Iterable[int]) -> BoolMask:
    """Return the union of the chosen regions."""
    mask: BoolMask = np.isin(regions, list(chosen))
    return mask


def snap(scores: NDArray[np.float32], regions: Regions) -> NDArray[np.int64]:
    """Give each region, as a whole, to the class that is likeliest over its pixels.

    Args:
        scores: Probabilities of shape (classes, height, width).
        regions: The regions.

    Returns:
        Class index of every pixel, shape (height, width).
    """
    log_scores = np.log(scores + 1e-3)
    sums = [np.bincount(regions.ravel(), weights=of_class.ravel()) for of_class in log_scores]
    best: NDArray[np.int64] = np.stack(sums).argmax(axis=0)[regions]
    return best


def propose(
    annotator: Annotator, images: Sequence[Image.Image], nouns: Sequence[Sequence[str]]
) -> list[list[BoolMask | None]]:
    """Propose masks: each colour region goes, as a whole, to what the annotator sees in it.

    Args:
        annotator: Finds the nouns in the images.
        images: The images.
        nouns: Names of the nouns to look for in each.

    Returns:
        For each image and each of its nouns a mask of shape (height, width); None for a noun that the
        annotator doesn't find, and whose regions are nobody's.
    """
    proposals = []
    for image, names, scores in zip(images, nouns, annotator.probabilities(images), strict=True):
        owners = snap(scores[rivals(names)], colour_regions(image))
        masks = [owners == place for place in range(1, len(names) + 1)]
        depicted = [finding.depicted for finding in findings(scores, names)]
        proposals.append(
            [mask if found and mask.any() else None for mask, found in zip(masks, depicted, strict=True)]
        )
    return proposals


def _colours(image: Image.Image, space: str) -> NDArray[np.float64]:
    rgb = image.convert("RGB")
    if space == "RGB":
        return np.asarray(rgb).astype(np.float64)
    if space == "Lab":
        pixels = np.asarray(ImageCms.applyTransform(rgb, _to_lab()))
        lightness = pixels[..., :1] * (100 / 255)
        return np.concatenate([lightness, pixels[..., 1:].view(np.int8)], axis=-1).astype(np.float64)
    raise InputError(f"no colour space {space!r}: choose one of {', '.join(SPACES)}")


@cache
def _to_lab() -> Any:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.buildTransform(srgb, lab, "RGB", "LAB")


@cache
def _grid(height: int, width: int) -> Any:
    from sklearn.feature_extraction.image import grid_to_graph

    return grid_to_graph(height, width)
