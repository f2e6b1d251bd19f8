"""What a detector sees in images whose objects are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daam_bench.emoji.nouns import NOUNS
from daam_bench.types import BoolMask
from tools.emoji.detectors.data import CLASSES, IMAGE_SIZE, enlarge
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Scene, compose, sample_layout

SCORE = 0.5
"""Score from which an instance counts, as in the benchmark."""

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Instances:
    """What a detector sees in an image.

    Attributes:
        masks: bool of shape (instances, height, width).
        labels: Index in `CLASSES` of each instance.
        scores: Score of each instance in [0, 1].
    """

    masks: BoolMask
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]

    def union(self, noun: str) -> BoolMask:
        """Return the union of a noun's instances of score `SCORE` or more; empty for a noun it can't see."""
        seen = self.scores >= SCORE
        union: BoolMask = self.masks[seen & (np.array(CLASSES)[self.labels] == noun)].any(axis=0)
        return union


@dataclass(frozen=True, slots=True)
class Pair:
    """How well one noun of a scene was segmented.

    Attributes:
        noun: Name of the noun.
        usual: Whether it is on a usual background.
        found: Whether anything of it was found.
        iou: Intersection over union in [0, 1].
    """

    noun: str
    usual: bool
    found: bool
    iou: float


@torch.no_grad()
def detect(model: Any, images: Sequence[NDArray[np.uint8]], side: int) -> list[Instances]:
    """Find the instances in uint8 RGB images of shape (height, width, 3), enlarged to `side` pixels."""
    found = []
    for first in range(0, len(images), _BATCH):
        pixels = np.stack(images[first : first + _BATCH])
        inputs = enlarge(torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), side)
        for sample in _predict(model, inputs, pixels.shape[1:3]):
            instances = sample.pred_instances
            found.append(
                Instances(
                    instances.masks.numpy().astype(np.bool_).reshape(-1, *pixels.shape[1:3]),
                    instances.labels.numpy(),
                    instances.scores.numpy(),
                )
            )
    return found


def _predict(model: Any, inputs: torch.Tensor, shape: tuple[int, ...]) -> list[Any]:
    from mmdet.structures import DetDataSample

    from daam_bench.segmenters.mmdet.paste import pasting_anywhere

    height, width = inputs.shape[-2:]
    scale = (width / shape[1], height / shape[0])
    samples = [
        DetDataSample(
            metainfo={
                "img_id": index,
                "img_shape": (height, width),
                "ori_shape": shape,
                "scale_factor": scale,
            }
        )
        for index in range(len(inputs))
    ]
    with pasting_anywhere():
        predictions: list[Any] = model.test_step({"inputs": list(inputs), "data_samples": samples})
    return predictions


def held_out(count: int, glyphs: Glyphs, *, usual: bool | None = None, seed: int = 987_654) -> list[Scene]:
    """Compose scenes that no detector is trained on; `usual` as in `sample_layout`."""
    rng = np.random.default_rng(seed)
    return [compose(sample_layout(rng, usual=usual), glyphs, IMAGE_SIZE, rng) for _ in range(count)]


def score_nouns(scenes: Sequence[Scene], found: Sequence[Instances]) -> list[Pair]:
    """Compare the union of each noun's instances with the ground truth, for all visible nouns."""
    pairs = []
    for scene, instances in zip(scenes, found, strict=True):
        for group, truth in zip(scene.layout.groups, scene.masks, strict=True):
            union = instances.union(group.noun)
            if truth.any():
                usual = scene.layout.background in NOUNS[group.noun].usual
                iou = float((truth & union).sum() / (truth | union).sum())
                pairs.append(Pair(group.noun, usual, bool(union.any()), iou))
    return pairs


def miou_80(pairs: Sequence[Pair]) -> float:
    """Return the mean IoU over the pairs whose noun is a COCO class."""
    return float(np.mean([pair.iou for pair in pairs if pair.noun in CLASSES]))
