"""Workers elsewhere: handing them items, keeping the order of the results, replacing those that die."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from daam_bench.engine.travel import Greeting, Outcome, check_agreement
from daam_bench.types.errors import InputError

ATTEMPTS = 3
"""How many workers an item may kill, or may die as they come up one after another, before the run ends."""

AHEAD = 4
"""Items a worker that may be finished while an earlier one is still waited for: it bounds the memory."""

_PATIENCE = 60.0

logger = logging.getLogger(__name__)


class WorkerDiedError(Exception):
    """A worker is gone; its text says what is known of it."""


class Lane(Protocol):
    """One worker elsewhere, from its start to its end. Its futures raise `WorkerDiedError` if it dies."""

    @property
    def up(self) -> Future[Outcome]:
        """Done when the worker is made, with its `Greeting`."""
        ...

    def submit(self, item: Any) -> Future[Outcome]:
        """Hand it an item; it has at most one at a time."""
        ...

    def stop(self) -> None:
        """End it at once, whatever it does."""
        ...


@dataclass
class _Job:
    number: int
    item: Any
    deaths: int = 0

    def __str__(self) -> str:
        return f"the batch of {self.item[0].id!r}"


@dataclass
class Lanes:
    """The pool of workers elsewhere.

    An item is a batch: a sequence of things with an `id`.

    Args:
        begin: Begins a worker and returns its lane at once. Its argument numbers the workers from 0.
        size: How many workers there are.
    """

    begin: Callable[[int], Lane]
    size: int
    about: Mapping[str, Any] = field(default_factory=dict)
    _rising: dict[Future[Outcome], tuple[int, Lane]] = field(default_factory=dict)
    _up: dict[int, tuple[Lane, Greeting]] = field(default_factory=dict)
    _falls: int = 0
    _unready: int = 0

    def open(self) -> None:
        """Begin all workers, and wait for the first.

        Raises:
            InputError: Workers can't be made, or die on the way.
        """
        for number in range(self.size):
            self._begin(number)
        while not self._up:
            self._greet(self._next(self._rising))

    def wait(self) -> None:
        """Wait until all workers are up."""
        while self._rising:
            self._greet(self._next(self._rising))

    def close(self) -> None:
        """End all workers at once."""
        for _, lane in self._rising.values():
            lane.stop()
        for lane, _ in self._up.values():
            lane.stop()

    @property
    def place(self) -> str:
        """How many workers are up, and on how many machines."""
        workers, nodes = len(self._up), len({greeting.node for _, greeting in self._up.values()} - {""})
        return _counted(workers, "worker") + (f" on {_counted(nodes, 'node')}" if nodes else "")

    def map(self, items: Iterable[Any], first: Any = None) -> Iterator[Any]:
        """Yield the result of each item, in order; see `daam_bench.engine.Pool`.

        Raises:
            InputError: An item killed `ATTEMPTS` workers, workers don't come up, or one is unlike the others.
        """
        fresh = (_Job(number, item) for number, item in enumerate(items))
        again: deque[_Job] = deque()
        busy: dict[Future[Outcome], tuple[int, _Job | None]] = {}
        done: dict[int, Outcome] = {}
        told: dict[int, Lane] = {}
        following = handed = 0
        while True:
            occupied = {number for number, _ in busy.values()}
            for number in [number for number in self._up if number not in occupied]:
                if not again and handed < following + AHEAD * self.size and (job := next(fresh, None)):
                    again.append(job)
                    handed += 1
                if not again:
                    break
                lane, _ = self._up[number]
                if first is not None and told.get(number) is not lane:
                    busy[lane.submit(first)] = number, None
                    told[number] = lane
                else:
                    job = again.popleft()
                    busy[lane.submit(job.item)] = number, job
            if not busy and not again:
                return
            ready = self._next([*busy, *self._rising])
            if ready in self._rising:
                self._greet(ready)
                continue
            number, current = busy.pop(ready)
            try:
                outcome = ready.result()
            except WorkerDiedError as death:
                self._replace(number, current, death)
                if current is not None:
                    again.appendleft(current)
                continue
            if current is not None:
                done[current.number] = outcome
            else:
                self._unready = 0
                if outcome.failed or len(told) == 1:
                    # All workers log the same of it: it is said once.
                    outcome.get()
            while following in done:
                # An error, too, waits for its turn: the files then hold all that came before it.
                yield done.pop(following).get()
                following += 1

    def _begin(self, number: int) -> None:
        lane = self.begin(number)
        self._rising[lane.up] = number, lane

    def _next(self, futures: Iterable[Future[Outcome]]) -> Future[Outcome]:
        """Wait for one of some futures, the first of them that is done."""
        waiting = list(futures)
        while True:
            ready, _ = wait(waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
            if ready:
                return next(future for future in waiting if future in ready)
            if not self._up:
                logger.warning("no worker is up; waiting for one (what was done is kept: Ctrl-C is safe)")

    def _greet(self, future: Future[Outcome]) -> None:
        number, lane = self._rising.pop(future)
        try:
            greeting: Greeting = future.result().get()
        except WorkerDiedError as death:
            lane.stop()
            self._falls += 1
            if self._falls >= ATTEMPTS:
                raise InputError(f"{ATTEMPTS} workers died as they came up: {death}") from None
            self._begin(number)
            return
        self._falls = 0
        self._up[number] = lane, greeting
        if not self.about:
            self.about, self._first = greeting.about, greeting.place
        check_agreement(greeting.about, self.about, f"the worker {greeting.place}", f"the one {self._first}")

    def _replace(self, number: int, job: _Job | None, death: WorkerDiedError) -> None:
        lane, (place, *_) = self._up.pop(number)
        lane.stop()
        if job is None:
            self._unready += 1
            if self._unready >= ATTEMPTS:
                raise InputError(
                    f"{ATTEMPTS} workers died before they could begin, the last {place} ({death}); what was "
                    "done is kept"
                )
        else:
            job.deaths += 1
            if job.deaths >= ATTEMPTS:
                raise InputError(
                    f"{job} killed {ATTEMPTS} workers, the last {place} ({death}); what was done before "
                    "it is kept; where memory ran out, a smaller --batch-size needs less"
                )
        goes_on = "" if job is None else f"; {job} goes to another"
        logger.warning("the worker %s died (%s)%s", place, death, goes_on)
        self._begin(number)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
