"""Writing a dataset folder: Parquet, COCO JSON and the card, all of it or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from daam_bench.datasets.card import add_configs
from daam_bench.datasets.coco_json import category_ids, coco_json
from daam_bench.datasets.columns import check_examples, features, to_row
from daam_bench.datasets.load import GENERATED_SPLITS
from daam_bench.files.replacing import replacing_folder
from daam_bench.types import Example
from daam_bench.types.errors import InputError


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
    if folder.exists() and not _may_replace(folder):
        raise InputError(f"{folder} is there and is no dataset; name another folder, or remove it first")
    try:
        with replacing_folder(folder, keep=_is_foreign) as fresh:
            _write_files(fresh, splits, card)
    except OSError as error:
        raise InputError(f"can't write {folder}: {error.strerror or error}; name another --output") from error


def _write_files(folder: Path, splits: Mapping[str, Sequence[Example]], card: str) -> None:
    schema = features().arrow_schema
    ids = category_ids(chain.from_iterable(splits.values()))
    for name, examples in splits.items():
        table = pa.Table.from_pylist([to_row(example) for example in examples], schema=schema)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        if name in GENERATED_SPLITS:
            record = coco_json(examples, ids, description=f"daam-bench {name}")
            _write_json(folder / f"{name}.coco.json", record)
    (folder / "README.md").write_text(add_configs(card, list(splits)), encoding="utf-8")


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


def _may_replace(folder: Path) -> bool:
    return folder.is_dir() and (any(folder.glob("*.parquet")) or not any(folder.iterdir()))


def _is_foreign(name: str) -> bool:
    return name != "README.md" and not name.endswith((".parquet", ".coco.json"))
