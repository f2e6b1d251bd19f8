"""Checking a predictions file from a stranger: one mask a pair and tau, each at its image's size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from daam_bench.files.predictions import parse_pair, parse_prediction
from daam_bench.leaderboard.lines import Record, check_header, read_records
from daam_bench.leaderboard.problems import Problems
from daam_bench.leaderboard.submission import MAX_TAUS, Claims
from daam_bench.leaderboard.untrusted import shown
from daam_bench.scoring.results import HARD, tau_key
from daam_bench.types import Prediction, Query, Split
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode_runs

_SPARE_CHARACTERS = 64


class Nouns:
    """The nouns of a split, found by what a line says.

    Args:
        split: The split.
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        self._queries = {query.id: query for query in split.queries()}

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return ((query.id, noun) for query in self._queries.values() for noun in range(len(query.nouns)))

    def __len__(self) -> int:
        return sum(len(query.nouns) for query in self._queries.values())

    def find(self, identifier: str, noun: int) -> Query:
        """Return the query that holds a noun.

        Raises:
            InputError: The split has no such id, or its example no such noun.
        """
        query = self._queries.get(identifier)
        if query is None:
            raise InputError(f"{self.split.name} has no example with the id {shown(identifier)}")
        if noun >= len(query.nouns):
            raise InputError(f"noun {shown(noun)} of an example that has {len(query.nouns)}, counted from 0")
        return query


def check_predictions(
    path: Path, place: str, split: Split, claims: Claims, problems: Problems
) -> list[Prediction]:
    """Check a predictions file in full.

    Args:
        path: The file.
        place: What to call it in a problem.
        split: The split that it must be of.
        claims: What `submission.json` says of it. What that leaves open is not checked.
        problems: What is wrong is added here: all of it.

    Returns:
        The predictions in the split's order, by noun and tau; of use only if no problem was added.
    """
    nouns = Nouns(split)
    wanted = {tau_key(tau): tau for tau in claims.taus or (None,)}
    found: dict[tuple[str, int, str], tuple[int, Prediction]] = {}
    expected = 1 + len(nouns) * (MAX_TAUS if claims.taus is None else len(wanted))
    for record in read_records(path, place, expected, problems):
        if record.number == 1:
            check_header(record, split, claims, problems)
            continue
        try:
            prediction = _check_line(record, nouns)
            key = tau_key(prediction.tau)
            if claims.taus is not None and wanted.get(key, ...) != prediction.tau:
                tau = json.dumps(prediction.tau)
                raise InputError(f"tau {tau} is not among those of submission.json: {', '.join(wanted)}")
        except InputError as error:
            problems.add(record.place + _pair(record), str(error))
            continue
        line, first = found.setdefault((prediction.id, prediction.noun, key), (record.number, prediction))
        if first is not prediction:
            problems.add(record.place + _pair(record), f"a second prediction at tau {key}, after line {line}")
    if claims.taus is None:
        return []
    for identifier, noun in nouns:
        missing = [tau for tau in wanted if (identifier, noun, tau) not in found]
        if missing:
            at = "" if missing == [HARD] else f" at tau {', '.join(missing)}"
            problems.add(place, f"no prediction of id {shown(identifier)}, noun {noun}{at}")
    return [
        found[identifier, noun, tau][1]
        for (identifier, noun), tau in product(nouns, wanted)
        if (identifier, noun, tau) in found
    ]


def _check_line(record: Record, nouns: Nouns) -> Prediction:
    """Return a line's prediction.

    Raises:
        InputError: Its fields are wrong, its pair is unknown, or its mask is malformed or of a wrong size.
    """
    query = nouns.find(*parse_pair(record.values))
    prediction = parse_prediction(record.values)
    size = (query.image.height, query.image.width)
    if not _is_size(prediction.mask.size, size):
        raise InputError(
            f"a mask of [height, width] {shown(list(prediction.mask.size))} for an image of {list(size)}; "
            "resize it to the image"
        )
    if len(prediction.mask.counts) > 2 * size[0] * size[1] + _SPARE_CHARACTERS:
        raise InputError("the counts of the mask are longer than those of any mask of this size")
    decode_runs([prediction.mask])
    return prediction


def _is_size(found: tuple[object, object], size: tuple[int, int]) -> bool:
    return all(type(side) is int for side in found) and found == size


def _pair(record: Record) -> str:
    """Say which pair a line is of, if it says so itself."""
    try:
        identifier, noun = parse_pair(record.values)
    except InputError:
        return ""
    return f" (id {shown(identifier)}, noun {shown(noun)})"
