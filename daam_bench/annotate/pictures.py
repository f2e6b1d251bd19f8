"""Reading images that nobody vouches for: looked at before they are decoded."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from daam_bench.types import BoolMask
from daam_bench.types.errors import InputError

MAX_FILE_BYTES = 64 << 20
"""Largest image file that is read."""

MAX_PIXELS = 1 << 26
"""Most pixels of an image that is decoded: 8192 x 8192."""

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error, zlib.error)


def read_png(path: Path) -> Image.Image:
    """Read and decode a PNG.

    Raises:
        InputError: It can't be read, is no PNG or a damaged one, or is larger than `MAX_FILE_BYTES` or
            `MAX_PIXELS`. The text says why, not which file it was.
    """
    if not path.is_file():
        raise InputError("there is no such file")
    try:
        with path.open("rb") as file:
            encoded = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"it can't be read ({error.strerror})") from None
    if len(encoded) > MAX_FILE_BYTES:
        raise InputError(f"it has more than {MAX_FILE_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(BytesIO(encoded), formats=["PNG"])
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"its {image.width}x{image.height} pixels are more than {MAX_PIXELS}")
            image.load()
    except (InputError, Image.DecompressionBombError) as error:
        raise InputError(str(error)) from None
    except _BROKEN:
        raise InputError("it is no whole PNG") from None
    return image


def alpha_mask(image: Image.Image) -> BoolMask:
    """Return where an image isn't wholly transparent, bool of shape (height, width).

    Raises:
        InputError: The image has no alpha channel.
    """
    if not image.has_transparency_data:
        raise InputError("it has no alpha channel, which is where the mask belongs")
    mask: BoolMask = np.asarray(image.convert("RGBA"))[:, :, 3] > 0
    return mask
