"""Checking a submission in full: a folder that nobody vouches for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from os.path import lexists
from pathlib import Path
from typing import Any

import numpy as np

from daam_bench.datasets.load import DEV
from daam_bench.files import HEAT_MAPS, PREDICTIONS
from daam_bench.files.json_lines import FORMAT, MAX_LINE, Line, check_lines
from daam_bench.files.outside import shown
from daam_bench.files.predictions import parse_map, parse_pair, parse_prediction
from daam_bench.leaderboard import SPLITS, SUBMISSION
from daam_bench.leaderboard.reading import (
    DEV_HELP,
    HOSTS_RECORD,
    HOSTS_RECORD_HELP,
    MAX_FILE,
    MAX_SPARE_LINES,
    Problems,
    check_plain_file,
    read_bounded,
)
from daam_bench.leaderboard.submission import MAX_TAUS, Claims, Submission, parse_submission
from daam_bench.scoring.results import HARD, tau_key
from daam_bench.types import FloatMap, Prediction, Query, Split
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode, decode_runs

NEAR = 1e-4
"""How far from the threshold, as a share of the map's maximum, a pixel on its other side may be.

Upscaling ends in other last digits on another machine.
"""

MOST_NEAR = 0.01
"""Largest share of an image's pixels that may be so."""

_SPARE_CHARACTERS = 64
_HEADER_HELP = {
    "fingerprint": ": it was made on other content; run the method on the dataset as it is now",
    "method": ", as submission.json says; one of the two is wrong",
    "parameters": ", as submission.json says; one of the two is wrong",
}


@dataclass(frozen=True, slots=True)
class CheckedSplit:
    """A method's predictions on a split, one a noun and tau in its order, and its heat maps' file."""

    split: Split
    predictions: Sequence[Prediction]
    heat_maps: Path | None


@dataclass(frozen=True, slots=True)
class CheckedSubmission:
    """A submission that nothing is wrong with, and what it holds by split."""

    submission: Submission
    splits: Mapping[str, CheckedSplit]


def validate(
    folder: Path, splits: Sequence[Split], problems: Problems, description: bytes | None = None
) -> CheckedSubmission | None:
    """Check a submission in full, and return it unless anything is wrong.

    Args:
        folder: The submission. Files that it needn't have are not looked at.
        splits: The splits of the dataset, all of `SPLITS`; others are checked where the folder has them.
        problems: What is wrong is added here: all of it.
        description: A `submission.json` to take in place of the folder's.
    """
    before = len(problems)
    submission, claims = None, Claims()
    if lexists(folder / HOSTS_RECORD):
        problems.add(HOSTS_RECORD, HOSTS_RECORD_HELP)
    if lexists(folder / DEV):
        problems.add(DEV, DEV_HELP)
    try:
        content = read_bounded(folder / SUBMISSION) if description is None else description
        submission, claims = parse_submission(content, problems)
    except InputError as error:
        problems.add(SUBMISSION, str(error))
    checked = {
        split.name: _SplitFiles(folder, split, claims, problems).check()
        for split in splits
        if split.name in SPLITS or lexists(folder / split.name)
    }
    with_maps = [name for name, found in checked.items() if found.heat_maps is not None]
    if with_maps:
        if claims.taus == ():
            problems.add(
                f"{with_maps[0]}/{HEAT_MAPS}",
                f'heat maps of a method of hard masks; take them out, or give {SUBMISSION} its "taus"',
            )
        # Scenes are many, and optional altogether: they may come with masks alone.
        for name in checked.keys() & set(SPLITS) - set(with_maps):
            problems.add(
                f"{name}/{HEAT_MAPS}", f"is missing, but {with_maps[0]} has one; give every split's or none"
            )
    if submission is None or len(problems) > before:
        return None
    return CheckedSubmission(submission, checked)


class _SplitFiles:
    """The untrusted files of one split. What `claims`, of `submission.json`, leave open is not checked."""

    def __init__(self, folder: Path, split: Split, claims: Claims, problems: Problems) -> None:
        self._folder, self._split, self._claims, self._problems = folder, split, claims, problems
        self._queries = {query.id: query for query in split.queries()}
        self._pairs = [(query.id, noun) for query in split.queries() for noun in range(len(query.nouns))]
        self._found: dict[tuple[str, int, str], tuple[int, Prediction]] = {}

    def check(self) -> CheckedSplit:
        """Check the predictions, and the heat maps if there are any."""
        name = self._split.name
        folder = self._folder / name
        heat_maps = folder / HEAT_MAPS if lexists(folder / HEAT_MAPS) else None
        predictions: list[Prediction] = []
        if folder.is_symlink():
            self._problems.add(name, "is a link; put the folder itself there")
        elif not lexists(folder / PREDICTIONS):
            text = f"is missing; a submission has the predictions of {' and '.join(SPLITS)}"
            if name not in SPLITS:
                text = f"is missing; take the folder {name} out, or put its predictions there"
            self._problems.add(f"{name}/{PREDICTIONS}", text)
        else:
            predictions = self._check_predictions()
            if heat_maps is not None:
                self._check_heat_maps()
        return CheckedSplit(self._split, predictions, heat_maps)

    def _check_predictions(self) -> list[Prediction]:
        """Return one mask a pair and tau, in the split's order; of use only if no problem was added."""
        taus = self._claims.taus
        wanted = {tau_key(tau): tau for tau in taus or (None,)}
        found = self._found
        for line in self._lines(PREDICTIONS, len(self._pairs) * (MAX_TAUS if taus is None else len(wanted))):
            try:
                prediction = self._parse_prediction(line.record)
                key = tau_key(prediction.tau)
                if taus is not None and wanted.get(key, ...) != prediction.tau:
                    tau = json.dumps(prediction.tau)
                    raise InputError(f"tau {tau} is not among those of submission.json: {', '.join(wanted)}")
                number, first = found.setdefault(
                    (prediction.id, prediction.noun, key), (line.number, prediction)
                )
                if first is not prediction:
                    raise InputError(f"a second prediction at tau {key}, after line {number}")
            except InputError as error:
                self._add(PREDICTIONS, line, error)
        if taus is None:
            return []
        for identifier, noun in self._pairs:
            missing = [tau for tau in wanted if (identifier, noun, tau) not in found]
            if missing:
                at = "" if missing == [HARD] else f" at tau {', '.join(missing)}"
                self._problems.add(
                    f"{self._split.name}/{PREDICTIONS}",
                    f"no prediction of id {shown(identifier)}, noun {noun}{at}",
                )
        keys = [(*pair, tau) for pair, tau in product(self._pairs, wanted)]
        return [found[key][1] for key in keys if key in found]

    def _check_heat_maps(self) -> None:
        """Check that a noun has at most one heat map, and the masks that it gives; one without has none."""
        before, seen = len(self._problems), dict[tuple[str, int], int]()
        for line in self._lines(HEAT_MAPS, len(self._pairs)):
            try:
                pair = parse_pair(line.record)
                image = self._find(*pair).image
                if seen.setdefault(pair, line.number) != line.number:
                    raise InputError(f"a second heat map, after line {seen[pair]}")
                values = parse_map(line.record.get("map"), (image.height, image.width))
                self._check_masks(pair, _resized(values, image.size))
            except InputError as error:
                self._add(HEAT_MAPS, line, error)
        if len(self._problems) > before:
            return
        for (identifier, noun, tau), (number, prediction) in self._found.items():
            if (identifier, noun) not in seen and prediction.mask is not None:
                self._problems.add(
                    f"{self._split.name}/{PREDICTIONS}, line {number} (id {shown(identifier)}, noun {noun})",
                    f"a mask at tau {tau} of a noun without a heat map; add the map, or make the mask null",
                )

    def _check_masks(self, pair: tuple[str, int], heat_map: HeatMap) -> None:
        """Threshold a heat map, resized to its image, again at every tau, and compare with the masks."""
        for tau in self._claims.taus or ():
            _, prediction = self._found.get((*pair, tau_key(tau)), (0, None))
            if prediction is None:
                continue
            if prediction.mask is None:
                raise InputError(f"a heat map of a noun whose mask at tau {tau_key(tau)} is null")
            wrong = heat_map.threshold(tau) != decode(prediction.mask)
            level = np.float32(tau) * heat_map.values.max()
            near = np.abs(heat_map.values - level) <= NEAR * heat_map.values.max()
            if (wrong & ~near).any() or wrong.sum() > max(1, MOST_NEAR * wrong.size):
                raise InputError(
                    f"the mask at tau {tau_key(tau)} is not what this heat map gives: {wrong.sum()} of "
                    f"{wrong.size} pixels differ; threshold it at tau times its maximum"
                )

    def _lines(self, name: str, expected: int) -> Iterator[Line]:
        """Check the header of a file, and yield the lines after it."""
        place = f"{self._split.name}/{name}"
        path = self._folder / place
        try:
            check_plain_file(path, MAX_FILE)
            if not path.stat().st_size:
                raise InputError("is empty; its first line is the header")
        except InputError as error:
            self._problems.add(place, str(error))
            return
        for line in check_lines(
            path,
            lambda number, text: self._problems.add(f"{place}, line {number}", text),
            most=1 + expected + MAX_SPARE_LINES,
            longest=MAX_LINE,
        ):
            if line.number == 1:
                self._check_header(line.record, f"{place}, line 1")
            else:
                yield line

    def _check_header(self, record: Mapping[str, Any], place: str) -> None:
        """Check the format, the split with its content, and the method."""
        wanted: dict[str, Any] = {
            "daam_bench": FORMAT,
            "split": self._split.name,
            "fingerprint": self._split.fingerprint,
        }
        said = {"method": self._claims.method, "parameters": self._claims.parameters}
        wanted |= {field: value for field, value in said.items() if value is not None}
        for field, value in wanted.items():
            if field not in record:
                self._problems.add(place, f'the header has no "{field}"')
            elif not _is_same(record[field], value):
                self._problems.add(
                    place,
                    f'the header\'s "{field}" is {shown(record[field])}, not {shown(value)}'
                    f"{_HEADER_HELP.get(field, '')}",
                )
        found, name = record.get("dataset"), Path(self._split.dataset).absolute().name
        if not isinstance(found, str) or Path(found).name != name:
            self._problems.add(place, f'the header\'s "dataset" is {shown(found)}, not {shown(name)}')

    def _find(self, identifier: str, noun: int) -> Query:
        """Return the query that holds a noun."""
        query = self._queries.get(identifier)
        if query is None:
            raise InputError(f"{self._split.name} has no example with the id {shown(identifier)}")
        if noun >= len(query.nouns):
            raise InputError(f"noun {shown(noun)} of an example that has {len(query.nouns)}, counted from 0")
        return query

    def _parse_prediction(self, record: dict[str, Any]) -> Prediction:
        """Return a line's prediction, of a known pair and with a mask of its image's size."""
        query = self._find(*parse_pair(record))
        prediction = parse_prediction(record)
        if prediction.mask is None:
            return prediction
        found, size = prediction.mask.size, (query.image.height, query.image.width)
        if found != size or not all(type(side) is int for side in found):
            raise InputError(
                f"a mask of [height, width] {shown(list(found))} for an image of {list(size)}; "
                "resize it to the image"
            )
        if len(prediction.mask.counts) > 2 * size[0] * size[1] + _SPARE_CHARACTERS:
            raise InputError("the counts of the mask are longer than those of any mask of this size")
        decode_runs([prediction.mask])
        return prediction

    def _add(self, name: str, line: Line, error: InputError) -> None:
        """Add what is wrong with a line, with its pair if it says so itself."""
        place = f"{self._split.name}/{name}, line {line.number}"
        try:
            identifier, noun = parse_pair(line.record)
            place += f" (id {shown(identifier)}, noun {shown(noun)})"
        except InputError:
            pass
        self._problems.add(place, str(error))


def _resized(values: FloatMap, size: tuple[int, int]) -> HeatMap:
    """Resize as scoring does, which a map with values near the largest of float32 does not survive."""
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            return HeatMap(values).resize(size)
        except InputError:
            raise InputError(
                "a map whose values get too large when resized; divide it by its maximum"
            ) from None


def _is_same(found: Any, wanted: Any) -> bool:
    """Compare JSON values; true is not 1."""
    if isinstance(wanted, Mapping):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(_is_same(found[key], wanted[key]) for key in wanted)
        )
    if isinstance(wanted, list | tuple):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_is_same, found, wanted))
    return (type(found) is bool) == (type(wanted) is bool) and bool(found == wanted)
