"""Handing out batches: order, a bounded window, workers that die, workers that are unlike the others."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from daam_bench.engine import lanes as module
from daam_bench.engine.lanes import AHEAD, ATTEMPTS, Lanes, WorkerDiedError
from daam_bench.engine.travel import Greeting, Outcome, attempt
from daam_bench.types.errors import InputError, MethodFailedError


class ThreadLane:
    """A worker in a thread."""

    def __init__(self, number: int, work: Callable, about: dict):
        self._executor = ThreadPoolExecutor(1)
        self._number, self._work = number, work
        self.stopped = False
        self.up: Future[Outcome] = Future()
        self.up.set_result(Outcome(Greeting(f"number {number}", about, f"node {number % 2}")))

    def submit(self, item):
        return self._executor.submit(
            lambda: attempt(lambda: self._work(self._number, item)) if item else None
        )

    def stop(self):
        self.stopped = True


class DyingLane(ThreadLane):
    """A worker that dies where it would raise a WorkerDiedError."""

    def submit(self, item):
        return self._executor.submit(lambda: Outcome(self._work(self._number, item)))


def batch(number: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(id=f"image {number}", number=number)]


def pool(size: int, work: Callable, lane=ThreadLane, about=lambda number: {"torch": "2.6"}) -> Lanes:
    lanes = Lanes(lambda number: lane(number, work, about(number)), size)
    lanes.open()
    return lanes


def numbers(count: int) -> list:
    return [batch(number) for number in range(count)]


def test_results_come_in_the_order_of_the_batches():
    def work(lane, item):
        time.sleep(0.02 if item[0].number % 3 == 0 else 0)
        return item[0].number

    assert list(pool(3, work).map(numbers(20))) == list(range(20))


def test_no_more_than_a_bounded_number_of_batches_is_taken_ahead_of_a_slow_one():
    go, taken = threading.Event(), []

    def items():
        for number in range(50):
            taken.append(number)
            yield batch(number)

    def work(lane, item):
        if item[0].number == 0:
            go.wait(10)
        return item[0].number

    results = pool(2, work).map(items())
    threading.Timer(0.5, go.set).start()
    assert next(results) == 0
    assert len(taken) <= AHEAD * 2 + 1
    assert list(results) == list(range(1, 50))


def test_every_worker_hears_what_comes_first_before_its_first_batch():
    heard: dict[int, list] = {}

    def work(lane, item):
        time.sleep(0.01)
        heard.setdefault(lane, []).append(item)

    list(pool(2, work).map(numbers(8), first="split"))
    assert sorted(heard) == [0, 1]
    assert all(items[0] == "split" and items.count("split") == 1 for items in heard.values())


def test_a_batch_whose_worker_died_goes_to_another(caplog):
    died = []

    def work(lane, item):
        if item[0].number == 2 and len(died) < ATTEMPTS - 1:
            died.append(lane)
            raise WorkerDiedError("out of memory")
        return item[0].number

    assert list(pool(2, work, DyingLane).map(numbers(6))) == list(range(6))
    assert len(died) == ATTEMPTS - 1
    assert "died (out of memory); the batch of 'image 2' goes to another" in caplog.text


def test_a_batch_that_kills_three_workers_is_one_error():
    def work(lane, item):
        if item[0].number == 2:
            raise WorkerDiedError("out of memory")
        return item[0].number

    found = []
    with pytest.raises(InputError, match="the batch of 'image 2' killed 3 workers") as caught:
        found.extend(pool(2, work, DyingLane).map(numbers(6)))
    assert "--batch-size" in str(caught.value)


def test_an_error_comes_in_its_turn_with_what_was_before_it_and_its_traceback():
    def work(lane, item):
        if item[0].number == 3:
            raise MethodFailedError("the method failed")
        time.sleep(0.03)
        return item[0].number

    results = pool(4, work).map(numbers(6))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(MethodFailedError, match="the method failed") as caught:
        next(results)
    assert "in work" in str(caught.value.__cause__)


def test_a_worker_unlike_the_others_is_refused_by_the_name_of_what_differs():
    lanes = pool(2, lambda lane, item: None, about=lambda number: {"torch": f"2.{number}"})
    with pytest.raises(InputError, match=r"number 1 is not like the one number 0: torch is '2\.1'"):
        list(lanes.map(numbers(4)))


def test_workers_that_die_as_they_come_up_end_the_run():
    class Stillborn(ThreadLane):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.up = Future()
            self.up.set_exception(WorkerDiedError("no such library"))

    with pytest.raises(InputError, match="3 workers died as they came up: no such library"):
        pool(1, lambda lane, item: None, Stillborn)


def test_workers_that_die_before_their_first_batch_end_the_run():
    tried = []

    def work(lane, item):
        if item == "split":
            tried.append(lane)
            raise WorkerDiedError("out of memory")
        return item[0].number

    with pytest.raises(InputError, match=r"3 workers died before they could begin, .*out of memory"):
        list(pool(1, work, DyingLane).map(numbers(2), first="split"))
    assert len(tried) == ATTEMPTS


def test_who_waits_for_workers_is_told(monkeypatch, caplog):
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    lane = ThreadLane(0, lambda lane, item: item[0].number, {})
    lane.up = Future()
    lanes = Lanes(lambda number: lane, 1)
    threading.Timer(0.3, lane.up.set_result, [Outcome(Greeting("late", {}))]).start()
    lanes.open()
    assert "no worker is up; waiting for one" in caplog.text


def test_the_bar_says_workers_and_nodes():
    lanes = pool(3, lambda lane, item: None)
    list(lanes.map(numbers(6)))
    assert lanes.place == "3 workers on 2 nodes"


def test_closing_ends_all_workers():
    made = []

    def begin(number):
        made.append(ThreadLane(number, lambda lane, item: None, {}))
        return made[-1]

    lanes = Lanes(begin, 3)
    lanes.open()
    lanes.close()
    assert all(lane.stopped for lane in made)
