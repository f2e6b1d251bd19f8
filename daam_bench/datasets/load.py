"""Loading a split from its Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from daam_bench.datasets.check import check_example, check_ids
from daam_bench.datasets.columns import COLUMNS, from_row
from daam_bench.datasets.fingerprint import fingerprint
from daam_bench.datasets.locate import hub_commit, locate
from daam_bench.types import Example, Split
from daam_bench.types.errors import InputError

GENERATED_SPLITS = ("coco_gen", "unreal_gen")
"""The splits whose images a model generated, and whose masks are also written as COCO JSON."""


def load_split(dataset: str | Path, split: str | None = None) -> Split:
    """Load one split of a dataset. Images are decoded at first use.

    Args:
        dataset: "emoji" for the shipped one, a folder, or a hub id ("owner/name", "owner/name@revision").
        split: "coco_gen", "unreal_gen" or "scenes". Without it the error says which splits there are.

    Raises:
        InputError: The dataset or split is not there, or what is there is no split: the line says which
            column, example or noun is wrong.
    """
    folder = locate(str(dataset))
    if split is None:
        raise InputError(
            f"a dataset is loaded split by split: load_split({str(dataset)!r}, NAME); {folder} holds "
            f"{', '.join(split_names(folder)) or 'no split'}"
        )
    table = _read(folder, split)
    rows = table.to_pylist()
    examples = tuple(_example(row, place, folder / f"{split}.parquet") for place, row in enumerate(rows))
    check_ids(examples)
    return Split(
        dataset=str(dataset),
        name=split,
        examples=examples,
        fingerprint=fingerprint(examples, [row["image"]["bytes"] for row in rows]),
        model=_model(table) or _model_of_others(folder, split),
        revision=hub_commit(folder),
    )


def split_names(folder: Path) -> list[str]:
    """Return the names of the splits that a dataset folder holds: the generated ones, then the others."""
    names = sorted(path.stem for path in folder.glob("*.parquet"))
    return sorted(names, key=lambda name: name not in GENERATED_SPLITS)


def _read(folder: Path, split: str) -> pa.Table:
    path = folder / f"{split}.parquet"
    if not path.is_file():
        found = split_names(folder)
        if not found:
            raise InputError(
                f"{folder} is no dataset: looked for {path.name} there and found no .parquet file"
            )
        raise InputError(f"no split {split!r} in {folder}; it holds {', '.join(found)}")
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} can't be read as Parquet ({_line(error)}); write or download it again"
        ) from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; a split has {', '.join(COLUMNS)}")
    return table


def _example(row: dict[str, Any], place: int, path: Path) -> Example:
    try:
        example = from_row(row)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            f"{path}, row {place + 1} (id {row['id']!r}) is no example: "
            f"{type(error).__name__}: {_line(error)}"
        ) from error
    check_example(example)
    return example


def _model(table: pa.Table) -> str | None:
    for record in table.column("generation").to_pylist():
        if record is not None:
            return str(record["model"])
    return None


def _model_of_others(folder: Path, split: str) -> str | None:
    """Find the generator in the dataset's other splits, for one whose images no model generated."""
    for name in split_names(folder):
        if name == split:
            continue
        try:
            model = _model(pq.ParquetFile(folder / f"{name}.parquet").read(columns=["generation"]))
        except (pa.ArrowException, OSError, KeyError):
            continue
        if model is not None:
            return model
    return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
