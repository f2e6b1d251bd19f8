"""The viewer's data: scripts that hand JSON to the page, since a page from a disk may load nothing else.

Each file calls `daamBench.receive(name, value)`. What belongs to examples is cut into chunks, so that a page
loads only those it shows:

    data/<split>/examples.js                   id, image, size, prompt and nouns of every example
    data/<split>/ground truth/<chunk>.js              example -> noun -> COCO's compressed counts or null
    data/<split>/methods/<slug>/<chunk>.js     {"masks": tau -> example -> noun -> counts or null,
                                                "maps": example -> noun -> heat map or null; or null}
A heat map is {"size": [height, width], "values": base64 of little-endian float32}, at its own resolution.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daam_bench.files.heat_maps import read_heat_maps
from daam_bench.files.predictions import read_predictions
from daam_bench.leaderboard.entries import Entry
from daam_bench.leaderboard.site.escape import script_json
from daam_bench.leaderboard.site.examples import image_name, is_pixelated, prompt_pieces
from daam_bench.scoring.results import tau_key
from daam_bench.types import Example, FloatMap, Split
from daam_bench.types.errors import InputError

CHUNK = 32
"""Examples a chunk."""

_Nouns = list[list[Any]]
"""Example -> noun -> a value or None."""


def write_truth(folder: Path, split: Split) -> None:
    """Write the examples of a split and their true masks into `folder/<split>`."""
    place = folder / split.name
    examples = [_example_record(example, index) for index, example in enumerate(split.examples)]
    _write(place / "examples.js", f"{split.name}/examples", examples)
    truth = [[mask and mask.counts for mask in example.masks] for example in split.examples]
    for chunk, start in enumerate(_starts(split)):
        _write(
            place / "truth" / f"{chunk}.js",
            f"{split.name}/truth/{chunk}",
            truth[start : start + CHUNK],
        )


def write_method(folder: Path, split: Split, entry: Entry, taus: Sequence[str]) -> None:
    """Write an entry's masks and heat maps of a split into `folder/<split>/methods/<slug>`.

    Raises:
        InputError: A heat map is malformed or of an unknown noun.
    """
    indices = {example.query.id: index for index, example in enumerate(split.examples)}
    masks = {tau: _blank(split) for tau in taus}
    for prediction in read_predictions(entry.predictions(split.name))[1]:
        if (tau := tau_key(prediction.tau)) in masks:
            masks[tau][indices[prediction.id]][prediction.noun] = prediction.mask.counts
    maps: _Nouns | None = None
    if (path := entry.heat_maps(split.name)) is not None:
        maps = _blank(split)
        for found in read_heat_maps(path)[1]:
            index = indices.get(found.id)
            if index is None or found.noun >= len(maps[index]):
                raise InputError(
                    f"{path}: {split.name} has no noun {found.noun} of id {found.id!r:.80}; "
                    "`daam-bench leaderboard check` checks entries in full"
                )
            maps[index][found.noun] = _map_record(found.values)
    for chunk, start in enumerate(_starts(split)):
        part = slice(start, start + CHUNK)
        record = {
            "masks": {tau: nouns[part] for tau, nouns in masks.items()},
            "maps": None if maps is None else maps[part],
        }
        name = f"{split.name}/methods/{entry.slug}/{chunk}"
        _write(folder / f"{name}.js", name, record)


def _starts(split: Split) -> Iterable[int]:
    return range(0, len(split), CHUNK)


def _blank(split: Split) -> _Nouns:
    return [[None] * len(example.query.nouns) for example in split.examples]


def _example_record(example: Example, index: int) -> dict[str, Any]:
    query = example.query
    return {
        "id": query.id,
        "picture": image_name(query, index),
        "size": [query.image.height, query.image.width],
        "pixelated": is_pixelated(query.image),
        "prompt": prompt_pieces(query),
        "nouns": [[noun.text, noun.coco_class] for noun in query.nouns],
    }


def _map_record(values: FloatMap) -> dict[str, Any]:
    data = np.ascontiguousarray(values, dtype="<f4").tobytes()
    return {"size": list(values.shape), "values": base64.b64encode(data).decode("ascii")}


def _write(path: Path, name: str, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"daamBench.receive({script_json(name)},{script_json(value)});\n", encoding="utf-8")
