"""Boolean masks and COCO's compressed run-length encoding, by pycocotools."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

from daam_bench.types import RLE, BoolMask
from daam_bench.types.errors import InputError


def encode(mask: BoolMask) -> RLE:
    """Encode a boolean mask of shape (height, width).

    >>> encode(np.array([[True, False]]))
    RLE(size=(1, 2), counts='011')
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise InputError(f"a mask must be a boolean array (height, width), not {mask.dtype} {mask.shape}")
    record = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = mask.shape
    return RLE((height, width), record["counts"].decode("ascii"))


def decode(rle: RLE) -> BoolMask:
    """Decode to a boolean mask of shape `rle.size`.

    >>> decode(RLE((1, 2), "011"))
    array([[ True, False]])
    """
    mask: BoolMask = coco_mask.decode(as_record(rle)).astype(np.bool_)
    return mask


def area(rle: RLE) -> int:
    """Count the true pixels of an encoded mask."""
    return int(coco_mask.area(as_record(rle)))


def as_record(rle: RLE) -> dict[str, object]:
    """Return the dict that pycocotools and COCO JSON use for a mask."""
    return {"size": list(rle.size), "counts": rle.counts}
