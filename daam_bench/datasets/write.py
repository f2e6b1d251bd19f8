"""Writing a dataset folder: Parquet, COCO JSON and the card, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pycocotools import mask as coco_mask

from daam_bench.datasets.card import add_configs
from daam_bench.datasets.columns import check_examples
from daam_bench.datasets.load import GENERATED_SPLITS, WITH_THE_PACKAGE
from daam_bench.datasets.row_writing import features, to_row
from daam_bench.files.folders import put_right, replacing_folder
from daam_bench.types import RLE, Example, Noun
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CATEGORY_IDS
from daam_bench.types.masks import area, as_record

FIRST_FREE_ID = 1001
"""Category id of the first noun outside COCO's 80 classes."""


def write_dataset(folder: Path, splits: Mapping[str, Sequence[Example]], card: str) -> None:
    """Write a dataset folder that `load_split` and `datasets.load_dataset` both read.

    The folder is written beside its place and renamed into it, so that it is never half-written. A dataset
    already there is replaced; files in it that are no part of a dataset (a licence, an image) are kept.

    Args:
        folder: Where the dataset goes.
        splits: Examples by split name ("coco_gen", "unreal_gen", "scenes"), each with at least one.
        card: The dataset card in Markdown. The `configs` of its YAML head are written from the splits.

    Raises:
        InputError: An example contradicts itself, a split is empty, `folder` holds something else, or it
            can't be written.
    """
    for name, examples in splits.items():
        if not examples:
            raise InputError(f"split {name!r} has no examples; leave it out or fill it")
        check_examples(examples)
    put_right(folder)
    if folder.exists() and not _may_replace(folder):
        raise InputError(f"{folder} is there and is no dataset; name another folder, or remove it first")
    try:
        with replacing_folder(folder, keep=_is_foreign) as fresh:
            _write_files(fresh, splits, card)
    except OSError as error:
        raise InputError(f"can't write {folder}: {error.strerror or error}; name another --output") from error


def _write_files(folder: Path, splits: Mapping[str, Sequence[Example]], card: str) -> None:
    schema = features(chain.from_iterable(splits.values())).arrow_schema
    ids = category_ids(chain.from_iterable(splits.values()))
    for name, examples in splits.items():
        table = pa.Table.from_pylist([to_row(example) for example in examples], schema=schema)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        if name in GENERATED_SPLITS:
            record = coco_json(examples, ids, description=f"daam-bench {name}")
            text = json.dumps(record, separators=(",", ":")) + "\n"
            (folder / f"{name}.coco.json").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(
        add_configs(card, list(splits), content_digest(folder)), encoding="utf-8"
    )


def content_digest(folder: Path) -> str:
    """Return a hash over the Parquet files of a dataset folder, as its card names it."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.parquet")):
        digest.update(path.name.encode() + path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def require_new(folder: Path, advice: str) -> None:
    """Refuse a folder that is there already, unless it is empty; `advice` says what to do."""
    put_right(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already; {advice}")


def own_folder(dataset: str) -> Path:
    """Return the folder of a dataset that may be changed in its place.

    Raises:
        InputError: It is the shipped one, one of the hub, or not there.
    """
    folder = Path(dataset).expanduser()
    put_right(folder)
    if dataset in WITH_THE_PACKAGE or not folder.is_dir():
        raise InputError(f"{dataset} can't be changed in its place; name a new folder with --output")
    return folder


def _may_replace(folder: Path) -> bool:
    return folder.is_dir() and (any(folder.glob("*.parquet")) or not any(folder.iterdir()))


def _is_foreign(name: str) -> bool:
    return name != "README.md" and not name.endswith((".parquet", ".coco.json"))


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

    `ids` are those of `category_ids` over the whole dataset.
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

    `categories` holds, for each example, the category id of each noun.
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
