"""The site's files of data: images, and scripts that hand JSON to the viewer.

A page from a disk may load nothing but scripts. Each calls `daamBench.receive(name, value)`. What belongs to
examples is cut into chunks, so that a page loads only those it shows:

    images/<split>/<number>.png or .webp       the image of an example, by its place in the split
    data/<split>/examples.js                   id, image, size, prompt and nouns of every example
    data/<split>/truth/<chunk>.js              example -> noun -> COCO's compressed counts or null
    data/<split>/methods/<slug>/<chunk>.js     {"masks": tau -> example -> noun -> counts or null,
                                                "maps": example -> noun -> heat map or null; or null}
A heat map is {"size": [height, width], "values": base64 of little-endian float32}, at its own resolution.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from daam_bench.figures.page_parts import encoded, image_kind, is_pixelated, map_record, prompt_pieces
from daam_bench.files import HEAT_MAPS, PREDICTIONS
from daam_bench.files.predictions import read_heat_maps, read_predictions
from daam_bench.scoring.results import tau_key
from daam_bench.types import Query, Split
from daam_bench.types.errors import InputError

CHUNK = 32
"""Examples a chunk."""

_UNSAFE = re.compile("[<>&\u2028\u2029]")

_SEE = "; `daam-bench leaderboard check` checks entries in full"

_Nouns = list[list[Any]]
"""Example -> noun -> a value or None."""


def script_json(value: Any) -> str:
    r"""Write a JSON value so that it may stand in a script, inline or in a file of its own.

    >>> print(script_json("</script>"))
    "\u003c/script\u003e"
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def image_name(query: Query, index: int) -> str:
    """Return the file name of an example's image, by its place in the split."""
    return f"{index:04d}.{image_kind(query.image)}"


def write_images(folder: Path, split: Split) -> None:
    """Write the images of a split into a folder, one file each."""
    folder.mkdir(parents=True)
    for index, query in enumerate(split.queries()):
        (folder / image_name(query, index)).write_bytes(encoded(query.image, image_kind(query.image)))


def write_ground_truth(folder: Path, split: Split) -> None:
    """Write the examples of a split and their ground-truth masks into `folder/<split>`."""
    examples = [
        {
            "id": query.id,
            "image": image_name(query, index),
            "size": [query.image.height, query.image.width],
            "pixelated": is_pixelated(query.image),
            "prompt": prompt_pieces(query.prompt, [(noun.start, noun.end) for noun in query.nouns]),
            "nouns": [[noun.text, noun.coco_class] for noun in query.nouns],
        }
        for index, query in enumerate(split.queries())
    ]
    _write(folder, f"{split.name}/examples", examples)
    masks = [[mask and mask.counts for mask in example.masks] for example in split.examples]
    for chunk, start in enumerate(range(0, len(split), CHUNK)):
        _write(folder, f"{split.name}/truth/{chunk}", masks[start : start + CHUNK])


class ViewedMethod(NamedTuple):
    """A method in the viewer: its key there, its name, its folder with a sub-folder a split, its taus."""

    slug: str
    name: str
    folder: Path
    taus: Sequence[str]

    def has(self, split: str) -> bool:
        """Tell whether it was run on a split."""
        return (self.folder / split / PREDICTIONS).exists()


def write_method(folder: Path, split: Split, method: ViewedMethod) -> None:
    """Write a method's masks and heat maps of a split into `folder/<split>/methods/<slug>`.

    Of a split that it was not run on every mask is null.

    Raises:
        InputError: A mask or heat map is malformed, or of an unknown noun.
    """
    indices = {example.query.id: index for index, example in enumerate(split.examples)}

    def find(path: Path, identifier: str, noun: int) -> int:
        index = indices.get(identifier)
        if index is None or noun >= len(split.examples[index].query.nouns):
            raise InputError(f"{path}: {split.name} has no noun {noun} of id {identifier!r:.80}{_SEE}")
        return index

    masks = {tau: _blank(split) for tau in method.taus}
    path = method.folder / split.name / PREDICTIONS
    for prediction in read_predictions(path)[1] if method.has(split.name) else ():
        index = find(path, prediction.id, prediction.noun)
        image = split.examples[index].query.image
        if prediction.mask is not None and prediction.mask.size != (image.height, image.width):
            raise InputError(f"{path}: the mask of id {prediction.id!r:.80} is not of its image's size{_SEE}")
        if (tau := tau_key(prediction.tau)) in masks:
            masks[tau][index][prediction.noun] = prediction.mask and prediction.mask.counts
    maps: _Nouns | None = None
    if (path := method.folder / split.name / HEAT_MAPS).exists():
        maps = _blank(split)
        for found in read_heat_maps(path)[1]:
            maps[find(path, found.id, found.noun)][found.noun] = map_record(found.values)
    for chunk, start in enumerate(range(0, len(split), CHUNK)):
        part = slice(start, start + CHUNK)
        record = {
            "masks": {tau: nouns[part] for tau, nouns in masks.items()},
            "maps": None if maps is None else maps[part],
        }
        _write(folder, f"{split.name}/methods/{method.slug}/{chunk}", record)


def _blank(split: Split) -> _Nouns:
    return [[None] * len(example.query.nouns) for example in split.examples]


def _write(folder: Path, name: str, value: Any) -> None:
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"daamBench.receive({script_json(name)},{script_json(value)});\n", encoding="utf-8")
