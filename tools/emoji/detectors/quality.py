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

from daam_bench.datasets.coco_json import instance
from daam_bench.datasets.load import load_split
from daam_bench.emoji.nouns import NOUNS
from daam_bench.scoring.iou import iou
from daam_bench.segmenters.mmdet.detector_files import shipped_config
from daam_bench.segmenters.mmdet.method import Mmdet
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import BoolMask, Split
from daam_bench.types.masks import as_record, decode, encode
from tools.emoji.detectors.data import CLASSES, AnnotatedScene, annotate, enlarge, held_out
from tools.emoji.detectors.models import load_config, load_detector
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Scene

SCORE = 0.5
"""Score from which an instance counts, as in the benchmark."""

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Detections:
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
class NounResult:
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
def detect(model: Any, images: Sequence[NDArray[np.uint8]], side: int) -> list[Detections]:
    """Find the instances in uint8 RGB images of shape (height, width, 3), enlarged to `side` pixels."""
    found = []
    for first in range(0, len(images), _BATCH):
        pixels = np.stack(images[first : first + _BATCH])
        inputs = enlarge(torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), side)
        for sample in _predict(model, inputs, pixels.shape[1:3]):
            instances = sample.pred_instances
            found.append(
                Detections(
                    instances.masks.numpy().astype(np.bool_).reshape(-1, *pixels.shape[1:3]),
                    instances.labels.numpy(),
                    instances.scores.numpy(),
                )
            )
    return found


def _predict(model: Any, inputs: torch.Tensor, shape: tuple[int, ...]) -> list[Any]:
    from mmdet.structures import DetDataSample

    from daam_bench.segmenters.mmdet.detector import pasting_anywhere

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
    """Return mask AP over all classes that occur.

    Args:
        scenes: The annotated images.
        found: What a detector sees in each, at every score.

    Returns:
        `ap` (mean over IoU 0.50 to 0.95), `ap50` and `ap75`, each in [0, 1].
    """
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
    """Evaluate one of `NAMES`, print its figures in percent, and write them as JSON if asked to."""
    with computing_with():
        figures = evaluate_detector(
            shipped_config(name).parent, weights=checkpoint, font=font, scenes=scenes, dataset=dataset
        )
    for place, values in figures.items():
        text = "  ".join(f"{measure} {100 * value:.1f}" for measure, value in values.items())
        print(f"{place:<34}{text}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures, indent=1) + "\n")


def evaluate_detector(
    folder: Path, *, weights: Path | None = None, font: Path, scenes: int = 300, dataset: str = "emoji"
) -> dict[str, Mapping[str, float]]:
    """Evaluate a detector on new scenes and on the splits of a dataset.

    Args:
        folder: Its folder, with `config.py`.
        weights: Its weights; by default the folder's `model.safetensors`.
        font: Path of NotoColorEmoji.ttf.
        scenes: Number of new scenes, of each kind.
        dataset: A dataset of the emoji world with the splits `scenes`, `coco_gen` and `unreal_gen`.

    Returns:
        Figures by name, in [0, 1], for "fresh scenes, usual backgrounds" (what it was trained on), "fresh
        scenes" (any background in some) and each split.
    """
    weights = weights or folder / "model.safetensors"
    config = load_config(folder)
    model = load_detector(folder, weights)
    glyphs = Glyphs(font)
    figures: dict[str, Mapping[str, float]] = {}
    for name, usual in (("fresh scenes, usual backgrounds", True), ("fresh scenes", None)):
        scenes_shown = held_out(scenes, glyphs, usual=usual, seed=13_579)
        found = detect(model, [scene.image for scene in scenes_shown], config.test_scale[0])
        precision = average_precision([annotate(scene) for scene in scenes_shown], found)
        figures[name] = {**_summary(score_nouns(scenes_shown, found)), **precision}
    method = Mmdet(config=str(folder / "config.py"), checkpoint=str(weights), device="cpu")
    for name in ("scenes", "coco_gen", "unreal_gen"):
        figures[name] = _split_figures(method, load_split(dataset, name))
    return figures


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


def _split_figures(method: Mmdet, split: Split) -> dict[str, float]:
    """Score a split as the benchmark does, without its intervals."""
    results = []
    for example, masks in zip(split.examples, method.segment(split.queries()), strict=True):
        for noun, ground_truth, mask in zip(example.query.nouns, example.masks, masks, strict=True):
            if ground_truth is not None:
                value = 0.0 if mask is None else iou(mask, decode(ground_truth))
                results.append(NounResult(noun.lemma, True, mask is not None and bool(mask.any()), value))
    return _summary(results)
