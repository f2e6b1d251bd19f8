"""The detectors as MMDetection models, and their weights as plain state dicts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from daam_bench.files.replacing import replacing_file
from daam_bench.segmenters.mmdet.method import check_installed
from daam_bench.types.errors import InputError
from tools.emoji.detectors.data import CLASSES


def load_config(folder: Path) -> Any:
    """Read the mmengine `Config` in a detector's folder.

    Raises:
        InputError: There is none, its classes are not `CLASSES`, or MMDetection is not installed.
    """
    check_installed(folder.name)
    from mmengine.config import Config

    path = folder / "config.py"
    if not path.is_file():
        raise InputError(f"no detector in {folder}: it has no config.py")
    config = Config.fromfile(path)
    if tuple(config.classes) != CLASSES:
        raise InputError(f"{path}: its classes are not the emoji world's COCO nouns: {', '.join(CLASSES)}")
    return config


def build_model(config: Any) -> Any:
    """Build a config's detector with random weights."""
    import mmdet.models  # noqa: F401
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    logging.disable(logging.WARNING)  # it logs every parameter, and that the backbone is not pretrained
    try:
        model.init_weights()
    finally:
        logging.disable(logging.NOTSET)
    return model


def save_weights(model: torch.nn.Module, path: Path) -> None:
    """Write a model's state dict with its floating-point tensors in float16."""
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    with replacing_file(path) as partial:
        save_file(state, partial)


def load_detector(folder: Path, weights: Path | None = None) -> Any:
    """Load a trained detector, ready to predict.

    Args:
        folder: Its folder, with `config.py`.
        weights: What `save_weights` wrote; by default the folder's `model.safetensors`.

    Raises:
        InputError: One of the files is missing, or MMDetection is not installed.
    """
    weights = weights or folder / "model.safetensors"
    config = load_config(folder)
    if not weights.is_file():
        raise InputError(f"no weights at {weights}: train them with `python -m tools.emoji train-detector`")
    model = build_model(config)
    model.load_state_dict(load_file(weights))
    return model.eval()
