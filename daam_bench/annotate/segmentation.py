"""A mask as COCO JSON may hold it: polygons, or runs, compressed or not. From others, so checked first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pycocotools import mask as coco_mask

from daam_bench.annotate.json_file import shown
from daam_bench.types import RLE, BoolMask
from daam_bench.types.errors import InputError
from daam_bench.types.masks import as_record, decode_runs, encode

Encoded = dict[str, object]
"""A mask as pycocotools has it."""

_MOST_PIECES, _MOST_POLYGONS, _MOST_CORNERS = 1_000, 10_000, 500_000
_FEWEST_CORNERS = 3


def unite(segmentations: Sequence[object], height: int, width: int) -> RLE:
    """Unite what stands under "segmentation" in every annotation of one thing, at least one, to one mask.

    Args:
        segmentations: Each a list of polygons [x, y, x, y, ...] in pixels; or an object {"size": [height,
            width], "counts": runs}, the runs in columns as a list of numbers or as COCO's compressed string.
        height: Height of the image.
        width: Its width.

    Raises:
        InputError: One is no mask or of another size, or all are empty.
    """
    if len(segmentations) > _MOST_PIECES:
        raise InputError(f"it has more than {_MOST_PIECES} annotations; draw it again")
    pieces: list[Encoded] = []
    polygons: list[object] = []
    for value in segmentations:
        if isinstance(value, dict):
            pieces.append(_encode_runs(value, height, width))
        elif isinstance(value, list) and value:
            polygons += value
        else:
            raise InputError('it has no mask under "segmentation" (a box is none); draw a mask or a polygon')
    if polygons:
        pieces.append(_fill(polygons, height, width))
    mask: BoolMask = coco_mask.decode(coco_mask.merge(pieces)) > 0
    if not mask.any():
        raise InputError("its mask is empty; draw it, or delete it if the noun was not drawn")
    return encode(mask)


def _encode_runs(value: dict[str, object], height: int, width: int) -> Encoded:
    size, counts = value.get("size"), value.get("counts")
    if size != [height, width]:
        raise InputError(
            f"the size of its mask is {shown(size)}, but the picture's [height, width] is {[height, width]}; "
            "annotate the image at its own size"
        )
    if isinstance(counts, str):
        rle = RLE((height, width), counts)
        decode_runs([rle])
        return as_record(rle)
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        raise InputError('its mask has no runs under "counts"; export it again')
    if sum(counts) != height * width:
        raise InputError("the runs of its mask do not add up to the image; export it again")
    encoded: Encoded = coco_mask.frPyObjects({"size": size, "counts": counts}, height, width)
    return encoded


def _fill(polygons: list[object], height: int, width: int) -> Encoded:
    if len(polygons) > _MOST_POLYGONS:
        raise InputError(f"it has more than {_MOST_POLYGONS} polygons; draw it again")
    checked = [_polygon(polygon, max(height, width)) for polygon in polygons]
    corners = sum(map(len, checked)) // 2
    # What filling costs grows with the outline; one that passes through every second pixel is no drawing.
    longest = 4 * (height + width) + height * width / 2
    if corners > _MOST_CORNERS or sum(map(_length, checked)) > longest:
        raise InputError("its outline is longer than any in the image; draw it again")
    encoded: Encoded = coco_mask.merge(coco_mask.frPyObjects(checked, height, width))
    return encoded


def _polygon(value: object, side: int) -> list[float]:
    if not isinstance(value, list) or len(value) < 2 * _FEWEST_CORNERS or len(value) % 2:
        raise InputError(
            "a polygon of it is no list of x, y, x, y, ... of three corners or more; draw it again"
        )
    if not all(type(number) in (int, float) and -side <= number <= 2 * side for number in value):
        raise InputError("a polygon of it has a corner far off the image; annotate at the picture's size")
    return value


def _length(polygon: list[float]) -> float:
    corners = list(zip(polygon[::2], polygon[1::2], strict=True))
    return sum(max(abs(x - u), abs(y - v)) for (u, v), (x, y) in pairwise([*corners, corners[0]]))
