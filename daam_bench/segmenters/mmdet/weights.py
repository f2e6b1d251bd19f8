"""Reading a detector's weights without running anything that a checkpoint may hold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector's weights.

    Attributes:
        tensors: Name of a parameter or buffer -> its tensor.
        classes: The class names that the checkpoint carries, in the order of its labels; None for none.
    """

    tensors: Mapping[str, Any]
    classes: tuple[str, ...] | None


class _Left:
    """Stands for whatever a checkpoint holds besides tensors and plain values; does nothing."""

    def __new__(cls, *_: object, **__: object) -> _Left:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_weights(path: Path) -> Weights:
    """Read a plain state dict (.safetensors, .pth) or a checkpoint of MMEngine's runner.

    A runner's checkpoint holds more than tensors (histories, its random state). Everything that torch's
    weights-only unpickler doesn't know is replaced by an inert stand-in: no code of a checkpoint runs.

    Raises:
        InputError: The file can't be read, or holds no state dict.
    """
    import torch

    try:
        content = _read(path)
    except Exception as error:  # a damaged file fails in every way there is
        reason = next((line for line in str(error).splitlines() if "lobal" in line), str(error)[:200])
        raise InputError(
            f"the weights {path} can't be read ({reason.strip()}); give a plain state dict (.safetensors or "
            ".pth) or a checkpoint of MMEngine's runner"
        ) from error
    tensors = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not tensors or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise InputError(f"{path} holds no weights: it is no state dict, and has none under 'state_dict'")
    return Weights(tensors, _classes(content.get("meta")))


def _read(path: Path) -> Any:
    import torch
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    # Files of before torch 1.6 are no zip archives; those must do without stand-ins.
    unknown = get_unsafe_globals_in_checkpoint(path) if _is_zip(path) else []
    with safe_globals([(_Left, name) for name in unknown]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _classes(meta: object) -> tuple[str, ...] | None:
    """Find the class names where MMDetection 3 and, before it, 2 put them."""
    if not isinstance(meta, Mapping):
        return None
    dataset = meta.get("dataset_meta")
    found = dataset if isinstance(dataset, Mapping) else meta
    names = found.get("classes", found.get("CLASSES"))
    return tuple(map(str, names)) if isinstance(names, (tuple, list)) and names else None
