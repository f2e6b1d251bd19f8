"""A dataset for annotation tools: a folder with the images and what the tools read.

COCO instances JSON, as CVAT, FiftyOne and others open it, has a category a noun. Every annotation is a
"crowd", as a noun's mask holds all that it names ("two donuts"). It is also what keeps masks exact: CVAT and
FiftyOne write other masks as polygons.

A task of Label Studio brings its image along, embedded, and its own labels: one a noun of its prompt. So
nothing need be served or configured, and no annotator meets the nouns of other prompts. The file's name comes
along too: Label Studio finds no image for its export to COCO without one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from daam_bench.annotate.brush import encode_brush
from daam_bench.annotate.findings import file_name, labels, numbered
from daam_bench.datasets.row_writing import png
from daam_bench.datasets.write import FIRST_FREE_ID, images_and_annotations, require_new
from daam_bench.files.folders import replacing_folder
from daam_bench.types import Example, Split
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CATEGORY_IDS, PROPOSED
from daam_bench.types.masks import area, decode

MAX_UPLOAD = 100 << 20
"""Characters at which a file of Label Studio tasks ends. A server takes 250 MB at once by default."""

_CVAT_CROWD = {
    "name": "is_crowd",
    "mutable": False,
    "input_type": "checkbox",
    "default_value": "true",
    "values": ["true"],
}

BRUSH, NOT_DRAWN, IMAGE = "mask", "not_drawn", "image"
"""Names of the interface's controls, and of the image, in results."""

LABELING_CONFIG = f"""\
<View>
  <Header value="$prompt"/>
  <BrushLabels name="{BRUSH}" toName="{IMAGE}" value="$nouns"/>
  <Image name="{IMAGE}" value="$image" zoom="true" zoomControl="true" smoothing="false"/>
  <Header value="Not in the image:" size="5"/>
  <Choices name="{NOT_DRAWN}" toName="{IMAGE}" choice="multiple" showInline="true" value="$nouns"/>
</View>
"""
"""The labeling interface: paint each noun with its label, or tick it as not depicted."""

_JPEG_QUALITY = 95


def export_coco(splits: Sequence[Split], output: Path) -> None:
    """Write splits as COCO JSON with their images, laid out as CVAT and FiftyOne read it.

    `annotations/instances_<split>.json`, `images/<split>/<id>.png`, and `cvat_labels.json`: the labels as a
    new task of CVAT wants them.

    Raises:
        InputError: The folder is there already or can't be written.
    """
    with _new_folder(output) as folder:
        (folder / "annotations").mkdir()
        ids = label_ids(splits)
        for split in splits:
            _write(folder / "annotations" / f"instances_{split.name}.json", coco_record(split, ids))
            images = folder / "images" / split.name
            images.mkdir(parents=True)
            for example in split.examples:
                (images / file_name(example.query.id)).write_bytes(png(example.query.image))
        _write(folder / "cvat_labels.json", [{"name": label, "attributes": [_CVAT_CROWD]} for label in ids])


def export_label_studio(splits: Sequence[Split], output: Path) -> None:
    """Write splits as Label Studio tasks with their images embedded, and the labeling interface.

    `<split>.tasks-1.json`, `-2`, ..., each small enough to be uploaded, and `labeling_config.xml`.
    Raises what `export_coco` does.
    """
    with _new_folder(output) as folder:
        (folder / "labeling_config.xml").write_text(LABELING_CONFIG, encoding="utf-8")
        for split in splits:
            for number, part in enumerate(_parts(tasks(split)), start=1):
                text = "[" + ",\n".join(part) + "]\n"
                (folder / f"{split.name}.tasks-{number}.json").write_text(text, encoding="utf-8")


def label_ids(splits: Iterable[Split]) -> dict[str, int]:
    """Number the labels of all nouns: names of COCO's 80 classes keep their ids, others follow from 1001."""
    found = {label for split in splits for example in split.examples for label in labels(example.query.nouns)}
    others = sorted(found - CATEGORY_IDS.keys())
    known = {name: number for name, number in CATEGORY_IDS.items() if name in found}
    return known | {label: FIRST_FREE_ID + place for place, label in enumerate(others)}


def coco_record(split: Split, ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the JSON of a split: one annotation a depicted noun, with the noun's index as an attribute."""
    queries = split.queries()
    images, annotations = images_and_annotations(
        split.examples, ([ids[label] for label in labels(query.nouns)] for query in queries)
    )
    for image, query in zip(images, queries, strict=True):
        image |= {"file_name": file_name(query.id), "prompt": query.prompt}
    depicted = (
        (index, example.query.nouns[index])
        for example in split.examples
        for index, mask in enumerate(example.masks)
        if mask is not None and area(mask) > 0
    )
    for annotation, (index, noun) in zip(annotations, depicted, strict=True):
        annotation |= {"iscrowd": 1, "attributes": {"noun": index, "text": noun.text}}
    classes: dict[str, str] = {}
    for query in queries:
        for label, noun in zip(labels(query.nouns), query.nouns, strict=True):
            classes.setdefault(label, noun.coco_class or "")
    return {
        "info": {"description": f"daam-bench {split.name}", "split": split.name},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": label, "supercategory": classes.get(label, "")}
            for label, number in ids.items()
        ],
    }


def tasks(split: Split) -> Iterator[dict[str, Any]]:
    """Return a task an example with nouns.

    Masks that are there come along: as an annotation, or, while some are proposals, as a prediction that the
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
            if example.annotation.is_proposal or PROPOSED in (example.annotation.masks or ()):
                task["predictions"] = [{"model_version": example.annotation.by, "result": result}]
            else:
                task["annotations"] = [{"result": result}]
        yield task


def _result(example: Example) -> list[dict[str, Any]]:
    width, height = example.query.image.size
    result: list[dict[str, Any]] = []
    not_depicted: list[str] = []
    for label, mask in zip(numbered(example.query.nouns), example.masks, strict=True):
        if mask is None or area(mask) == 0:
            not_depicted.append(label)
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
    if not_depicted:
        result.append(
            {
                "id": "not-drawn",
                "type": "choices",
                "from_name": NOT_DRAWN,
                "to_name": IMAGE,
                "value": {"choices": not_depicted},
            }
        )
    return result


def _embedded(image: Image.Image) -> str:
    """Return an image as a data URI: PNG, or a fine JPEG where that is smaller. It is only looked at."""
    buffer = BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    kind, data = min((("png", png(image)), ("jpeg", buffer.getvalue())), key=lambda item: len(item[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """Give a folder that becomes `output` once it is filled."""
    try:
        require_new(output, "name another --output, or remove it first")
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
