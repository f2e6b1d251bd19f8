"""The heat maps beside a predictions file: what a soft method's own metrics are computed from."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from daam_bench.files.json_lines import Line, LinesWriter, read_lines
from daam_bench.files.predictions import parse_pair
from daam_bench.types import FloatMap, PredictionsHeader
from daam_bench.types.errors import InputError

MAX_SIDE = 4096
"""Largest height and width of a heat map."""


class NounHeatMap(NamedTuple):
    """The heat map of one noun.

    Attributes:
        id: Id of the example.
        noun: Index of the noun in the example.
        values: float32 (height, width) at the map's own resolution, finite, >= 0.
    """

    id: str
    noun: int
    values: FloatMap


class HeatMapsWriter(LinesWriter):
    """Appends heat maps to a file, batch by batch.

    Args:
        path: The file, `heat_maps.jsonl` beside the predictions file.
        header: The header of the predictions file. An existing file must have an equal one; a torn last line
            of it is dropped.
        restart: Overwrite an existing file.

    Attributes:
        done: The pairs (id, noun) that the file holds.

    Raises:
        InputError: The existing file has another header or a malformed line.
    """

    def __init__(self, path: Path | str, header: PredictionsHeader, *, restart: bool = False) -> None:
        self.done: set[tuple[str, int]] = set()
        super().__init__(path, header, restart=restart, existing=self._read)

    def append(self, maps: Iterable[NounHeatMap]) -> None:
        """Append heat maps and flush them; those that the file already holds are left out."""
        new: list[NounHeatMap] = []
        for entry in maps:
            if (entry.id, entry.noun) not in self.done:
                self.done.add((entry.id, entry.noun))
                new.append(entry)
        self.write({"id": entry.id, "noun": entry.noun, "map": _pack(entry.values)} for entry in new)

    def _read(self, lines: Iterator[Line]) -> None:
        self.done |= {(entry.id, entry.noun) for entry in _maps(self.path, lines)}


def read_heat_maps(path: Path | str) -> tuple[PredictionsHeader, Iterator[NounHeatMap]]:
    """Read a file of heat maps, one at a time.

    A last line that a killed run left torn is dropped with a warning.

    Raises:
        InputError: At once for a file that can't be read or a malformed header; while iterating for a
            malformed line.
    """
    path = Path(path)
    header, lines = read_lines(path)
    return header, _maps(path, lines)


def _maps(path: Path, lines: Iterable[Line]) -> Iterator[NounHeatMap]:
    for line in lines:
        try:
            yield NounHeatMap(*parse_pair(line.record), parse_map(line.record.get("map")))
        except InputError as error:
            raise InputError(f"{path}, line {line.number}: {error}") from None


def _pack(values: FloatMap) -> dict[str, Any]:
    values = np.ascontiguousarray(values, dtype="<f4")
    return {"shape": values.shape, "data": base64.b64encode(zlib.compress(values.tobytes())).decode("ascii")}


def parse_map(record: Any, *, max_side: int = MAX_SIDE) -> FloatMap:
    """Return the checked "map" of a line: float32 (height, width), 1 to `max_side` each, finite, >= 0."""
    if type(record) is not dict:
        raise InputError('"map" must be an object {"shape": [height, width], "data": "..."}')
    shape, data = record.get("shape"), record.get("data")
    if (
        type(shape) is not list
        or len(shape) != 2
        or not all(type(side) is int and 0 < side <= max_side for side in shape)
    ):
        raise InputError(
            f'the "shape" of a map must be [height, width], 1 to {max_side} each, not {shape!r:.60}'
        )
    if type(data) is not str:
        raise InputError('the "data" of a map must be a string, base64 of zlib of little-endian float32')
    size = 4 * shape[0] * shape[1]
    try:
        inflate = zlib.decompressobj()
        content = inflate.decompress(base64.b64decode(data, validate=True), size + 1)
    except (zlib.error, binascii.Error, ValueError):
        raise InputError('the "data" of a map is not base64 of zlib; write it with HeatMapsWriter') from None
    if len(content) != size or not inflate.eof:
        raise InputError(f'the "data" of a map does not hold {shape[0]} x {shape[1]} float32 values')
    values = np.frombuffer(content, "<f4").reshape(shape).astype(np.float32)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError("a map holds values that are negative or not finite; clamp them to 0 and up")
    return values
