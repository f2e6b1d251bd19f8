"""The figures of a trained detector: on composited scenes and on a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daam_bench.datasets.load import load_split
from daam_bench.scoring.iou import iou
from daam_bench.segmenters.mmdet.method import Mmdet
from daam_bench.types import Split
from daam_bench.types.masks import decode
from tools.emoji.detectors.data import annotate
from tools.emoji.detectors.evaluate import Pair, detect, held_out, miou_80, score_nouns
from tools.emoji.detectors.model import load_config, load_detector
from tools.emoji.detectors.precision import average_precision
from tools.emoji.glyphs import Glyphs


def evaluate_detector(
    folder: Path, *, weights: Path | None = None, font: Path, scenes: int = 300, dataset: str = "emoji"
) -> dict[str, Mapping[str, float]]:
    """Evaluate a detector on fresh scenes and on the splits of a dataset.

    Args:
        folder: Its folder, with `config.py`.
        weights: Its weights; by default the folder's `model.safetensors`.
        font: Path of NotoColorEmoji.ttf.
        scenes: Number of fresh scenes, of each kind.
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
        drawn = held_out(scenes, glyphs, usual=usual, seed=13_579)
        found = detect(model, [scene.image for scene in drawn], config.test_scale[0])
        precision = average_precision([annotate(scene) for scene in drawn], found)
        figures[name] = {**_summary(score_nouns(drawn, found)), **precision}
    method = Mmdet(config=str(folder / "config.py"), checkpoint=str(weights), device="cpu")
    for name in ("scenes", "coco_gen", "unreal_gen"):
        figures[name] = _split_figures(method, load_split(dataset, name))
    return figures


def _summary(pairs: Sequence[Pair]) -> dict[str, float]:
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
    all_ious, coco_ious, found = [], [], []
    for example, masks in zip(split.examples, method.segment(split.queries()), strict=True):
        for noun, truth, mask in zip(example.query.nouns, example.masks, masks, strict=True):
            if truth is None:
                continue
            value = 0.0 if mask is None else iou(mask, decode(truth))
            all_ious.append(value)
            found.append(mask is not None and bool(mask.any()))
            if noun.coco_class is not None:
                coco_ious.append(value)
    return {
        "miou_80": float(np.mean(coco_ious)),
        "miou_inf": float(np.mean(all_ious)),
        "coverage": float(np.mean(found)),
    }


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Lay out what `evaluate_detector` returns, in percent."""
    lines = []
    for place, values in figures.items():
        text = "  ".join(f"{name} {100 * value:.1f}" for name, value in values.items())
        lines.append(f"{place:<34}{text}")
    return "\n".join(lines)
