"""Training images of the detectors: composited scenes, annotated as COCO annotates photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from daam_bench.emoji.annotator import to_tensor
from daam_bench.emoji.nouns import NOUNS
from daam_bench.types import BoolMask
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Scene, compose, sample_layout
from tools.emoji.train_annotator import as_generated

CLASSES = tuple(noun.name for noun in NOUNS.values() if noun.coco_class is not None)
"""The closed vocabulary: the nouns that are COCO classes. The others are in the images, unannotated."""

IMAGE_SIZE = 64
"""Side of the world's images in pixels."""

_LABELS = {name: label for label, name in enumerate(CLASSES)}

_SMALLEST = 12  # visible pixels below which an object is not annotated


@dataclass(frozen=True, slots=True)
class AnnotatedScene:
    """An image with its annotated objects.

    Attributes:
        image: uint8 RGB of shape (size, size, 3).
        masks: Visible part of each annotated object, bool of shape (objects, size, size).
        labels: Index in `CLASSES` of each, int64 of shape (objects,).
    """

    image: NDArray[np.uint8]
    masks: BoolMask
    labels: NDArray[np.int64]


def sample_scene(glyphs: Glyphs, rng: np.random.Generator, size: int = IMAGE_SIZE) -> Scene:
    """Compose a scene on a usual background, with at least one object to annotate.

    The background is a usual one of a COCO noun chosen at random, so that no noun is rare.
    """
    while True:
        usual = NOUNS[CLASSES[rng.integers(len(CLASSES))]].usual
        layout = sample_layout(rng, usual=True, background=usual[rng.integers(len(usual))])
        scene = compose(layout, glyphs, size, rng)
        if len(annotate(scene).labels):
            return scene


def annotate(scene: Scene) -> AnnotatedScene:
    """Annotate the objects of a scene that are COCO classes and can be seen."""
    nouns = [scene.layout.groups[owner].noun for owner in scene.owners]
    kept = [
        index
        for index, noun in enumerate(nouns)
        if noun in _LABELS and scene.instances[index].sum() >= _SMALLEST
    ]
    labels = np.array([_LABELS[nouns[index]] for index in kept], dtype=np.int64)
    return AnnotatedScene(scene.image, scene.instances[kept], labels)


def training_batch(scenes: Sequence[AnnotatedScene], vae: AutoencoderKL, side: int) -> dict[str, Any]:
    """Make a batch for an MMDetection model's `data_preprocessor`.

    Some of the images go through the autoencoder, and all through small changes of colour, blur and
    noise (`as_generated`), so that the detectors also know what the diffusion model generates. Contrast and
    saturation change more, so that they don't go by the colour of the background.

    Args:
        scenes: The images.
        vae: The pipeline's autoencoder.
        side: Side in pixels to which the images are enlarged.
    """
    pixels = as_generated(to_tensor(np.stack([scene.image for scene in scenes])), vae)
    inputs = enlarge((distorted(pixels) + 1) * 127.5, side)
    return {
        "inputs": list(inputs),
        "data_samples": [_sample(scene, side, index) for index, scene in enumerate(scenes)],
    }


def distorted(pixels: Tensor) -> Tensor:
    """Change contrast and saturation of half of the images, floats in [-1, 1] of shape (batch, 3, h, w)."""
    per_image = (len(pixels), 1, 1, 1)
    contrast, saturation = (1 + 0.4 * (2 * torch.rand(per_image) - 1) for _ in range(2))
    grey = pixels.mean(dim=1, keepdim=True)
    mean = grey.mean(dim=(2, 3), keepdim=True)
    changed = (mean + contrast * (grey - mean + saturation * (pixels - grey))).clamp(-1, 1)
    return torch.where(torch.rand(per_image) < 0.5, changed, pixels)


def enlarge(pixels: Tensor, side: int) -> Tensor:
    """Turn RGB pixels (batch, 3, height, width) into BGR ones of shape (batch, 3, side, side)."""
    return F.interpolate(pixels.flip(1), size=(side, side), mode="bilinear", align_corners=False)


def _sample(scene: AnnotatedScene, side: int, index: int) -> Any:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    small = torch.from_numpy(scene.masks).float()[:, None]
    masks = F.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)[:, 0] >= 0.5
    sample = DetDataSample(
        metainfo={
            "img_id": index,
            "img_shape": (side, side),
            "ori_shape": scene.image.shape[:2],
            "scale_factor": (side / scene.image.shape[1], side / scene.image.shape[0]),
        }
    )
    sample.gt_instances = InstanceData(
        bboxes=boxes(masks),
        labels=torch.from_numpy(scene.labels),
        masks=BitmapMasks(masks.numpy().astype(np.uint8), side, side),
    )
    return sample


def boxes(masks: Tensor) -> Tensor:
    """Return the bounding boxes of non-empty masks: float32 (left, top, right, bottom) in pixels."""
    found = []
    for mask in masks:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return torch.tensor(found, dtype=torch.float32)


def held_out(count: int, glyphs: Glyphs, *, usual: bool | None = None, seed: int = 987_654) -> list[Scene]:
    """Compose scenes that no detector is trained on; `usual` as in `sample_layout`."""
    rng = np.random.default_rng(seed)
    return [compose(sample_layout(rng, usual=usual), glyphs, IMAGE_SIZE, rng) for _ in range(count)]
