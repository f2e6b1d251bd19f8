"""A split as COCO instances JSON, for pycocotools and the tools around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pycocotools import mask as coco_mask

from daam_bench.types import RLE, Example, Noun
from daam_bench.types.coco_classes import CATEGORY_IDS
from daam_bench.types.masks import area, as_record

FIRST_FREE_ID = 1001
"""Category id of the first noun outside COCO's 80 classes."""


class Category(NamedTuple):
    """A category of the JSON: one of COCO's 80 classes, or the lemma of a noun outside them."""

    name: str
    in_coco: bool


def category_ids(examples: Iterable[Example]) -> dict[Category, int]:
    """Number the categories: COCO's 80 classes keep their ids, other lemmas follow from 1001 in ABC order."""
    known = {Category(name, True): number for name, number in CATEGORY_IDS.items()}
    found = {_category(noun) for example in examples for noun in example.query.nouns}
    others = sorted(found - known.keys())
    return known | {category: FIRST_FREE_ID + place for place, category in enumerate(others)}


def coco_json(examples: Sequence[Example], ids: Mapping[Category, int], description: str) -> dict[str, Any]:
    """Return COCO instances JSON of a split: one annotation a depicted noun, its mask as compressed RLE.

    Args:
        examples: The examples of the split.
        ids: Category ids, as `category_ids` numbers them over the whole dataset.
        description: What `info` says of the split.
    """
    numbers = ([ids[_category(noun)] for noun in example.query.nouns] for example in examples)
    images, annotations = images_and_annotations(examples, numbers)
    return {
        "info": {"description": description},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": category.name}
            for category, number in sorted(ids.items(), key=lambda item: item[1])
        ],
    }


def images_and_annotations(
    examples: Sequence[Example], categories: Iterable[Sequence[int]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the images of examples as COCO has them, and an annotation of each non-empty mask, in order.

    Args:
        examples: The examples.
        categories: For each example, the category id of each noun.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (example, numbers) in enumerate(zip(examples, categories, strict=True), start=1):
        width, height = example.query.image.size
        name = f"{example.query.id}.png"
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for mask, category in zip(example.masks, numbers, strict=True):
            if mask is None or area(mask) == 0:
                continue
            record = {"id": len(annotations) + 1, "image_id": image_id, "category_id": category}
            annotations.append(record | instance(mask))
    return images, annotations


def instance(mask: RLE) -> dict[str, Any]:
    """Return what an annotation says of its mask: compressed RLE, area, box [x, y, width, height]."""
    return {
        "segmentation": as_record(mask),
        "area": area(mask),
        "bbox": [float(edge) for edge in coco_mask.toBbox(as_record(mask))],
        "iscrowd": 0,
    }


def _category(noun: Noun) -> Category:
    return Category(noun.coco_class, True) if noun.coco_class is not None else Category(noun.lemma, False)
