"""The columns of a split's Parquet file, and examples as rows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from io import BytesIO
from typing import Any

from PIL import Image

from daam_bench.types import RLE, Annotation, Example, Generation, Noun, Query, Source, Swap, Token
from daam_bench.types.masks import as_record

COLUMNS = ("id", "prompt", "image", "seed", "generation", "nouns", "tokens", "source", "annotation")
"""Every column of a split, in file order."""


def features() -> Any:
    """Return the columns' types as `datasets.Features`. Imports `datasets`."""
    from datasets import Features, List, Value
    from datasets import Image as ImageFeature

    text, whole = Value("string"), Value("int32")
    return Features(
        {
            "id": text,
            "prompt": text,
            "image": ImageFeature(),
            "seed": Value("int64"),
            "generation": {
                "model": text,
                "revision": text,
                "scheduler": text,
                "steps": whole,
                "guidance_scale": Value("float64"),
                "height": whole,
                "width": whole,
                "dtype": text,
            },
            "nouns": List(
                {
                    "text": text,
                    "lemma": text,
                    "start": whole,
                    "end": whole,
                    "coco_class": text,
                    "mask": {"size": List(whole), "counts": text},
                }
            ),
            "tokens": List({"text": text, "pos": text, "start": whole, "end": whole}),
            "source": {"caption_id": text, "swapped_from": List({"text": text, "by": text})},
            "annotation": {"by": text, "how": text, "date": text},
        }
    )


def to_row(example: Example) -> dict[str, Any]:
    """Return an example as a row, its image encoded as PNG."""
    query = example.query
    return {
        "id": query.id,
        "prompt": query.prompt,
        "image": {"bytes": png(query.image), "path": f"{query.id}.png"},
        "seed": query.seed,
        "generation": None if query.generation is None else _record(query.generation),
        "nouns": [
            _record(noun) | {"mask": None if mask is None else as_record(mask)}
            for noun, mask in zip(query.nouns, example.masks, strict=True)
        ],
        "tokens": [_record(token) for token in example.tokens],
        "source": {
            "caption_id": example.source.caption_id,
            "swapped_from": [_record(swap) for swap in example.source.swapped_from],
        },
        "annotation": None if example.annotation is None else _record(example.annotation),
    }


def from_row(row: Mapping[str, Any]) -> Example:
    """Return the example of a row; its image is decoded at first use.

    Raises:
        KeyError, TypeError, ValueError: A value is missing or of another type than `features` says.
        OSError: The image's bytes are no image.
    """
    generation, annotation, source = row["generation"], row["annotation"], row["source"]
    nouns = [
        Noun(item["text"], item["lemma"], item["start"], item["end"], item["coco_class"])
        for item in row["nouns"]
    ]
    query = Query(
        id=row["id"],
        prompt=row["prompt"],
        image=_open(row["image"]["bytes"]),
        nouns=tuple(nouns),
        seed=row["seed"],
        generation=None if generation is None else Generation(**generation),
    )
    swaps = () if source is None else tuple(Swap(**swap) for swap in source["swapped_from"] or ())
    return Example(
        query=query,
        masks=tuple(_rle(item["mask"]) for item in row["nouns"]),
        tokens=tuple(Token(**token) for token in row["tokens"]),
        source=Source(None if source is None else source["caption_id"], swaps),
        annotation=None if annotation is None else Annotation(**annotation),
    )


def png(image: Image.Image) -> bytes:
    """Encode an image losslessly, the same pixels always to the same bytes."""
    buffer = BytesIO()
    image.convert("RGB").save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _open(encoded: bytes) -> Image.Image:
    image = Image.open(BytesIO(encoded))
    return image if image.mode == "RGB" else image.convert("RGB")


def _rle(record: Mapping[str, Any] | None) -> RLE | None:
    if record is None:
        return None
    height, width = record["size"]
    return RLE((height, width), record["counts"])


def _record(value: Generation | Noun | Token | Swap | Annotation) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
