"""Reading one noun's mask or heat map from a file that any program may have written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from daam_bench.files.heat_maps import MAX_SIDE
from daam_bench.types import BoolMask
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

SUFFIXES = (".png", ".npy")
"""What a file's name may end with."""

_MODES = ("1", "L", "P", "I", "I;16")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def read_mask_file(path: Path, size: tuple[int, int]) -> BoolMask | HeatMap:
    """Read a mask (.png, or .npy of booleans) or a heat map (.npy of floats).

    Args:
        path: The file.
        size: (height, width) of the noun's image. A mask must have it; a heat map may have any.

    Raises:
        InputError: The file can't be read, or holds neither. The line names it.
    """
    return _read_png(path, size) if path.suffix == ".png" else _read_npy(path, size)


def _read_png(path: Path, size: tuple[int, int]) -> BoolMask:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            _check_size(path, (image.height, image.width), size)
            if image.mode not in _MODES:
                raise InputError(f"{path}: an image of mode {image.mode}; a mask has one channel")
            values = np.asarray(image)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"{path} can't be read as PNG: {error}") from None
    if len(np.setdiff1d(values, [0])) > 1:
        raise InputError(
            f"{path}: more than one value besides 0; a mask has one (save a heat map as .npy of floats)"
        )
    mask: BoolMask = values != 0
    return mask


def _read_npy(path: Path, size: tuple[int, int]) -> BoolMask | HeatMap:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise InputError(f"{path} can't be read as .npy: {error}") from None
    if values.dtype == np.bool_:
        _check_size(path, values.shape, size)
        return np.array(values)
    if any(side > MAX_SIDE for side in values.shape):
        raise InputError(f"{path}: a heat map of {values.shape}; {MAX_SIDE} a side at most, resize it")
    try:
        return HeatMap(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_size(path: Path, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if found != size:
        raise InputError(
            f"{path}: a mask of (height, width) {found} for an image of {size}; resize it to the picture"
        )
