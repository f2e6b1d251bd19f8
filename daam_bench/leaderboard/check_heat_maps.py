"""Checking a file of heat maps from a stranger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daam_bench.files.heat_maps import parse_map
from daam_bench.files.predictions import parse_pair
from daam_bench.leaderboard.check_predictions import Nouns
from daam_bench.leaderboard.limits import MAX_MAP_SIDE
from daam_bench.leaderboard.lines import check_header, read_records
from daam_bench.leaderboard.problems import Problems
from daam_bench.leaderboard.submission import Claims
from daam_bench.leaderboard.untrusted import shown
from daam_bench.types import Split
from daam_bench.types.errors import InputError


def check_heat_maps(path: Path, place: str, split: Split, claims: Claims, problems: Problems) -> None:
    """Check a file of heat maps in full: at most one a noun. A noun without one has no prediction.

    Args:
        path: The file.
        place: What to call it in a problem.
        split: The split that it must be of.
        claims: What `submission.json` says of it.
        problems: What is wrong is added here: all of it.
    """
    nouns = Nouns(split)
    seen: dict[tuple[str, int], int] = {}
    for record in read_records(path, place, 1 + len(nouns), problems):
        if record.number == 1:
            check_header(record, split, claims, problems)
            continue
        where = record.place
        try:
            identifier, noun = parse_pair(record.values)
            where += f" (id {shown(identifier)}, noun {shown(noun)})"
            nouns.find(identifier, noun)
            _check_shape(record.values.get("map"))
            parse_map(record.values.get("map"))
            if (identifier, noun) in seen:
                raise InputError(f"a second heat map, after line {seen[identifier, noun]}")
            seen[identifier, noun] = record.number
        except InputError as error:
            problems.add(where, str(error))


def _check_shape(record: Any) -> None:
    shape = record.get("shape") if isinstance(record, dict) else None
    if isinstance(shape, list) and any(type(side) is int and side > MAX_MAP_SIDE for side in shape):
        raise InputError(f"a heat map of {shown(shape)}; {MAX_MAP_SIDE} a side at most, resize it")
