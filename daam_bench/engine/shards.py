"""`--shard i/n`: every n-th batch, in a folder of its own; and how what all shards wrote is put together."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daam_bench.engine import SHARDS, B, WholeJob
from daam_bench.engine.places import visible_gpus
from daam_bench.engine.travel import agreement, check_agreement
from daam_bench.files.json_lines import read_lines
from daam_bench.files.locks import locked
from daam_bench.files.replacing import write_text
from daam_bench.types.errors import InputError

RECORD = "shard.json"
"""In the folder of a shard: what it must have in common with the others."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class Shard:
    """One of `count` shards; `number` counts from 1."""

    number: int
    count: int

    def part(self, batches: Sequence[B]) -> Sequence[B]:
        """Return every `count`-th batch.

        >>> Shard(2, 3).part(["a", "b", "c", "d", "e"])
        ['b', 'e']
        """
        return batches[self.number - 1 :: self.count]

    def below(self, output: Path) -> Path:
        """Return the folder of this shard."""
        return output / SHARDS / f"{self.number}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Return the shard that "i/n" names, or "auto": that of a Slurm array's task, or of a rank of `torchrun`.

    Raises:
        InputError: It names none, or the environment of "auto" does not.

    >>> parse_shard("2/4")
    Shard(number=2, count=4)
    >>> parse_shard("auto", {"RANK": "0", "WORLD_SIZE": "8"})
    Shard(number=1, count=8)
    """
    if text == "auto":
        return _of_environment(environment)
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--shard is i/n with i from 1 to n, such as 2/4, or auto; not {text!r}")
    return Shard(int(match[1]), int(match[2]))


def _of_environment(environment: Mapping[str, str]) -> Shard:
    def number(name: str, default: str = "") -> int:
        text = environment.get(name, default)
        if not text.isdecimal():
            raise InputError(f"--shard auto: {name} is {text!r}, no number; give --shard i/n")
        return int(text)

    in_array, in_group = "SLURM_ARRAY_TASK_ID" in environment, number("WORLD_SIZE", "1") > 1
    if in_array and in_group:
        raise InputError(
            "--shard auto: SLURM_ARRAY_TASK_ID and WORLD_SIZE are both set, so which is it? Give --shard i/n"
        )
    if in_array:
        count, step = number("SLURM_ARRAY_TASK_COUNT"), max(1, number("SLURM_ARRAY_TASK_STEP", "1"))
        place, rest = divmod(number("SLURM_ARRAY_TASK_ID") - number("SLURM_ARRAY_TASK_MIN", "0"), step)
    elif "RANK" in environment and "WORLD_SIZE" in environment:
        count, place, rest = number("WORLD_SIZE"), number("RANK"), 0
    else:
        raise InputError(
            "--shard auto needs SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, or RANK and WORLD_SIZE, in "
            "the environment, which has neither; give --shard i/n"
        )
    if rest or not 0 <= place < count:
        raise InputError(
            "--shard auto: the tasks of the array are not numbered evenly; use one such as --array=0-3, or "
            "give --shard i/n"
        )
    return Shard(place + 1, count)


def take_own_gpu(environment: Mapping[str, str] = os.environ) -> None:
    """Leave to this process the GPU of its local rank, of those that it shares with others of `torchrun`."""
    local, gpus = environment.get("LOCAL_RANK", ""), visible_gpus()
    if local.isdecimal() and len(gpus) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[int(local) % len(gpus)]


@dataclass
class OneShard(WholeJob):
    """The part of one shard."""

    shard: Shard
    output: Path
    batch_size: int
    is_whole = False

    def folder(self, output: Path) -> Path:
        """Return the folder of the shard below that of the whole."""
        return self.shard.below(output)

    def mine(self, batches: Sequence[B]) -> Sequence[B]:
        """Return the batches of the shard."""
        return self.shard.part(batches)

    def begin(self, what: str, batches: Sequence[B], missing: Sequence[B], about: Mapping[str, Any]) -> None:
        """Write down what the shards must have in common, or compare it with an earlier run's.

        Raises:
            InputError: What the shard did before was done otherwise.
        """
        super().begin(what, batches, missing, about)
        path = self.folder(self.output) / RECORD
        record = json.loads(json.dumps(agreement(about) | {"batch_size": self.batch_size}))
        if path.exists():
            check_agreement(record, _read(path), "this run", f"the one that began {path.parent}")
        write_text(path, json.dumps(record, indent=2) + "\n")


@dataclass
class AllShards(WholeJob):
    """The part that is the whole, of which shards have done some: `usual` is what these have in common."""

    output: Path
    found: Sequence[Shard]
    usual: Mapping[str, Any]
    has_shards = True
    _places: set[tuple[str, ...]] = field(default_factory=set)
    _read: set[str] = field(default_factory=set)
    _beyond: set[str] = field(default_factory=set)

    def records(self, header: Any, *place: str) -> Mapping[str, Records]:
        """Return the records of each id, in the files of one name of all shards.

        Raises:
            InputError: A file is malformed, or of another method, other parameters or another dataset.
        """
        by_id: dict[str, Records] = {}
        for shard in self.found:
            path = shard.below(self.output).joinpath(*place)
            if not path.exists():
                continue
            its_header, lines = read_lines(path)
            # A dataset of the same fingerprint may be spelled otherwise.
            alike = replace(its_header, dataset=header.dataset) if header.fingerprint else its_header
            if alike != header:
                raise InputError(
                    f"{path} was made with another method, other parameters or another dataset; run shard "
                    f"{shard} again with --restart, or all of it here"
                )
            with path.open("rb") as file:
                start = len(file.readline())
            for line in lines:
                by_id.setdefault(str(line.record.get("id")), Records()).add(
                    path, start, line.record, line.size
                )
                start += line.size
        self._places.add(place)
        self._read |= by_id.keys()
        return by_id

    def begin(self, what: str, batches: Sequence[B], missing: Sequence[B], about: Mapping[str, Any]) -> None:
        """Say which shard lacks what, and that it is done here.

        Raises:
            InputError: It can't be done here as the shards did it.
        """
        # Where they did all, their device counts.
        super().begin(what, batches, missing, about if missing else {**about, **self.usual})
        self._beyond |= self._read - {item.id for batch in batches for item in batch}
        self._read = set()
        lacking = {id(batch) for batch in missing}
        count = self.found[0].count
        for shard in (Shard(number + 1, count) for number in range(count)):
            part = shard.part(batches)
            number = sum(id(batch) in lacking for batch in part)
            if number:
                logger.warning(
                    "shard %s lacks %d of its %d batches of %s: they are done here",
                    shard,
                    number,
                    len(part),
                    what,
                )
        if missing and self.usual:
            here = agreement(about)
            check_agreement(
                here, {name: self.usual.get(name) for name in here}, "this machine", "the shards'"
            )

    def finish(self) -> bool:
        """Remove the folders of the shards, if all that they hold is in the files of the whole."""
        if self._beyond or any(map(self._holds_more, self.found)):
            logger.warning(
                "%s is kept: the shards did more images or splits than were asked for here; the same command "
                "with all of them joins the rest",
                self.output / SHARDS,
            )
            return False
        shutil.rmtree(self.output / SHARDS, ignore_errors=True)
        return True

    def _holds_more(self, shard: Shard) -> bool:
        """Whether a shard has images in files that nobody asked for here and the whole has not."""
        folder = shard.below(self.output)
        return any(
            (place := path.relative_to(folder)).parts not in self._places
            and not _ids(path) <= _ids(self.output / place)
            for path in folder.rglob("*.jsonl")
        )


@dataclass
class Records:
    """Where the lines of one id are, and for each its noun, its tau, and whether it has a mask."""

    places: list[tuple[Path, int, int]] = field(default_factory=list)
    keys: dict[tuple[Any, Any], bool] = field(default_factory=dict)

    def add(self, path: Path, start: int, record: Mapping[str, Any], size: int) -> None:
        """Note a line."""
        self.places.append((path, start, size))
        self.keys[record.get("noun"), record.get("tau")] = record.get("mask") is not None

    def read(self) -> Iterator[dict[str, Any]]:
        """Read the lines."""
        for path, start, size in self.places:
            with path.open("rb") as file:
                file.seek(start)
                yield json.loads(file.read(size))


def _ids(path: Path) -> set[Any]:
    return {line.record.get("id") for line in read_lines(path)[1]} if path.exists() else set()


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read ({error}); run that shard again with --restart") from None
    if not isinstance(record, dict):
        raise InputError(f"{path} is no record of a shard; run that shard again with --restart")
    return record


@contextmanager
def sharing(text: str | None, output: Path, batch_size: int, *, restart: bool = False) -> Iterator[WholeJob]:
    """Hold the lock of a shard, or of the whole with its shards, and tell which part of the work that is.

    Args:
        text: "i/n" or "auto"; None for the whole, to which what shards have done counts.
        output: Folder of the whole.
        batch_size: Size of the batches, which are what is dealt out to shards.
        restart: Nothing of an earlier run counts.

    Raises:
        InputError: Another process writes there, a shard is at work, or the shards don't fit together.
    """
    if text is not None:
        shard = parse_shard(text)
        if text == "auto":
            take_own_gpu()
        with locked(shard.below(output)):
            if restart:
                (shard.below(output) / RECORD).unlink(missing_ok=True)
            yield OneShard(shard, output, batch_size)
        return
    with locked(output), ExitStack() as locks:
        folders = {shard: shard.below(output) for shard in _shards_in(output)}
        for folder in folders.values():
            locks.enter_context(locked(folder))
        if restart or not folders:
            shutil.rmtree(output / SHARDS, ignore_errors=True)
            yield WholeJob()
        else:
            yield AllShards(output, list(folders), _common(output, folders, batch_size))


def _shards_in(output: Path) -> list[Shard]:
    names = (re.fullmatch(r"(\d+)-of-(\d+)", path.name) for path in output.glob(f"{SHARDS}/*-of-*"))
    return sorted(Shard(int(name[1]), int(name[2])) for name in names if name)


def _common(output: Path, folders: Mapping[Shard, Path], batch_size: int) -> dict[str, Any]:
    """Return what the shards have in common, if it is all that counts."""
    if len({shard.count for shard in folders}) > 1:
        raise InputError(
            f"{output / SHARDS} holds parts of several jobs ({', '.join(map(str, folders))}); remove those "
            "that don't belong together, or begin again with --restart"
        )
    usual: dict[str, Any] = {}
    for shard, folder in folders.items():
        if not (folder / RECORD).exists():
            continue
        record = _read(folder / RECORD)
        if usual:
            check_agreement(record, usual, f"shard {shard}", "the ones before it")
        usual = record
    if usual.get("batch_size", batch_size) != batch_size:
        raise InputError(
            f"the shards were made with --batch-size {usual['batch_size']}; give the same here, for other "
            "batches don't go with them"
        )
    return usual
