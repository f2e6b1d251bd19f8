"""Where work is done: in this process, in several, as a shard of a job, or on a Ray cluster. Here, the seam.

A *worker* is made once in each place and is handed one batch after another. It returns what goes into the
files, so that the one process that writes only writes. An *engine* brings workers up; what it gives is a
*pool*, whose results come in the order of the batches, whichever worker made them. A *part* says which of the
batches are done here, and what was done elsewhere. Batches are formed of the whole work, never of what is
left of it: the last digits of a heat map depend on its batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

B = TypeVar("B", bound=Sequence[Any])

BAR = (
    "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
)
"""The bar of all work, with images a second."""

_LIBRARIES = (
    *("accelerate", "datasets", "diffusers", "mmdet", "numpy", "pillow", "pycocotools", "scipy", "spacy"),
    *("torch", "transformers"),
)

SHARDS = "shards"
"""In an output folder: what each shard of the work wrote."""

logger = logging.getLogger(__name__)


@runtime_checkable
class Pool(Protocol):
    """Workers that are up: what they say about themselves, how many they are, and where, in words."""

    about: Mapping[str, Any]
    size: int

    @property
    def place(self) -> str: ...  # noqa: D102

    def map(self, items: Iterable[Any], first: Any = None) -> Iterator[Any]:
        """Yield the result of each item, in order; items are asked for a bounded number ahead.

        Each worker is handed `first` before its first item, if it is not None.
        """
        ...


class InProcess:
    """The pool of one worker, in this process."""

    size, place = 1, ""

    def __init__(self, worker: Any) -> None:
        self.about, self._worker = worker.about, worker

    def map(self, items: Iterable[Any], first: Any = None) -> Iterator[Any]:
        """Yield the result of each item as it is asked for."""
        if first is not None:
            self._worker(first)
        yield from map(self._worker, items)


class Local:
    """The engine of one worker, in this process."""

    is_local = True

    @contextmanager
    def start(self, make: Callable[[], Any]) -> Iterator[Pool]:
        """Make the worker."""
        yield InProcess(make())


class WholeJob:
    """The part that is all of the work, none of it done elsewhere.

    Attributes:
        about: What those say about themselves who did the work last.
    """

    is_whole = True
    has_shards = False
    about: Mapping[str, Any] = {}

    def folder(self, output: Path) -> Path:
        """Return where this part writes, for an output folder of the whole."""
        return output

    def mine(self, batches: Sequence[B]) -> Sequence[B]:
        """Return the batches of this part."""
        return batches

    def records(self, header: Any, *place: str) -> Mapping[str, Any]:
        """Return what other parts hold in their files of a name, by the id of an example."""
        return {}

    def begin(self, what: str, batches: Sequence[B], missing: Sequence[B], about: Mapping[str, Any]) -> None:
        """Hear which batches a pool is to do that says `about` of itself; InputError if it may not."""
        self.about = about

    def finish(self) -> bool:
        """Hear that all is written, and say whether other parts hold nothing more."""
        return True


def work_through(
    pool: Pool,
    batches: Sequence[B],
    *,
    name: str,
    part: WholeJob,
    done: Callable[[B], bool],
    elsewhere: Callable[[B], Callable[[], Any] | None] | None = None,
    first: Any = None,
    progress: bool = False,
) -> Generator[tuple[B, Any]]:
    """Yield the result of each batch that isn't done, in order, under one bar over all workers.

    Args:
        pool: The workers.
        batches: All batches of the work; what is in them has an `id`.
        name: What the bar says.
        part: Which of the batches are done here.
        done: Whether a batch was written before.
        elsewhere: Returns what reads the result of a batch that another part holds, or None.
        first: What each worker is handed before its first batch; None for nothing.
        progress: Show the bar, on stderr.
    """
    from tqdm import tqdm

    mine = part.mine(batches)
    left = [batch for batch in mine if not done(batch)]
    readers = [elsewhere(batch) if elsewhere else None for batch in left]
    missing = [batch for batch, read in zip(left, readers, strict=True) if read is None]
    part.begin(name, batches, missing, pool.about)
    if 0 < len(missing) < 2 * pool.size and pool.size > 1:
        logger.warning(
            "%s: %d batches for %d workers, so that some will wait; a smaller --batch-size makes more",
            name,
            len(missing),
            pool.size,
        )
    total = sum(map(len, mine))
    before = total - sum(map(len, left))
    made = pool.map(missing, first)
    with tqdm(
        total=total,
        initial=before,
        desc=name,
        unit="image",
        disable=not progress,
        bar_format=BAR,
        smoothing=0,
    ) as bar:
        for batch, read in zip(left, readers, strict=True):
            yield batch, next(made) if read is None else read()
            bar.set_postfix_str(pool.place, refresh=False)
            bar.update(len(batch))


def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that results may depend on, importing none."""
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
