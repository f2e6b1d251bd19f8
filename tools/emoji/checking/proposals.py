"""The annotator's masks, their edges moved to those of the image, as proposals to be checked."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from daam_bench.emoji.annotator import Annotator, findings, rivals
from daam_bench.types import BoolMask
from tools.emoji.checking.regions import colour_regions, snap

BY = "daam_bench.emoji.annotator"
"""What makes the proposals."""

HOW = "proposal: a SegFormer trained on composited scenes, cut along regions of one colour, not looked at"
"""How it makes them."""


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
        judge doesn't find, and whose regions are nobody's.
    """
    proposals = []
    for image, names, scores in zip(images, nouns, annotator.probabilities(images), strict=True):
        owners = snap(scores[rivals(names)], colour_regions(image))
        masks = [owners == place for place in range(1, len(names) + 1)]
        drawn = [finding.drawn for finding in findings(scores, names)]
        proposals.append(
            [mask if found and mask.any() else None for mask, found in zip(masks, drawn, strict=True)]
        )
    return proposals
