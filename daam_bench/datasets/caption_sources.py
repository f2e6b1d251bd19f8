"""Captions to build a dataset from: COCO's JSON, a text file, or a column of a `datasets` dataset."""

from __future__ import annotations

import gzip
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daam_bench.datasets.load import SHIPPED, locate
from daam_bench.files.folders import put_right
from daam_bench.files.outside import parse_json, parse_record
from daam_bench.types.errors import InputError

_COLUMN = re.compile(r"(?P<dataset>.+?):(?P<column>[^:@/]+)(@(?P<split>[^:@/]+))?")

_WHAT_TO_GIVE = (
    "give COCO captions (.json or .json.gz), a text file with one caption a line, or a column of a dataset "
    "(owner/name:column or folder:column, @split behind it where there are several)"
)


@dataclass(frozen=True, slots=True)
class SourceCaption:
    """A caption and where it came from.

    Attributes:
        id: COCO's annotation id; the line of a text file, or the row of a dataset, counted from 1.
        text: The caption, its whitespace normalised, never empty.
        image: The image it describes (COCO's image id, the row), or None if unknown.
    """

    id: str
    text: str
    image: str | None = None


@dataclass(frozen=True, slots=True)
class _CocoCaption:
    id: int | str
    image_id: int | str
    caption: str


@dataclass(frozen=True, slots=True)
class _CocoCaptions:
    annotations: tuple[_CocoCaption, ...]


def read_captions(source: str | Path) -> list[SourceCaption]:
    """Read captions; blank ones are skipped.

    Args:
        source: A file of COCO captions (".json", ".json.gz"), a UTF-8 text file with one caption a line, or
            a column of a dataset: "owner/name:column" on the hub or "folder:column" here, with "@split"
            behind it where the dataset has several. A column of lists holds several captions an image.

    Raises:
        InputError: There is no such file or column, or what is there are no captions.
    """
    path = Path(source).expanduser()
    if path.is_file():
        name = path.name.lower()
        found = _from_coco(path) if name.endswith((".json", ".json.gz")) else _from_text(path)
    elif match := _COLUMN.fullmatch(str(source)):
        found = _from_column(match["dataset"], match["column"], match["split"])
    else:
        raise InputError(f"no captions at {source}: no such file; {_WHAT_TO_GIVE}")
    captions = [caption for caption in found if caption.text]
    if not captions:
        raise InputError(f"{source} holds no captions; {_WHAT_TO_GIVE}")
    return captions


def _from_coco(path: Path) -> Iterator[SourceCaption]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}; {_WHAT_TO_GIVE}") from error
    try:
        if path.name.lower().endswith(".gz"):
            content = gzip.decompress(content)
        found = parse_record(_CocoCaptions, parse_json(content))
    except (OSError, EOFError, zlib.error, InputError) as error:
        raise InputError(
            f"{path} holds no COCO captions ({_one_line(str(error))[:200]}); "
            "expected JSON with a list `annotations` of {id, image_id, caption}"
        ) from None
    for annotation in found.annotations:
        yield SourceCaption(str(annotation.id), _one_line(annotation.caption), str(annotation.image_id))


def _from_text(path: Path) -> Iterator[SourceCaption]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text (byte {error.start}); {_WHAT_TO_GIVE}") from error
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}; {_WHAT_TO_GIVE}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        yield SourceCaption(str(number), _one_line(line))


def _from_column(dataset: str, column: str, split: str | None) -> Iterator[SourceCaption]:
    table = _load(dataset, split)
    named = f"{dataset}:{column}"
    if column not in table.column_names:
        raise InputError(
            f"no column {column!r} in dataset {dataset!r}; it has {', '.join(table.column_names)}"
        )
    for row, value in enumerate(table.select_columns([column])[column], start=1):
        values = value if isinstance(value, list) else [value]
        for place, text in enumerate(values, start=1):
            if not isinstance(text, str):
                raise InputError(f"row {row} of {named} holds no text; name a column of strings")
            name = f"{row}-{place}" if isinstance(value, list) else str(row)
            yield SourceCaption(name, _one_line(text), str(row))


def _load(dataset: str, split: str | None) -> Any:
    from datasets import load_dataset

    folder = locate(SHIPPED) if dataset == SHIPPED else Path(dataset).expanduser()
    put_right(folder)
    target = str(folder) if folder.is_dir() else dataset
    try:
        with ExitStack() as stack:
            kept: dict[str, Any] = {}
            if folder.is_dir():
                # `datasets` may take what it keeps of another folder of that name for this one.
                cache = stack.enter_context(tempfile.TemporaryDirectory(prefix="daam-bench-"))
                kept = {"cache_dir": cache, "keep_in_memory": True}
            found = load_dataset(target, split=split, **kept)
        if split is not None:
            return found
        names = list(found)
        if len(names) != 1:
            raise InputError(
                f"dataset {dataset!r} has the splits {', '.join(names)}; name one behind the column "
                f"({dataset}:COLUMN@{names[0]})"
            )
        return found[names[0]]
    except InputError:
        raise
    # `datasets` raises errors of many kinds for a dataset that is not there, and more for a broken one.
    except Exception as error:
        raise InputError(
            f"no dataset {dataset!r} to read captions from "
            f"({type(error).__name__}: {_one_line(str(error))[:160]}); {_WHAT_TO_GIVE}"
        ) from error


def _one_line(text: str) -> str:
    return " ".join(text.split())
