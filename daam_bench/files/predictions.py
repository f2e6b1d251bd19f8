"""The predictions file: predicted masks, one line a pair, as any method may write them; and its heat maps."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from daam_bench.files.json_lines import Line, LinesWriter, read_lines
from daam_bench.types import RLE, FloatMap, Prediction, PredictionsHeader
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import MAX_SIDE, check_map_size
from daam_bench.types.masks import Runs, decode_runs

_BLOCK_MASKS = 48
_BLOCK_CHARACTERS = 50_000


class Block(NamedTuple):
    """Predictions that are scored together.

    Attributes:
        source: Where they come from ("FILE, line").
        numbers: The number of each in the source.
        predictions: The predictions.
        runs: The masks of those that have one, in order; None if none has.
    """

    source: str
    numbers: list[int]
    predictions: list[Prediction]
    runs: Runs | None

    def place(self, index: int) -> str:
        """Say where a prediction of the block comes from."""
        return f"{self.source} {self.numbers[index]}"


def read_predictions(path: Path | str) -> tuple[PredictionsHeader, Iterator[Prediction]]:
    """Read a predictions file, a few lines at a time.

    A last line that a killed run left torn is dropped with a warning.

    Raises:
        InputError: At once for a file that can't be read or a malformed header; while iterating for a
            malformed line.
    """
    header, blocks = read_blocks(path)
    return header, (prediction for block in blocks for prediction in block.predictions)


def read_blocks(path: Path | str) -> tuple[PredictionsHeader, Iterator[Block]]:
    """Read a predictions file as `read_predictions` does, with the masks decoded."""
    path = Path(path)
    header, lines = read_lines(path)
    return header, _blocks(path, lines)


def _blocks(path: Path, lines: Iterable[Line]) -> Iterator[Block]:
    source = f"{path}, line"

    def predictions() -> Iterator[tuple[int, Prediction]]:
        for line in lines:
            try:
                yield line.number, parse_prediction(line.record)
            except InputError as error:
                raise InputError(f"{source} {line.number}: {error}") from None

    return check_blocks(predictions(), source)


def check_blocks(predictions: Iterable[tuple[int, Prediction]], source: str) -> Iterator[Block]:
    """Gather numbered predictions to blocks; a malformed mask is an InputError that says where it is."""
    numbers: list[int] = []
    gathered: list[Prediction] = []
    characters = 0
    for number, prediction in predictions:
        numbers.append(number)
        gathered.append(prediction)
        characters += 0 if prediction.mask is None else len(prediction.mask.counts)
        if len(gathered) == _BLOCK_MASKS or characters >= _BLOCK_CHARACTERS:
            yield _decode_block(source, numbers, gathered)
            numbers, gathered, characters = [], [], 0
    if gathered:
        yield _decode_block(source, numbers, gathered)


def _decode_block(source: str, numbers: list[int], predictions: list[Prediction]) -> Block:
    masks = [prediction.mask for prediction in predictions if prediction.mask is not None]
    try:
        return Block(source, numbers, predictions, decode_runs(masks) if masks else None)
    except InputError:
        for number, prediction in zip(numbers, predictions, strict=True):
            try:
                if prediction.mask is not None:
                    decode_runs([prediction.mask])
            except InputError as error:
                raise InputError(f"{source} {number} (id {prediction.id!r:.80}): {error}") from None
        raise


def parse_prediction(record: dict[str, Any]) -> Prediction:
    """Check the fields of a line, all but the content of its mask."""
    identifier, noun = parse_pair(record)
    tau, mask = record.get("tau", ...), record.get("mask", ...)
    if tau is not None and not (type(tau) in (int, float) and 0 <= tau <= 1):
        given = "missing" if tau is ... else f"{tau!r:.40}"
        raise InputError(f'"tau" must be null or a number from 0 to 1, not {given}')
    if mask is None:
        return Prediction(identifier, noun, tau, None)
    if type(mask) is not dict:
        raise InputError(
            '"mask" must be an object {"size": [height, width], "counts": "..."}, or null for no prediction'
        )
    size, counts = mask.get("size"), mask.get("counts")
    if type(size) is not list or len(size) != 2:
        raise InputError(f'the "size" of a mask must be [height, width], not {size!r:.60}')
    if type(counts) is not str:
        raise InputError(
            'the "counts" of a mask must be a string, COCO\'s compressed RLE; encode it with pycocotools'
        )
    return Prediction(identifier, noun, tau, RLE((size[0], size[1]), counts))


def parse_pair(record: dict[str, Any]) -> tuple[str, int]:
    """Return the checked "id" and "noun" of a line."""
    identifier, noun = record.get("id"), record.get("noun")
    if type(identifier) is not str:
        raise InputError(f'"id" must be a string, the id of an example, not {identifier!r:.40}')
    if type(noun) is not int or noun < 0:
        raise InputError(f'"noun" must be the index of a noun in its example, from 0, not {noun!r:.40}')
    return identifier, noun


class PredictionsWriter(LinesWriter):
    """Appends predictions to a file, batch by batch, and knows what a killed run has left to do.

    Args:
        path: The predictions file.
        header: Its header, see `LinesWriter`.
        taus: The thresholds that a pair needs to be done: (None,) for a method that gives hard masks.
        restart: Overwrite an existing file.

    Attributes:
        done: The pairs (id, noun) whose every tau is in the file.
        existing_taus: The thresholds in the file as it was found: empty for a fresh one, {None} for one of
            hard masks.

    Raises:
        InputError: The existing file has another header or a malformed line.
    """

    def __init__(
        self,
        path: Path | str,
        header: PredictionsHeader,
        *,
        taus: Collection[float | None] = (None,),
        restart: bool = False,
    ) -> None:
        self.done: set[tuple[str, int]]
        self._taus: dict[tuple[str, int], tuple[float | None, ...]] = {}
        self.need(taus)
        super().__init__(path, header, restart=restart, existing=self._read)
        self.existing_taus: frozenset[float | None] = frozenset(chain(*self._taus.values()))

    @property
    def nouns(self) -> int:
        """Number of nouns with a prediction at any threshold."""
        return len(self._taus)

    def need(self, taus: Collection[float | None]) -> None:
        """Set the thresholds that a pair needs to be done."""
        self._needed = frozenset(taus)
        self.done = {pair for pair, found in self._taus.items() if self._needed.issubset(found)}

    def append(self, predictions: Iterable[Prediction]) -> None:
        """Append predictions and flush them; those that the file already holds are left out."""
        new = [prediction for prediction in predictions if self._note(prediction)]
        self.write(
            {
                "id": prediction.id,
                "noun": prediction.noun,
                "tau": prediction.tau,
                "mask": None
                if (mask := prediction.mask) is None
                else {"size": mask.size, "counts": mask.counts},
            }
            for prediction in new
        )

    def _read(self, lines: Iterator[Line]) -> None:
        for block in _blocks(self.path, lines):
            for prediction in block.predictions:
                self._note(prediction)

    def _note(self, prediction: Prediction) -> bool:
        """Remember a prediction; False if it is there already."""
        pair = (prediction.id, prediction.noun)
        found = self._taus.get(pair, ())
        if prediction.tau in found:
            return False
        self._taus[pair] = (*found, prediction.tau)
        if self._needed.issubset(self._taus[pair]):
            self.done.add(pair)
        return True


class NounHeatMap(NamedTuple):
    """The heat map of a noun, float32 (height, width) at its own resolution, finite, >= 0."""

    id: str
    noun: int
    values: FloatMap


class HeatMapsWriter(LinesWriter):
    """Appends heat maps to `heat_maps.jsonl` beside the predictions file, whose header it has.

    `done` are the pairs (id, noun) that the file holds. For the rest see `LinesWriter`.
    """

    def __init__(self, path: Path | str, header: PredictionsHeader, *, restart: bool = False) -> None:
        self.done: set[tuple[str, int]] = set()
        super().__init__(path, header, restart=restart, existing=self._read)

    def append(self, maps: Iterable[NounHeatMap]) -> None:
        """Append heat maps and flush them; those that the file already holds are left out."""
        self.append_packed(pack_map(*entry) for entry in maps if (entry.id, entry.noun) not in self.done)

    def append_packed(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append what `pack_map` returned, and flush it; what the file already holds is left out."""
        new: list[Mapping[str, Any]] = []
        for record in records:
            pair = (record["id"], record["noun"])
            if pair not in self.done:
                self.done.add(pair)
                new.append(record)
        self.write(new)

    def _read(self, lines: Iterator[Line]) -> None:
        self.done |= {(entry.id, entry.noun) for entry in _maps(self.path, lines)}


def read_heat_maps(path: Path | str) -> tuple[PredictionsHeader, Iterator[NounHeatMap]]:
    """Read a file of heat maps, one at a time, as `read_predictions` does."""
    path = Path(path)
    header, lines = read_lines(path)
    return header, _maps(path, lines)


def _maps(path: Path, lines: Iterable[Line]) -> Iterator[NounHeatMap]:
    for line in lines:
        try:
            yield NounHeatMap(*parse_pair(line.record), parse_map(line.record.get("map")))
        except InputError as error:
            raise InputError(f"{path}, line {line.number}: {error}") from None


def pack_map(identifier: str, noun: int, values: FloatMap) -> dict[str, Any]:
    """Return the record of a heat map: what costs time in writing it."""
    check_map_size(values.shape)
    values = np.ascontiguousarray(values, dtype="<f4")
    data = base64.b64encode(zlib.compress(values.tobytes())).decode("ascii")
    return {"id": identifier, "noun": noun, "map": {"shape": values.shape, "data": data}}


def parse_map(record: Any, image: tuple[int, int] | None = None) -> FloatMap:
    """Return the checked "map" of a line: float32 (height, width), finite, >= 0.

    It is decoded only if `check_map_size` lets it pass, for an image of (height, width) if that is known.
    """
    if type(record) is not dict:
        raise InputError('"map" must be an object {"shape": [height, width], "data": "..."}')
    shape, data = record.get("shape"), record.get("data")
    if (
        type(shape) is not list
        or len(shape) != 2
        or not all(type(side) is int and 0 < side <= MAX_SIDE for side in shape)
    ):
        raise InputError(
            f'the "shape" of a map must be [height, width], 1 to {MAX_SIDE} each, not {shape!r:.60}'
        )
    check_map_size((shape[0], shape[1]), image)
    if type(data) is not str:
        raise InputError('the "data" of a map must be a string, base64 of zlib of little-endian float32')
    size = 4 * shape[0] * shape[1]
    try:
        inflate = zlib.decompressobj()
        content = inflate.decompress(base64.b64decode(data, validate=True), size + 1)
    except (zlib.error, binascii.Error, ValueError):
        raise InputError('the "data" of a map is not base64 of zlib; write it with HeatMapsWriter') from None
    if inflate.unused_data:
        raise InputError('the "data" of a map goes on after its end; write it with HeatMapsWriter')
    if len(content) != size or not inflate.eof:
        raise InputError(f'the "data" of a map does not hold {shape[0]} x {shape[1]} float32 values')
    values = np.frombuffer(content, "<f4").reshape(shape).astype(np.float32)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError("a map holds values that are negative or not finite; clamp them to 0 and up")
    return values
