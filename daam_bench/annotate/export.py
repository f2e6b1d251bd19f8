"""A dataset for annotation tools: a folder with the images and what the tools read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daam_bench.annotate.coco_export import coco_record, label_ids
from daam_bench.annotate.label_studio_export import LABELING_CONFIG, tasks
from daam_bench.annotate.names import file_name
from daam_bench.datasets.columns import png
from daam_bench.files.replacing import replacing_folder
from daam_bench.types import Split
from daam_bench.types.errors import InputError

MAX_UPLOAD = 100 << 20
"""Characters at which a file of Label Studio tasks ends. A server takes 250 MB at once by default."""

_CVAT_CROWD = {
    "name": "is_crowd",
    "mutable": False,
    "input_type": "checkbox",
    "default_value": "true",
    "values": ["true"],
}


def export_coco(splits: Sequence[Split], output: Path) -> None:
    """Write splits as COCO JSON with their images, laid out as CVAT and FiftyOne read it.

    `annotations/instances_<split>.json`, `images/<split>/<id>.png`, and `cvat_labels.json`: the labels as a
    new task of CVAT wants them.

    Args:
        splits: The splits.
        output: The folder to write; it must not be there, or be empty.

    Raises:
        InputError: The folder is there already or can't be written.
    """
    with _new_folder(output) as folder:
        (folder / "annotations").mkdir()
        ids = label_ids(splits)
        for split in splits:
            _write(folder / "annotations" / f"instances_{split.name}.json", coco_record(split, ids))
            pictures = folder / "images" / split.name
            pictures.mkdir(parents=True)
            for example in split.examples:
                (pictures / file_name(example.query.id)).write_bytes(png(example.query.image))
        labels = [{"name": label, "attributes": [_CVAT_CROWD]} for label in ids]
        _write(folder / "cvat_labels.json", labels)


def export_label_studio(splits: Sequence[Split], output: Path) -> None:
    """Write splits as Label Studio tasks with their images embedded, and the labeling interface.

    `<split>.tasks-1.json`, `-2`, ..., each small enough to be uploaded, and `labeling_config.xml`.

    Args:
        splits: The splits.
        output: The folder to write; it must not be there, or be empty.

    Raises:
        InputError: The folder is there already or can't be written.
    """
    with _new_folder(output) as folder:
        (folder / "labeling_config.xml").write_text(LABELING_CONFIG, encoding="utf-8")
        for split in splits:
            for number, part in enumerate(_parts(tasks(split)), start=1):
                text = "[" + ",\n".join(part) + "]\n"
                (folder / f"{split.name}.tasks-{number}.json").write_text(text, encoding="utf-8")


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """Give a folder that becomes `output` once it is filled."""
    try:
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise InputError(f"{output} is there already; name another --output, or remove it first")
        with replacing_folder(output) as folder:
            yield folder
    except OSError as error:
        raise InputError(f"can't write {output}: {error.strerror or error}; name another --output") from error


def _write(path: Path, record: Any) -> None:
    path.write_text(_dump(record) + "\n", encoding="utf-8")


def _parts(records: Iterable[Any]) -> Iterator[list[str]]:
    """Put records, as JSON, together to parts of about `MAX_UPLOAD` characters."""
    part: list[str] = []
    length = 0
    for record in records:
        part.append(_dump(record))
        length += len(part[-1])
        if length >= MAX_UPLOAD:
            yield part
            part, length = [], 0
    if part:
        yield part


def _dump(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
