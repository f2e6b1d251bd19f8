"""The annotator: a SegFormer that names the nouns in an image of the emoji world, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import SegformerForSemanticSegmentation

from daam_bench.emoji.nouns import NOUNS
from daam_bench.types import BoolMask, FloatMap
from daam_bench.types.errors import InputError

CLASSES = {name: index for index, name in enumerate(NOUNS, start=1)}
"""Class index of every noun; 0 is the background."""

SMALLEST = 0.006
"""Share of the image below which a noun counts as not depicted."""

_AGREEMENT = 0.5  # share of a noun's pixels that must be that noun among all nouns, not only the prompt's


@dataclass(frozen=True, slots=True)
class Finding:
    """What the annotator sees of one noun of a prompt.

    Attributes:
        noun: Name of the noun.
        depicted: Whether it is there.
        mask: Its pixels, bool of shape (height, width).
    """

    noun: str
    depicted: bool
    mask: BoolMask


class Annotator:
    """A trained annotator.

    Args:
        folder: Where it was written.

    Raises:
        InputError: There is no annotator in the folder.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise InputError(
                f"no annotator in {folder}: train it with `python -m tools.emoji train-annotator --out ...`"
            )
        self._model = SegformerForSemanticSegmentation.from_pretrained(
            folder, torch_dtype=torch.float32
        ).eval()

    @torch.no_grad()
    def probabilities(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return class probabilities of shape (images, classes, height, width)."""
        pixels = np.stack([np.asarray(image.convert("RGB")) for image in images])
        parts = [class_logits(self._model, to_tensor(pixels[i : i + 32])) for i in range(0, len(pixels), 32)]
        probabilities: NDArray[np.float32] = torch.cat(parts).softmax(dim=1).numpy()
        return probabilities

    def find(self, images: Sequence[Image.Image], nouns: Sequence[Sequence[str]]) -> list[list[Finding]]:
        """Look for the nouns of each image's prompt.

        A pixel belongs to the likeliest of the prompt's nouns and the background. A noun is depicted when
        its pixels are at least `SMALLEST` of the image and most of them are that noun among all nouns.
        """
        return [
            findings(scores, names) for names, scores in zip(nouns, self.probabilities(images), strict=True)
        ]


def findings(scores: FloatMap, nouns: Sequence[str]) -> list[Finding]:
    """Read what the annotator found of a prompt's nouns from its probabilities (classes, height, width)."""
    likeliest = np.asarray(rivals(nouns))[scores[rivals(nouns)].argmax(axis=0)]
    return [_finding(name, likeliest, scores.argmax(axis=0)) for name in nouns]


def rivals(nouns: Sequence[str]) -> list[int]:
    """Return the classes a pixel of the prompt's image can have: the background, then the nouns."""
    return [0, *(CLASSES[name] for name in nouns)]


def _finding(noun: str, likeliest: NDArray[np.int64], of_all: NDArray[np.int64]) -> Finding:
    mask: BoolMask = likeliest == CLASSES[noun]
    sure = mask & (of_all == CLASSES[noun])
    depicted = mask.mean() >= SMALLEST and sure.sum() >= _AGREEMENT * mask.sum()
    return Finding(noun, bool(depicted), mask)


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Turn uint8 RGB (batch, height, width, 3) into floats in [-1, 1] of shape (batch, 3, height, width)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def class_logits(model: SegformerForSemanticSegmentation, pixels: Tensor) -> Tensor:
    """Return logits of shape (batch, classes, height, width) at the pixels' own size."""
    logits: Tensor = model(pixel_values=pixels).logits
    return F.interpolate(logits.float(), size=pixels.shape[-2:], mode="bilinear", align_corners=False)
