"""COCO instances JSON of a split as CVAT, FiftyOne and other annotation tools open it: a category a noun.

Every annotation is a "crowd", as a noun's mask holds all that it names ("two donuts"). It is also what keeps
masks exact: CVAT and FiftyOne write other masks as polygons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from daam_bench.annotate.names import file_name, labels
from daam_bench.datasets.coco_json import FIRST_FREE_ID, instance
from daam_bench.types import Split
from daam_bench.types.coco_classes import CATEGORY_IDS
from daam_bench.types.masks import area


def label_ids(splits: Iterable[Split]) -> dict[str, int]:
    """Number the labels of all nouns: names of COCO's 80 classes keep their ids, others follow from 1001."""
    found = {label for split in splits for example in split.examples for label in labels(example.query.nouns)}
    others = sorted(found - CATEGORY_IDS.keys())
    known = {name: number for name, number in CATEGORY_IDS.items() if name in found}
    return known | {label: FIRST_FREE_ID + place for place, label in enumerate(others)}


def coco_record(split: Split, ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the JSON of a split: one annotation a drawn noun, with the noun's index as an attribute.

    Args:
        split: The split.
        ids: Category id of every label, as `label_ids` numbers them.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    classes: dict[str, str] = {}
    for image_id, example in enumerate(split.examples, start=1):
        query = example.query
        images.append(
            {
                "id": image_id,
                "file_name": file_name(query.id),
                "width": query.image.width,
                "height": query.image.height,
                "prompt": query.prompt,
            }
        )
        names = labels(query.nouns)
        for index, (noun, mask) in enumerate(zip(query.nouns, example.masks, strict=True)):
            classes.setdefault(names[index], noun.coco_class or "")
            if mask is None or area(mask) == 0:
                continue
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": ids[names[index]]}
                | instance(mask)
                | {"iscrowd": 1, "attributes": {"noun": index, "text": noun.text}}
            )
    return {
        "info": {"description": f"daam-bench {split.name}", "split": split.name},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": label, "supercategory": classes.get(label, "")}
            for label, number in ids.items()
        ],
    }
