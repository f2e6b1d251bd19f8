"""Loading a split from its Parquet file, or a whole dataset to be changed and written again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from daam_bench.datasets.columns import COLUMNS, from_rows
from daam_bench.emoji import SIBLINGS
from daam_bench.types import Example, Split
from daam_bench.types.errors import InputError, did_you_mean

SHIPPED = "emoji"
"""Name of the dataset that comes with the package."""

WITH_THE_PACKAGE = (SHIPPED, "coco", *SIBLINGS)
"""What `annotations` holds: the dataset, COCO's prompts for real models, datasets of sibling generators."""

_PACKAGE = Path(__file__).resolve().parents[1]
_COMMIT = re.compile(r"[0-9a-f]{40}")

GENERATED_SPLITS = ("coco_gen", "unreal_gen")
"""The splits whose images a model generated, and whose masks are also written as COCO JSON."""

DEV = "dev"
"""The split that settings are chosen on. The leaderboard never scores it."""


class Whole(NamedTuple):
    """Every split of a dataset by name, and its card: as `write_dataset` takes them."""

    splits: dict[str, Split]
    card: str


def load_split(dataset: str | Path, split: str | None = None) -> Split:
    """Load one split of a dataset. Images are decoded at first use.

    Args:
        dataset: "emoji" for the shipped one, a folder, or a hub id ("owner/name", "owner/name@revision").
        split: "coco_gen", "unreal_gen", "scenes" or "dev". Without it the error says which splits there are.

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
    path = folder / f"{split}.parquet"
    table = read_table(folder, split)
    if len(table) and table.column("image").null_count == len(table):
        raise InputError(
            f"{path} holds prompts without images; generate them with a model of yours: "
            f"daam-bench build --prompts {dataset} --model MODEL --output DIR"
        )
    try:
        rows = table.to_pylist()
        examples = from_rows(rows)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} holds text that is not UTF-8 ({error.reason}); write it again") from None
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None
    return Split(
        dataset=str(dataset),
        name=split,
        examples=examples,
        fingerprint=fingerprint(examples, [row["image"]["bytes"] for row in rows]),
        model=_model(table) or _model_of_others(folder, split),
        revision=hub_commit(folder),
    )


def load_whole(dataset: str | Path) -> Whole:
    """Load every split of a dataset ("emoji", a folder, or a hub id), and its card.

    Raises:
        InputError: The dataset is not there, or what is there is none.
    """
    folder = locate(str(dataset))
    names = split_names(folder)
    if not names:
        raise InputError(f"{folder} is no dataset: looked for .parquet files there and found none")
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        card = ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read {folder / 'README.md'}: {error}; fix the dataset's card") from None
    return Whole({name: load_split(dataset, name) for name in names}, card)


def split_names(folder: Path) -> list[str]:
    """Return the names of the splits that a dataset folder holds: the generated ones, then the others."""
    names = sorted(path.stem for path in folder.glob("*.parquet"))
    return sorted(names, key=lambda name: name not in GENERATED_SPLITS)


def fingerprint(examples: Sequence[Example], encoded_images: Sequence[bytes]) -> str:
    """Return the hex SHA-256 over ids, prompts, images, nouns and masks: all that a score depends on.

    Tokens, sources, annotators and generation settings may be corrected without changing it. Images come as
    the bytes that are stored, so none need be decoded.
    """
    digest = hashlib.sha256()
    for example, image in zip(examples, encoded_images, strict=True):
        query = example.query
        nouns = [
            [noun.text, noun.lemma, noun.start, noun.end, noun.coco_class, mask and [*mask.size, mask.counts]]
            for noun, mask in zip(query.nouns, example.masks, strict=True)
        ]
        record = [query.id, query.prompt, hashlib.sha256(image).hexdigest(), nouns]
        digest.update(json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode("ascii"))
        digest.update(b"\n")
    return digest.hexdigest()


def read_table(folder: Path, split: str) -> pa.Table:
    """Read the table of a split.

    Raises:
        InputError: There is none, it can't be read, or it lacks a column.
    """
    path = folder / f"{split}.parquet"
    if not path.is_file():
        found = split_names(folder)
        if not found:
            raise InputError(
                f"{folder} is no dataset: looked for {path.name} there and found no .parquet file"
            )
        raise InputError(
            f"no split {split!r} in {folder}{did_you_mean(split, found)}; it holds {', '.join(found)}"
        )
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} can't be read as Parquet ({reason}); write or download it again") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; a split has {', '.join(COLUMNS)}")
    return table


def _model(table: pa.Table) -> str | None:
    records = filter(None, table.column("generation").to_pylist())
    return next((str(record["model"]) for record in records), None)


def _model_of_others(folder: Path, split: str) -> str | None:
    """Find the generator in the dataset's other splits, for one whose images no model generated."""
    for name in split_names(folder):
        if name == split:
            continue
        try:
            model = _model(pq.ParquetFile(folder / f"{name}.parquet").read(columns=["generation"]))
        except (pa.ArrowException, OSError, KeyError, TypeError):
            continue
        if model is not None:
            return model
    return None


def locate(dataset: str) -> Path:
    """Return the folder of a dataset (see `load_split`), downloading it first if it is on the hub.

    Raises:
        InputError: There is no such dataset, or the hub can't be reached and has left no copy here.
    """
    if dataset in WITH_THE_PACKAGE:
        # Inside an installed package, or beside it in a checkout.
        places = [root / "annotations" / dataset for root in (_PACKAGE, _PACKAGE.parent)]
        found = next(filter(Path.is_dir, places), None)
        if found is None:
            made = f"python -m tools.emoji sibling --name {dataset} --output annotations/{dataset}"
            advice = f"in a checkout: {made}" if dataset in SIBLINGS else "install the package again"
            raise InputError(f"the dataset {dataset!r} is not at {places[1]}; {advice}")
        return found
    folder = Path(dataset).expanduser()
    if not folder.exists():
        from daam_bench.files.folders import put_right

        put_right(folder)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"dataset {dataset!r} is a file; give the folder that holds the splits")
    from daam_bench.files.hub import HUB_ID, dataset_files

    match = HUB_ID.fullmatch(dataset)
    if match is None:
        raise InputError(
            f"no dataset {dataset!r}: no such folder; give {SHIPPED!r}, a folder, or a hub id (owner/name)"
        )
    return dataset_files(match["id"], match["revision"])


def hub_commit(folder: Path) -> str | None:
    """Return the commit that a folder of the hub's cache holds; None for any other folder.

    >>> hub_commit(Path("hub/datasets--someone--birds/snapshots") / ("0123456789" * 4))
    '0123456789012345678901234567890123456789'
    """
    is_snapshot = folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name) is not None
    return folder.name if is_snapshot else None
