"""How well a detector sees: on composited scenes, with COCO's average precision, and on a dataset."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import instance
from daam_bench.emoji.world_nouns import NOUNS
from daam_bench.evaluation import evaluate
from daam_bench.scoring.iou import iou
from daam_bench.segmenters.mmdet.detector_files import WEIGHTS, shipped_config
from daam_bench.segmenters.mmdet.method import Mmdet
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import BoolMask
from daam_bench.types.masks import as_record, encode
from tools.emoji.detectors.models import (
    CLASSES,
    AnnotatedScene,
    annotate,
    enlarge,
    held_out,
    load_config,
    load_detector,
    sample_info,
)
from tools.emoji.scenes import Glyphs, Scene

SCORE = 0.5
"""Score from which an instance counts, as in the benchmark."""

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Detections:
    """Masks (instances, height, width) in an image, their index in `CLASSES`, their scores in [0, 1]."""

    masks: BoolMask
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]

    def union(self, noun: str) -> BoolMask:
        """Return the union of a noun's instances of score `SCORE` or more; empty for a noun it can't see."""
        seen = self.scores >= SCORE
        union: BoolMask = self.masks[seen & (np.array(CLASSES)[self.labels] == noun)].any(axis=0)
        return union


@dataclass(frozen=True, slots=True)
class NounResult:
    """How well a noun, on a usual background or not, was segmented: anything found, IoU in [0, 1]."""

    noun: str
    usual: bool
    found: bool
    iou: float


@torch.no_grad()
def detect(model: Any, images: Sequence[NDArray[np.uint8]], side: int) -> list[Detections]:
    """Find the instances in uint8 RGB images of shape (height, width, 3), enlarged to `side` pixels."""
    from mmdet.structures import DetDataSample

    from daam_bench.segmenters.mmdet.detector import pasting_anywhere

    found = []
    for first in range(0, len(images), _BATCH):
        pixels = np.stack(images[first : first + _BATCH])
        inputs = list(enlarge(torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), side))
        samples = [
            DetDataSample(metainfo=sample_info(index, image, side)) for index, image in enumerate(pixels)
        ]
        with pasting_anywhere():
            samples = model.test_step({"inputs": inputs, "data_samples": samples})
        for instances in (sample.pred_instances for sample in samples):
            masks = instances.masks.numpy().astype(np.bool_).reshape(-1, *pixels.shape[1:3])
            found.append(Detections(masks, instances.labels.numpy(), instances.scores.numpy()))
    return found


def score_nouns(scenes: Sequence[Scene], found: Sequence[Detections]) -> list[NounResult]:
    """Compare the union of each noun's instances with the ground truth, for all visible nouns."""
    pairs = []
    for scene, instances in zip(scenes, found, strict=True):
        for group, ground_truth in zip(scene.layout.groups, scene.masks, strict=True):
            if ground_truth.any():
                union = instances.union(group.noun)
                usual = scene.layout.background in NOUNS[group.noun].usual
                value = iou(union, ground_truth)
                pairs.append(NounResult(group.noun, usual, bool(union.any()), value))
    return pairs


def miou_80(pairs: Sequence[NounResult]) -> float:
    """Return the mean IoU over the pairs whose noun is a COCO class."""
    return float(np.mean([pair.iou for pair in pairs if pair.noun in CLASSES]))


def average_precision(scenes: Sequence[AnnotatedScene], found: Sequence[Detections]) -> dict[str, float]:
    """Return mask AP in [0, 1] of detections at every score: mean over IoU 0.50 to 0.95, at 0.50, at 0.75."""
    detections = [
        {
            "image_id": image,
            "category_id": int(label) + 1,
            "segmentation": as_record(encode(mask)),
            "score": float(score),
        }
        for image, instances in enumerate(found)
        for mask, label, score in zip(instances.masks, instances.labels, instances.scores, strict=True)
    ]
    if not detections:
        return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = _dataset(scenes)
        ground_truth.createIndex()
        evaluation = COCOeval(ground_truth, ground_truth.loadRes(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {
        name: float(value) for name, value in zip(("ap", "ap50", "ap75"), evaluation.stats[:3], strict=True)
    }


def _dataset(scenes: Sequence[AnnotatedScene]) -> dict[str, Any]:
    annotated = [
        {"image_id": image, "category_id": int(label) + 1, **instance(encode(mask))}
        for image, scene in enumerate(scenes)
        for mask, label in zip(scene.masks, scene.labels, strict=True)
    ]
    return {
        "info": {},
        "images": [
            {"id": image, "height": scene.image.shape[0], "width": scene.image.shape[1]}
            for image, scene in enumerate(scenes)
        ],
        "categories": [{"id": label, "name": name} for label, name in enumerate(CLASSES, start=1)],
        "annotations": [{"id": number} | record for number, record in enumerate(annotated, start=1)],
    }


def evaluate_named_detector(
    *, name: str, checkpoint: Path | None, scenes: int, dataset: str, output: Path | None, font: Path
) -> None:
    """Evaluate one of `NAMES`, print its figures in percent, and write them as JSON if asked to.

    It sees `scenes` new scenes of each kind, and the splits of a dataset of the emoji world.
    """
    folder = shipped_config(name).parent
    weights = checkpoint or folder / WEIGHTS
    figures: dict[str, Mapping[str, float | None]] = {}
    with computing_with():
        model, side = load_detector(folder, weights), load_config(folder).test_scale[0]
        glyphs = Glyphs(font)
        for place, usual in (("fresh scenes, usual backgrounds", True), ("fresh scenes", None)):
            shown = held_out(scenes, glyphs, usual=usual, seed=13_579)
            found = detect(model, [scene.image for scene in shown], side)
            precision = average_precision([annotate(scene) for scene in shown], found)
            figures[place] = _summary(score_nouns(shown, found)) | precision
        method = Mmdet(config=str(folder / "config.py"), checkpoint=str(weights), device="cpu")
        for split in ("scenes", "coco_gen", "unreal_gen"):
            scores = evaluate(method, load_split(dataset, split))[None]
            figures[split] = {of: getattr(scores, of) for of in ("miou_80", "miou_inf", "coverage")}
    for place, values in figures.items():
        text = "  ".join(
            f"{measure} {100 * value:.1f}" for measure, value in values.items() if value is not None
        )
        print(f"{place:<34}{text}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures, indent=1) + "\n")


def _summary(pairs: Sequence[NounResult]) -> dict[str, float]:
    usual = [pair for pair in pairs if pair.usual]
    unusual = [pair for pair in pairs if not pair.usual]
    summary = {
        "miou_80": miou_80(pairs),
        "miou_inf": float(np.mean([pair.iou for pair in pairs])),
        "coverage": float(np.mean([pair.found for pair in pairs])),
    }
    if unusual:
        summary["miou_80_usual"] = miou_80(usual)
        summary["miou_80_unusual"] = miou_80(unusual)
    return summary
