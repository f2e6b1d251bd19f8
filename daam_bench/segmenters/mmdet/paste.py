"""MMDetection's pasting of masks, for boxes outside the image too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmdet.models.roi_heads.mask_heads import fcn_mask_head


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
