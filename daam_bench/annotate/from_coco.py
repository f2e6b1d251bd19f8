"""Masks from COCO instances JSON: our own, or what CVAT, FiftyOne and others export."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from pycocotools import mask as coco_mask

from daam_bench.annotate.findings import Findings, SplitExample, file_name, labels, numbered, shown
from daam_bench.types import RLE, BoolMask, Example
from daam_bench.types.errors import InputError
from daam_bench.types.masks import as_record, decode_runs, encode

MAX_RECORDS = 200_000
"""Most images, annotations or categories that one file may have."""

_MOST_PIECES, _MOST_POLYGONS, _MOST_CORNERS = 1_000, 10_000, 500_000
_FEWEST_CORNERS = 3

_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")

Key = int | str
Record = dict[str, Any]


def is_coco(content: object) -> bool:
    """Say whether the content of a JSON file looks like COCO's."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def find_in_coco(
    content: Mapping[str, Any], splits: Mapping[str, Sequence[Example]], *, complete: bool = False
) -> Findings:
    """Find the masks of a dataset's nouns in COCO instances JSON.

    An image is found by the name of its file, a noun by the name of its category: the noun's label as it is
    exported, or its COCO class, lemma or text. Where that fits several nouns of a prompt, the attribute
    "noun" (its index) decides. All annotations of a noun are united. An image with at least one is taken to
    be annotated: its nouns without one are not depicted. `complete` takes the images without any to be
    annotated too: nothing is depicted.

    Raises:
        InputError: The content is not COCO's, or more than can be an annotator's.
    """
    findings = Findings()
    images, annotations, categories = (
        _records(content, key, findings.problems) for key in ("images", "annotations", "categories")
    )
    names = {_key(category, "id"): _text(category, "name") for category in categories}
    own_names = frozenset(filter(None, names.values()))
    info = content.get("info")
    own_split = _text(info, "split") if isinstance(info, dict) else None
    if own_split is not None and own_split in splits:
        splits = {own_split: splits[own_split]}
    by_key = _images(images, splits, findings.problems)
    by_image: dict[Key | None, list[Record]] = {key: [] for key in by_key}
    for annotation in annotations:
        key = _key(annotation, "image_id")
        if key in by_image:
            by_image[key].append(annotation)
        else:
            noun = shown(names.get(_key(annotation, "category_id")))
            findings.problems.append(
                f"image {shown(annotation.get('image_id'))}, {noun}: an annotation of no image of the file"
            )
    for key, place in by_key.items():
        if place is None:
            continue
        named = [(names.get(_key(annotation, "category_id")), annotation) for annotation in by_image[key]]
        masks = _masks(place, named, own_names, findings.problems)
        if complete and not by_image[key]:
            masks = dict.fromkeys(range(len(place.example.query.nouns)))
        if masks:
            findings.found[place.name] = masks
    return findings


def _records(content: Mapping[str, Any], key: str, problems: list[str]) -> list[Record]:
    records = content.get(key)
    if not isinstance(records, list):
        raise InputError(f'"{key}" is no list; export COCO JSON of instances')
    if len(records) > MAX_RECORDS:
        raise InputError(f"it holds more than {MAX_RECORDS} {key}; import it in parts")
    wrong = [number for number, record in enumerate(records, start=1) if not isinstance(record, dict)]
    problems += [f'"{key}", record {number}: no object' for number in wrong]
    return [record for record in records if isinstance(record, dict)]


def _images(
    images: Sequence[Record], splits: Mapping[str, Sequence[Example]], problems: list[str]
) -> dict[Key | None, SplitExample | None]:
    """Return the example of every image by its id; None for one that can't be used."""
    by_name: dict[str, list[SplitExample]] = {}
    for split, examples in splits.items():
        for example in examples:
            for name in {file_name(example.query.id), f"{example.query.id}.png"}:
                by_name.setdefault(name, []).append(SplitExample(split, example))
    by_key: dict[Key | None, SplitExample | None] = {}
    taken: set[tuple[str, str]] = set()
    for image in images:
        key = _key(image, "id")
        try:
            place = _place(image, by_name)
            if key is None or key in by_key or place.name in taken:
                raise InputError("it is in the file twice, or its id is; export it again")
            taken.add(place.name)
            by_key[key] = place
        except InputError as error:
            problems.append(f"image {shown(image.get('file_name'))}: {error}")
            by_key[key] = None
    return by_key


def _place(image: Record, by_name: Mapping[str, list[SplitExample]]) -> SplitExample:
    path = PurePosixPath((_text(image, "file_name") or "").replace("\\", "/"))
    names = [str(path), path.name, f"{path.stem}.png"]
    # Label Studio puts eight hex digits before the name of an image that is uploaded.
    names += [_UPLOADED.sub("", name) for name in names[1:]]
    places = next((by_name[name] for name in names if name in by_name), [])
    if len(places) > 1:
        places = [place for place in places if place.split in path.parts] or places
    if not places:
        raise InputError("the dataset has no such image; name the dataset it was exported from")
    if len(places) > 1:
        several = ", ".join(place.split for place in places)
        raise InputError(f"it is an image of {several}; say of which with --split")
    size = [image.get("height"), image.get("width")]
    if size != list(places[0].size):
        raise InputError(
            f"its size is {shown(size)}, but the image's [height, width] is {list(places[0].size)}; "
            "annotate the image at its own size"
        )
    return places[0]


def _masks(
    place: SplitExample,
    annotations: Sequence[tuple[str | None, Record]],
    categories: Collection[str],
    problems: list[str],
) -> dict[int, RLE | None]:
    """Return what is known of the nouns of an image from its annotations, each with its category's name."""
    nouns = place.example.query.nouns
    # A noun whose own label is a category of the file is meant by no other.
    names = [
        {label} if label in categories else {label, noun.coco_class, noun.lemma, noun.text, number}
        for noun, label, number in zip(nouns, labels(nouns), numbered(nouns), strict=True)
    ]
    pieces: dict[int, list[object]] = {}
    unclear: set[int] = set()
    for name, annotation in annotations:
        meant = [index for index, known in enumerate(names) if name is not None and name in known]
        if len(meant) > 1:
            attributes = annotation.get("attributes")
            said = attributes.get("noun") if isinstance(attributes, dict) else annotation.get("noun")
            of_type = type(said) in (int, str)
            meant = [index for index in meant if of_type and str(said)[:9] == str(index)] or meant
        if len(meant) == 1:
            pieces.setdefault(meant[0], []).append(annotation.get("segmentation"))
            continue
        unclear.update(meant)
        reason = (
            f'nouns {" and ".join(map(str, meant))} are called so; give it the attribute "noun", the index'
            if meant
            else f"no noun of its prompt {shown(place.example.query.prompt)}"
        )
        problems.append(f"{place}, {shown(name)}: {reason}")
    masks: dict[int, RLE | None] = {}
    for noun in sorted(pieces.keys() - unclear):
        try:
            masks[noun] = unite(pieces[noun], *place.size)
        except InputError as error:
            problems.append(f"{place.noun(noun)}: {error}")
    if masks:
        masks |= dict.fromkeys(set(range(len(place.example.masks))) - pieces.keys() - unclear)
    return masks


def _key(record: Record, name: str) -> Key | None:
    value = record.get(name)
    return value if type(value) in (int, str) else None


def _text(record: Record, name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) else None


def unite(segmentations: Sequence[object], height: int, width: int) -> RLE:
    """Unite what stands under "segmentation" in every annotation of one thing, at least one, to one mask.

    Each is a list of polygons [x, y, x, y, ...] in pixels; or an object {"size": [height, width], "counts":
    runs}, the runs in columns as a list of numbers or as COCO's compressed string.

    Raises:
        InputError: One is no mask or of another size, or all are empty.
    """
    if len(segmentations) > _MOST_PIECES:
        raise InputError(f"it has more than {_MOST_PIECES} annotations; outline it again")
    pieces: list[Record] = []
    polygons: list[object] = []
    for value in segmentations:
        if isinstance(value, dict):
            pieces.append(_encode_runs(value, height, width))
        elif isinstance(value, list) and value:
            polygons += value
        else:
            raise InputError('it has no mask under "segmentation" (a box is none); use a brush or a polygon')
    if polygons:
        pieces.append(_fill(polygons, height, width))
    mask: BoolMask = coco_mask.decode(coco_mask.merge(pieces)) > 0
    if not mask.any():
        raise InputError("its mask is empty; outline the noun, or delete it if the noun is not depicted")
    return encode(mask)


def _encode_runs(value: dict[str, object], height: int, width: int) -> Record:
    size, counts = value.get("size"), value.get("counts")
    if size != [height, width]:
        raise InputError(
            f"the size of its mask is {shown(size)}, but the image's [height, width] is {[height, width]}; "
            "annotate the image at its own size"
        )
    if isinstance(counts, str):
        rle = RLE((height, width), counts)
        decode_runs([rle])
        return as_record(rle)
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        raise InputError('its mask has no runs under "counts"; export it again')
    if sum(counts) != height * width:
        raise InputError("the runs of its mask do not add up to the image; export it again")
    encoded: Record = coco_mask.frPyObjects({"size": size, "counts": counts}, height, width)
    return encoded


def _fill(polygons: list[object], height: int, width: int) -> Record:
    if len(polygons) > _MOST_POLYGONS:
        raise InputError(f"it has more than {_MOST_POLYGONS} polygons; outline it again")
    checked = [_polygon(polygon, max(height, width)) for polygon in polygons]
    corners = sum(map(len, checked)) // 2
    # What filling costs grows with the outline; one that passes through every second pixel is no outline.
    longest = 4 * (height + width) + height * width / 2
    if corners > _MOST_CORNERS or sum(map(_length, checked)) > longest:
        raise InputError("its outline is longer than any in the image; outline it again")
    encoded: Record = coco_mask.merge(coco_mask.frPyObjects(checked, height, width))
    return encoded


def _polygon(value: object, side: int) -> list[float]:
    if not isinstance(value, list) or len(value) < 2 * _FEWEST_CORNERS or len(value) % 2:
        raise InputError(
            "a polygon of it is no list of x, y, x, y, ... of three corners or more; outline it again"
        )
    if not all(type(number) in (int, float) and -side <= number <= 2 * side for number in value):
        raise InputError("a polygon of it has a corner far off the image; annotate at the image's size")
    return value


def _length(polygon: list[float]) -> float:
    corners = list(zip(polygon[::2], polygon[1::2], strict=True))
    return sum(max(abs(x - u), abs(y - v)) for (u, v), (x, y) in pairwise([*corners, corners[0]]))
