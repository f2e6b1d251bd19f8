"""COCO's average precision of instance masks, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from daam_bench.types.masks import area, as_record, encode
from tools.emoji.detectors.data import CLASSES, Annotated
from tools.emoji.detectors.evaluate import Instances


def average_precision(truths: Sequence[Annotated], found: Sequence[Instances]) -> dict[str, float]:
    """Return mask AP over all classes that occur.

    Args:
        truths: The annotated images.
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
        truth = COCO()
        truth.dataset = _dataset(truths)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {
        name: float(value) for name, value in zip(("ap", "ap50", "ap75"), evaluation.stats[:3], strict=True)
    }


def _dataset(truths: Sequence[Annotated]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image, truth in enumerate(truths):
        for mask, label in zip(truth.masks, truth.labels, strict=True):
            rle = encode(mask)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "segmentation": as_record(rle),
                    "area": area(rle),
                    "iscrowd": 0,
                }
            )
    return {
        "info": {},
        "images": [
            {"id": image, "height": truth.image.shape[0], "width": truth.image.shape[1]}
            for image, truth in enumerate(truths)
        ],
        "categories": [{"id": label, "name": name} for label, name in enumerate(CLASSES, start=1)],
        "annotations": annotations,
    }
