"""Masks or heat maps that any other program made, as a method."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daam_bench.segmenters.closed_vocabulary import check_score
from daam_bench.segmenters.coco_results import noun_of_text, read_results
from daam_bench.types import BoolMask, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap, check_map_size
from daam_bench.types.segmentations import Segmentation

logger = logging.getLogger(__name__)

_SUFFIXES = (".png", ".npy")
"""What a file's name may end with."""

_MODES = ("1", "L", "P", "I", "I;16")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class Precomputed:
    """Reads what is in a folder. A noun that has nothing there has no prediction; a warning says how many.

    For each split the folder holds one of

    - `<split>/<id of the example>/<noun>.png`: a mask of the image's size with one channel, 0 and one other
      value; or `<noun>.npy`: booleans of the image's size are a mask, floats of any size >= 0 a heat map.
      `<noun>` is its index in the example, from 0, or its text in the prompt where that is unique there;
    - `<split>.json`: COCO results, see `daam_bench.segmenters.coco_results.read_results`.

    Args:
        source: The folder.
        name: Name of the method in reports.
        score: Least score in [0, 1] of COCO results that have one.

    Raises:
        InputError: There is no such folder, or `score` is out of range.
    """

    needs = "masks or heat maps in files"

    def __init__(self, source: str, name: str = "precomputed", score: float = 0.5) -> None:
        self.name = name
        self._folder = Path(source)
        if not self._folder.is_dir():
            raise InputError(f"no folder {source}; give the one with the masks: --from DIR")
        self._least_score = check_score(score)
        self._has_begun = False
        self._files: dict[tuple[str, int], Path] = {}
        self._masks: Mapping[tuple[str, int], BoolMask] = {}
        self.parameters: Mapping[str, Any] = {
            "source": self._folder.absolute().name,
            "sha256": _digest(self._folder),
            "score": score,
        }

    def begin_split(self, name: str, queries: Sequence[Query]) -> None:
        """Look up what the folder holds for a split.

        Raises:
            InputError: It holds nothing for it, both kinds, or files of which none can tell whose they are.
        """
        folder, file = self._folder / name, self._folder / f"{name}.json"
        if folder.is_dir() == file.is_file():
            found = "both" if file.is_file() else "neither"
            raise InputError(f"{self._folder} holds {found} of {folder.name}/ and {file.name}; give one")
        self._has_begun, self._files, self._masks, strays = True, {}, {}, 0
        if file.is_file():
            self._masks, strays = read_results(file, queries, self._least_score)
        else:
            self._files, strays = _find_files(folder, queries)
        nouns = sum(len(query.nouns) for query in queries)
        missing = nouns - len(self._files) - len(self._masks)
        if missing:
            logger.warning(
                "%s: %d of %d nouns have no mask in %s; they have no prediction",
                name,
                missing,
                nouns,
                self._folder,
            )
        if strays:
            logger.warning("%s: %d masks in %s belong to no noun of the split", name, strays, self._folder)

    def segment(self, queries: Sequence[Query]) -> list[list[Segmentation]]:
        """Return what the folder holds for each noun; None where there is nothing.

        Raises:
            InputError: A file can't be read, or its mask has another size than the image.
        """
        if not self._has_begun:
            raise InputError(
                "precomputed masks are of a split: call begin_split first, or daam_bench.segment"
            )
        return [[self._read(query, noun) for noun in range(len(query.nouns))] for query in queries]

    def _read(self, query: Query, noun: int) -> Segmentation:
        file = self._files.get((query.id, noun))
        if file is None:
            return self._masks.get((query.id, noun))
        read = _read_png if file.suffix == ".png" else _read_npy
        return read(file, (query.image.height, query.image.width))


def _find_files(folder: Path, queries: Sequence[Query]) -> tuple[dict[tuple[str, int], Path], int]:
    """Return the file of each noun that has one, and how many files belong to no noun."""
    by_id = {query.id: query for query in queries}
    for identifier in by_id:
        if Path(identifier).name != identifier:
            raise InputError(
                f"the id {identifier!r} names no folder; give the masks as COCO results, {folder.name}.json"
            )
    files: dict[tuple[str, int], Path] = {}
    strays = 0
    for path in sorted(path for path in folder.glob("*/*") if path.suffix in _SUFFIXES):
        query = by_id.get(path.parent.name)
        try:
            noun = None if query is None else _noun(query, path.stem)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if query is None or noun is None:
            strays += 1
            continue
        other = files.setdefault((query.id, noun), path)
        if other is not path:
            raise InputError(f"{path} and {other.name} are of the same noun; remove one of them")
    return files, strays


def _noun(query: Query, stem: str) -> int | None:
    if stem.isdecimal():
        return int(stem) if int(stem) < len(query.nouns) else None
    return noun_of_text(query, stem)


def _digest(folder: Path) -> str:
    """Return a hex SHA-256 over the files that may hold masks, with their names."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (*_SUFFIXES, ".json"):
            total.update(path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape") + b"\0")
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _read_png(path: Path, size: tuple[int, int]) -> BoolMask:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            _check_size(path, (image.height, image.width), size)
            if image.mode not in _MODES:
                raise InputError(f"{path}: an image of mode {image.mode}; a mask has one channel")
            values = np.asarray(image)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"{path} can't be read as PNG: {error}") from None
    if len(np.setdiff1d(values, [0])) > 1:
        raise InputError(
            f"{path}: more than one value besides 0; a mask has one (save a heat map as .npy of floats)"
        )
    mask: BoolMask = values != 0
    return mask


def _read_npy(path: Path, size: tuple[int, int]) -> BoolMask | HeatMap:
    """Read booleans as a mask of the image's (height, width), floats of any size as a heat map."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise InputError(f"{path} can't be read as .npy: {error}") from None
    if not isinstance(values, np.ndarray):
        raise InputError(f"{path} is a .npz by its content; save one array with numpy.save")
    if values.dtype == np.bool_:
        _check_size(path, values.shape, size)
        return np.array(values)
    try:
        check_map_size(values.shape, size)
        return HeatMap(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_size(path: Path, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if found != size:
        raise InputError(
            f"{path}: a mask of (height, width) {found} for an image of {size}; resize it to the image"
        )
