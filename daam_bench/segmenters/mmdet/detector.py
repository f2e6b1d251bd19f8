"""A detector of MMDetection: built from its config and weights, images in, instances out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.models.roi_heads.mask_heads import fcn_mask_head
from mmdet.registry import DATASETS, MODELS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from PIL import Image

from daam_bench.segmenters.closed_vocabulary import Instances
from daam_bench.segmenters.mmdet.detector_files import Weights
from daam_bench.types.errors import InputError

MAX_PIXELS = 2_000_000
"""Pixels that are looked at at once: three images of 800 x 800. More gains nothing and costs memory."""

logger = logging.getLogger(__name__)


class Detector:
    """An instance segmentation model of MMDetection, from a config file and weights (None: random ones).

    The names of its labels are `classes`.

    Raises:
        InputError: The config or the weights don't make a detector.
    """

    def __init__(self, config: Path, weights: Weights | None, device: str) -> None:
        settings = read_config(config)
        self.classes = _class_names(settings, weights, config)
        self._pipeline = Compose(settings.steps)
        self._model = _build(settings.model, config)
        if weights is None:
            self._model.init_weights()
        else:
            _load(self._model, weights, config)
        self._model.to(device).eval()

    def detect(self, images: Sequence[Image.Image], score: float, batch_size: int) -> list[Instances]:
        """Find the instances of at least a score in images of any size, at most `batch_size` at once.

        Only images that the model sees at the same size share a batch, for otherwise padding would let one
        change the result of another.
        """
        with _single_threaded_opencv():
            bgr = [np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1]) for image in images]
            prepared: list[Any] = [self._pipeline({"img": pixels, "img_id": 0}) for pixels in bgr]
        found: dict[int, Instances] = {}
        for places in _batches([item["inputs"].shape for item in prepared], batch_size):
            data = {key: [prepared[place][key] for place in places] for key in ("inputs", "data_samples")}
            with torch.inference_mode(), pasting_anywhere(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="torch.meshgrid")  # meant for MMDetection's authors
                samples = self._model.test_step(data)
            found.update(zip(places, (_instances(sample, score) for sample in samples), strict=True))
        return [found[place] for place in range(len(images))]


def _build(model: Any, path: Path) -> Any:
    try:
        return revert_sync_batchnorm(MODELS.build(model))
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError, ImportError) as error:
        raise InputError(f"no model can be built from the config {path}: {error}") from error


def _load(model: Any, weights: Weights, config: Path) -> None:
    try:
        missing, unexpected = model.load_state_dict(weights.tensors, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"the weights don't fit the config {config} ({reason}); name theirs with --config"
        ) from error
    lacking = set(missing) & {name for name, _ in model.named_parameters()}
    if lacking:
        raise InputError(
            f"the weights don't fit the config {config}: {len(lacking)} parameters are missing "
            f"({min(lacking)} ...); name theirs with --config"
        )
    if unexpected:
        logger.warning(
            "%d tensors of the weights have no place in the model (%s ...)", len(unexpected), unexpected[0]
        )


def _class_names(settings: DetectorConfig, weights: Weights | None, path: Path) -> tuple[str, ...]:
    """Return the class names that the weights carry, else the config's."""
    names = (weights and weights.classes) or settings.classes
    if not names:
        raise InputError(
            f"neither the config {path} nor its weights name the classes; add `metainfo` with `classes`"
        )
    if settings.counts and len(names) not in settings.counts:
        raise InputError(
            f"{len(names)} classes are named for the config {path}, but its model tells "
            f"{max(settings.counts)} apart; name them in its `metainfo`"
        )
    return names


def _batches(shapes: Sequence[tuple[int, ...]], batch_size: int) -> Iterator[list[int]]:
    """Part images of shapes (channels, height, width) into batches of one shape, as lists of places."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(place)
    for (_, height, width), places in groups.items():
        size = max(1, min(batch_size, MAX_PIXELS // (height * width)))
        yield from (places[start : start + size] for start in range(0, len(places), size))


def _instances(sample: Any, score: float) -> Instances:
    predicted = getattr(sample, "pred_instances", None)
    if predicted is None or "masks" not in predicted:
        raise InputError("the detector gives no masks of instances; take a config for instance segmentation")
    kept = predicted.scores >= score
    return Instances(
        predicted.labels[kept].cpu().numpy(), predicted.masks[kept].cpu().numpy().astype(np.bool_)
    )


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from threads of its own, which get into the way of torch's."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def pasting_anywhere() -> Iterator[None]:
    """Let MMDetection paste masks of boxes that lie wholly outside the image: nothing is seen of them.

    On a CPU it pastes each mask into the part of the image around its box (`skip_empty`), and fails if
    there is no such part. QueryInst gives such boxes.
    """
    original = fcn_mask_head._do_paste_mask

    def paste(masks: Any, boxes: Any, img_h: int, img_w: int, skip_empty: bool = True) -> Any:
        return original(masks, boxes, img_h, img_w, skip_empty=skip_empty and _meets(boxes, img_h, img_w))

    fcn_mask_head._do_paste_mask = paste
    try:
        yield
    finally:
        fcn_mask_head._do_paste_mask = original


def _meets(boxes: Any, height: int, width: int) -> bool:
    """Whether boxes (x0, y0, x1, y1), grown by a pixel as in the pasting, meet the image together."""
    left, top = (boxes[:, :2].min(dim=0).values.floor() - 1).clamp(min=0).tolist()
    right, bottom = (boxes[:, 2:].max(dim=0).values.ceil() + 1).tolist()
    return bool(left < min(right, width) and top < min(bottom, height))


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What a config says of a detector.

    Its model is without pretrained weights of the backbone: the detector's own replace them. The steps of the
    test pipeline take an image in memory. `counts` are all numbers of classes that the parts are made for.
    """

    model: Any
    steps: list[Any]
    classes: tuple[str, ...] | None
    counts: frozenset[int]


def read_config(path: Path) -> DetectorConfig:
    """Read a config. A config is a Python file, which runs.

    Raises:
        InputError: It can't be read, or lacks a model or a test pipeline.
    """
    try:
        config = Config.fromfile(path)
    except Exception as error:  # a Python file fails in every way there is
        raise InputError(f"the config {path} can't be read: {type(error).__name__}: {error}") from error
    if "model" not in config:
        raise InputError(f"the config {path} has no `model`; give a config of MMDetection")
    init_default_scope(config.get("default_scope") or "mmdet")
    return DetectorConfig(
        ConfigDict(_without_pretrained(config.model.to_dict())),
        _steps(config, path),
        _named_classes(config),
        frozenset(_class_counts(config.model)),
    )


def _without_pretrained(node: Any) -> Any:
    if isinstance(node, (list, tuple)):
        return type(node)(_without_pretrained(item) for item in node)
    if not isinstance(node, dict):
        return node
    kept = {key: _without_pretrained(value) for key, value in node.items() if key != "pretrained"}
    init: Any = kept.get("init_cfg")
    if isinstance(init, dict) and init.get("type") == "Pretrained":
        kept["init_cfg"] = None
    return kept


def _steps(config: Any, path: Path) -> list[Any]:
    """Return the test pipeline; that of a config with nothing but `test_scale` resizes images to it."""
    if "test_dataloader" in config:
        given = list(get_test_pipeline_cfg(config))
    elif "test_pipeline" in config:
        given = list(config.test_pipeline)
    elif "test_scale" in config:
        resize = {"type": "Resize", "scale": tuple(config.test_scale), "keep_ratio": True}
        given = [resize, {"type": "PackDetInputs"}]
    else:
        raise InputError(
            f"the config {path} has neither `test_dataloader` nor `test_pipeline` nor `test_scale`"
        )
    seen = [step for step in given if not step["type"].rpartition(".")[2].startswith("Load")]
    return [{"type": "mmdet.LoadImageFromNDArray"}, *seen]


def _named_classes(config: Any) -> tuple[str, ...] | None:
    """Find the class names: given for the test set, given at all, or those of the test set's kind."""
    dataset = config.get("test_dataloader", {}).get("dataset", {})
    while "dataset" in dataset:
        dataset = dataset["dataset"]
    kind = DATASETS.get(dataset["type"]) if "type" in dataset else None
    for info in (dataset.get("metainfo"), config.get("metainfo"), getattr(kind, "METAINFO", None)):
        if info and "classes" in info:
            if isinstance(name := info["classes"], str):
                raise InputError(
                    f"the config's `metainfo` has the text {name!r} as its classes; a tuple of one needs "
                    f"a comma: classes=({name!r},)"
                )
            return tuple(map(str, info["classes"]))
    return None


def _class_counts(node: Any) -> Iterator[int]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("num_classes", "num_things_classes") and isinstance(value, int):
                yield value
            else:
                yield from _class_counts(value)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _class_counts(item)
