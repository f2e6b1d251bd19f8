"""Reading an MMDetection config: the model, how it sees images, and its classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.registry import DATASETS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What a config says of a detector.

    Attributes:
        model: The model, without pretrained weights of its backbone: the detector's own replace them.
        steps: The test pipeline, for an image in memory in place of a file, and without annotations.
        classes: The class names in the order of the labels; None if the config doesn't name them.
        counts: Every number of classes that the model's parts are made for.
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
        _class_names(config),
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


def _class_names(config: Any) -> tuple[str, ...] | None:
    """Find the class names: given for the test set, given at all, or those of the test set's kind."""
    dataset = config.get("test_dataloader", {}).get("dataset", {})
    while "dataset" in dataset:
        dataset = dataset["dataset"]
    kind = DATASETS.get(dataset["type"]) if "type" in dataset else None
    for info in (dataset.get("metainfo"), config.get("metainfo"), getattr(kind, "METAINFO", None)):
        if info and "classes" in info:
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
