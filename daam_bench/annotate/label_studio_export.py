"""Label Studio tasks of a split, and the labeling interface that shows them.

A task brings its image along, embedded, and its own labels: one a noun of its prompt. So nothing need be
served or configured, and no annotator meets the nouns of other prompts. The file's name comes along too:
Label Studio finds no image for its export to COCO without one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import Image

from daam_bench.annotate.brush import encode_brush
from daam_bench.annotate.names import file_name, numbered
from daam_bench.datasets.columns import png
from daam_bench.types import Example, Split
from daam_bench.types.masks import area, decode

BRUSH, NOT_DRAWN, IMAGE = "mask", "not_drawn", "image"
"""Names of the interface's controls, and of the image, in results."""

LABELING_CONFIG = f"""\
<View>
  <Header value="$prompt"/>
  <BrushLabels name="{BRUSH}" toName="{IMAGE}" value="$nouns"/>
  <Image name="{IMAGE}" value="$image" zoom="true" zoomControl="true" smoothing="false"/>
  <Header value="Not drawn in the image:" size="5"/>
  <Choices name="{NOT_DRAWN}" toName="{IMAGE}" choice="multiple" showInline="true" value="$nouns"/>
</View>
"""
"""The labeling interface: paint each noun with its label, or tick it as not drawn."""

_JPEG_QUALITY = 95


def tasks(split: Split) -> Iterator[dict[str, Any]]:
    """Return a task an example with nouns.

    Masks that are there come along: as an annotation, or, while they are proposals, as a prediction that the
    annotator starts from.
    """
    for example in split.examples:
        query = example.query
        if not query.nouns:
            continue
        task: dict[str, Any] = {
            "data": {
                "split": split.name,
                "id": query.id,
                "file_name": file_name(query.id),
                "prompt": query.prompt,
                "nouns": [{"value": label} for label in numbered(query.nouns)],
                "image": _embedded(query.image),
            }
        }
        if example.annotation is not None:
            result = _result(example)
            if example.annotation.is_proposal:
                task["predictions"] = [{"model_version": example.annotation.by, "result": result}]
            else:
                task["annotations"] = [{"result": result}]
        yield task


def _result(example: Example) -> list[dict[str, Any]]:
    width, height = example.query.image.size
    result: list[dict[str, Any]] = []
    not_drawn: list[str] = []
    for label, mask in zip(numbered(example.query.nouns), example.masks, strict=True):
        if mask is None or area(mask) == 0:
            not_drawn.append(label)
            continue
        result.append(
            {
                "id": f"noun-{len(result)}",
                "type": "brushlabels",
                "from_name": BRUSH,
                "to_name": IMAGE,
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {"format": "rle", "rle": encode_brush(decode(mask)), "brushlabels": [label]},
            }
        )
    if not_drawn:
        result.append(
            {
                "id": "not-drawn",
                "type": "choices",
                "from_name": NOT_DRAWN,
                "to_name": IMAGE,
                "value": {"choices": not_drawn},
            }
        )
    return result


def _embedded(image: Image.Image) -> str:
    """Return an image as a data URI: PNG, or a fine JPEG where that is smaller. It is only looked at."""
    buffer = BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    kind, data = min((("png", png(image)), ("jpeg", buffer.getvalue())), key=lambda item: len(item[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
