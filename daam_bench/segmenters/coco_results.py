"""Reading masks from a COCO results JSON, as detectors and segmentation tools write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from daam_bench.types import RLE, BoolMask, Query
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CATEGORY_IDS
from daam_bench.types.masks import MAX_PIXELS, decode, decode_runs

_MOST_DIGITS = 100
"""Of an id that may be a number."""


class Results(NamedTuple):
    """The union of each noun's results by (id, noun), and how many results belong to no noun."""

    masks: Mapping[tuple[str, int], BoolMask]
    strays: int


def read_results(path: Path, queries: Sequence[Query], least_score: float) -> Results:
    """Read a COCO results JSON: a list of objects, or an object with such a list as "annotations".

    A result's image is its "image_id" or "file_name": an example's id or "<id>.png". A whole number is an id
    that is that number, also with zeros before it; or else the example's number in the split from 1, as in
    the dataset's own COCO JSON. Its noun is its "noun", the index or the text;
    without one, the "category_id" of one of COCO's 80 classes. Its mask is its "segmentation", as RLE.
    Results of the same noun are united; those with a "score" below `least_score` are left out.

    Raises:
        InputError: The file can't be read, a result is malformed, ambiguous or of a wrong size, or none is of
            a noun of the split.
    """
    by_id = {query.id: query for query in queries}
    masks: dict[tuple[str, int], BoolMask] = {}
    strays = 0
    results = list(_results(path))
    numbers = _numbers(path, [result for _, result in results], queries)
    for place, result in results:
        try:
            if not _score(result) >= least_score:
                continue
            query = _query(result, by_id, numbers)
            noun = None if query is None else _noun(result, query)
            if query is None or noun is None:
                strays += 1
                continue
            mask = _mask(result.get("segmentation"), (query.image.height, query.image.width))
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        key = (query.id, noun)
        masks[key] = masks[key] | mask if key in masks else mask
    if strays and not masks:
        raise InputError(
            f"{path}: none of its {strays} results is of a noun of the split; name images by their ids, "
            f"such as {queries[0].id!r}, and check that it is of this split"
        )
    return Results(masks, strays)


def noun_of_text(query: Query, text: str) -> int | None:
    """Return the index of the noun `text` in the prompt, None without one; InputError for several."""
    found = [index for index, noun in enumerate(query.nouns) if noun.text == text]
    if len(found) > 1:
        raise InputError(
            f"example {query.id!r} has the noun {text!r} {len(found)} times; give its index, "
            f"{' or '.join(map(str, found))}"
        )
    return found[0] if found else None


def _results(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    images: dict[Any, Any] = {}
    if isinstance(content, dict):
        listed = content.get("images")
        for image in listed if isinstance(listed, list) else []:
            if isinstance(image, dict) and isinstance(image.get("id"), int | str):
                images[image["id"]] = image.get("file_name")
        content = content.get("annotations")
    if not isinstance(content, list):
        raise InputError(f'{path} is no COCO results: give a list of results, or {{"annotations": [...]}}')
    for index, result in enumerate(content):
        place = f"{path}, result {index}"
        if not isinstance(result, dict):
            raise InputError(f"{place}: not an object")
        name = result.get("image_id")
        if "file_name" not in result and isinstance(name, int | str) and name in images:
            result = result | {"file_name": images[name]}
        yield place, result


def _score(result: Mapping[str, Any]) -> float:
    score = result.get("score", 1.0)
    if type(score) not in (int, float):
        raise InputError(f'"score" must be a number, not {score!r:.40}')
    return float(score)


def _query(
    result: Mapping[str, Any], by_id: Mapping[str, Query], numbers: Mapping[int, Query]
) -> Query | None:
    name = result.get("file_name", result.get("image_id"))
    if type(name) is int:
        return numbers.get(name)
    if type(name) is not str:
        raise InputError(f'"image_id" or "file_name" must name the image, not {name!r:.40}')
    stem = PurePath(name.replace("\\", "/")).stem
    # Label Studio puts eight hex digits before the name of an image that is uploaded.
    return by_id.get(name) or by_id.get(stem) or by_id.get(re.sub(r"^[0-9a-f]{8}-(?=.)", "", stem))


def _numbers(
    path: Path, results: Sequence[Mapping[str, Any]], queries: Sequence[Query]
) -> Mapping[int, Query]:
    """Return whom the whole numbers mean that name images in a file: ids, or places in the split from 1.

    All of a file are read in the same way: as ids where that finds all, else as places where it finds none.

    Raises:
        InputError: Both would do, and mean different images.
    """
    named = [result.get("file_name", result.get("image_id")) for result in results]
    used = {name for name in named if type(name) is int}
    by_id: dict[int, Query] = {}
    for query in queries:
        if query.id.isascii() and query.id.isdecimal() and len(query.id) <= _MOST_DIGITS:
            if int(query.id) in by_id and int(query.id) in used:
                raise InputError(
                    f"{path}: image {int(query.id)} may be {by_id[int(query.id)].id!r} or {query.id!r}; "
                    'give the ids as texts, "image_id": "<id>"'
                )
            by_id[int(query.id)] = query
    by_place = dict(enumerate(queries, start=1))
    if not used & by_id.keys():
        return by_place
    if not used & by_place.keys() or (used <= by_id.keys() and not used <= by_place.keys()):
        return by_id
    unclear = next((name for name in sorted(used) if by_id.get(name) is not by_place.get(name)), None)
    if unclear is None:
        return by_id
    raise InputError(
        f"{path}: image {unclear} may be the one with that id or the one at that place of the split, counted "
        'from 1; give the ids as texts, "image_id": "<id>"'
    )


def _noun(result: Mapping[str, Any], query: Query) -> int | None:
    noun = result.get("noun")
    if type(noun) is str:
        return noun_of_text(query, noun)
    if type(noun) is int:
        if not 0 <= noun < len(query.nouns):
            raise InputError(
                f"noun {noun} of example {query.id!r}, which has {len(query.nouns)}, counted from 0"
            )
        return noun
    category = result.get("category_id")
    if noun is not None or type(category) is not int:
        raise InputError('a result needs "noun", its index or text, or the "category_id" of a COCO class')
    found = [
        index
        for index, entry in enumerate(query.nouns)
        if entry.coco_class is not None and CATEGORY_IDS.get(entry.coco_class) == category
    ]
    if len(found) > 1:
        raise InputError(
            f'example {query.id!r} has {len(found)} nouns of category {category}; give a "noun", '
            f"{' or '.join(map(str, found))}"
        )
    return found[0] if found else None


def _mask(segmentation: Any, size: tuple[int, int]) -> BoolMask:
    if not isinstance(segmentation, dict):
        raise InputError('"segmentation" must be RLE, {"size": [height, width], "counts": ...}, no polygons')
    found, counts = segmentation.get("size"), segmentation.get("counts")
    if found != list(size):
        raise InputError(
            f"a mask of [height, width] {found!r:.40} for an image of {list(size)}; resize it to the image"
        )
    if isinstance(counts, str):
        rle = RLE(size, counts)
        decode_runs([rle])
        return decode(rle)
    if not isinstance(counts, list) or not all(
        type(count) is int and 0 <= count <= MAX_PIXELS for count in counts
    ):
        raise InputError('the "counts" of a mask must be a text or a list of whole numbers')
    if sum(counts) != size[0] * size[1]:
        raise InputError("the runs of a mask do not add up to its height times width")
    values = np.arange(len(counts)) % 2 == 1
    mask: BoolMask = np.repeat(values, counts).reshape(size, order="F")
    return mask
