"""Damaged submissions in their thousands: none may end in a traceback, take long, or be accepted as another.

python -m tests.leaderboard.fuzz --count 10000 --seed 0
"""

import argparse
import collections
import json
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import fields
from pathlib import Path

from daam_bench.console import one_line
from daam_bench.files.predictions import read_heat_maps
from daam_bench.leaderboard.checking import CheckedSubmission, validate
from daam_bench.leaderboard.entries import accept, load_splits
from daam_bench.leaderboard.reading import Problems, opened
from daam_bench.leaderboard.submission import Submission
from daam_bench.types import Split
from daam_bench.types.errors import InputError, printable
from daam_bench.types.masks import decode
from tests.leaderboard.mutations import Members, write_mutated
from tests.leaderboard.packed import members_of, pack_run, run_method
from tests.leaderboard.plain_reading import read_files, read_headers, read_maps, read_masks
from tests.tiny_dataset import make_dataset

LONGEST = 1.0
"""Seconds of processor time that checking one submission may take."""


def fuzz_one(members: Members, splits: list[Split], seed: int) -> tuple[str, float]:
    """Damage a submission and check it.

    Returns:
        "refused" or "accepted", and the seconds of processor time that checking took.

    Raises:
        Exception: Anything else happened.
    """
    random_ = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = Path(scratch)
        source = write_mutated(members, place, random_)
        problems = Problems()
        started = time.process_time()
        try:
            with opened(source) as folder:
                checked = validate(folder, splits, problems)
                seconds = time.process_time() - started
                if checked is not None:
                    assert not len(problems)
                    check_accepted(checked, source, splits)
                    accept(checked, place / "entries")
        except InputError as error:
            return _refused([one_line(error)]), time.process_time() - started
        if checked is not None:
            return "accepted", seconds
        return _refused(problems.lines()), seconds


def _refused(lines: list[str]) -> str:
    assert lines
    for line in lines:
        assert line == printable(line), line
    return "refused"


def check_accepted(checked: CheckedSubmission, source: Path, splits: list[Split]) -> None:
    """Compare what was accepted with a plain reading of the same files."""
    files = read_files(source)
    masks = read_masks(files)
    found = {
        (name, prediction.id, prediction.noun, prediction.tau): prediction.mask
        and decode(prediction.mask).ravel("F").tolist()
        for name, part in checked.splits.items()
        for prediction in part.predictions
    }
    assert masks == found
    taus = checked.submission.taus or (None,)
    assert masks.keys() == {
        (split.name, query.id, noun, tau)
        for split in splits
        for query in split.queries()
        for noun in range(len(query.nouns))
        for tau in taus
    }
    maps = {
        (name, entry.id, entry.noun): (*entry.values.shape, tuple(entry.values.ravel().tolist()))
        for name, part in checked.splits.items()
        if part.heat_maps is not None
        for entry in read_heat_maps(part.heat_maps)[1]
    }
    assert read_maps(files) == maps
    fingerprints = {split.name: split.fingerprint for split in splits}
    for name, header in read_headers(files).items():
        assert header["split"] == name.split("/")[0]
        assert header["fingerprint"] == fingerprints[header["split"]]
        assert (header["daam_bench"], header["method"]) == (2, checked.submission.method)
        assert header["parameters"] == checked.submission.parameters
    said = json.loads(files["submission.json"])
    for field in fields(Submission):
        if field.name != "environment":
            assert said.get(field.name) == _plain(checked.submission, field.name)


def _plain(submission: Submission, name: str) -> object:
    value = getattr(submission, name)
    return list(value) if isinstance(value, tuple) else value


def main() -> int:
    """Fuzz, and print the tally."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally: collections.Counter[str] = collections.Counter()
    slowest = (0.0, 0)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = make_dataset(Path(scratch) / "tiny")
        starts = []
        for name, method in {"soft": "tests.segmenters.methods:Gradient", "hard": "random"}.items():
            run = run_method(dataset, Path(scratch) / name, method)
            assert pack_run(dataset, run, Path(scratch) / f"{name}.zip", name=name) == 0
            starts.append(members_of(Path(scratch) / f"{name}.zip"))
        splits = load_splits(str(dataset))
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            signal.alarm(60)
            try:
                outcome, seconds = fuzz_one(starts[seed % 2], splits, seed)
            except Exception:
                outcome, seconds = "failed", 0.0
                sys.stdout.write(f"seed {seed}:\n{traceback.format_exc()}\n")
            tally[outcome] += 1
            tally["slow"] += seconds > LONGEST
            slowest = max(slowest, (seconds, seed))
    signal.alarm(0)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.items()))
    sys.stdout.write(
        f"{arguments.count} submissions: {counts}; slowest {slowest[0]:.2f} s (seed {slowest[1]})\n"
    )
    return 1 if tally["failed"] or tally["slow"] else 0


if __name__ == "__main__":
    sys.exit(main())
