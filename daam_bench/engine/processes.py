"""Workers as processes of this machine, one a GPU, on the standard library's pools."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from daam_bench.engine import Pool
from daam_bench.engine.lanes import Lanes, WorkerDiedError
from daam_bench.engine.places import limit_threads, make_in_turn, thread_variables, turn_file
from daam_bench.engine.travel import Greeting, Outcome, agreement, attempt, packed

if TYPE_CHECKING:
    from daam_bench.engine.seam import Worker

_worker: Worker


class Processes:
    """The engine of several processes.

    Args:
        workers: How many.
        gpus: What `CUDA_VISIBLE_DEVICES` names them, dealt out in turn; none where CPUs do the work.
        threads: How many threads each process computes with on CPUs.
    """

    is_local = False

    def __init__(self, workers: int, gpus: tuple[str, ...] = (), threads: int = 1) -> None:
        self._workers, self._gpus, self._threads = workers, gpus, threads

    @contextmanager
    def start(self, make: Callable[[], Worker]) -> Iterator[Pool]:
        """Bring the processes up; they end with the block, and with this process."""
        run = uuid.uuid4().hex
        # Pickled here, it is unpickled after the environment of the process is set.
        order = pickle.dumps((make, run, self._threads))

        def begin(number: int) -> _Process:
            gpu = {"CUDA_VISIBLE_DEVICES": self._gpus[number % len(self._gpus)]} if self._gpus else {}
            return _Process(order, thread_variables(self._threads) | gpu)

        lanes = Lanes(begin, self._workers)
        try:
            lanes.open()
            yield lanes
        finally:
            lanes.close()
            for path in (turn_file(run), turn_file(f"{run}.lock")):
                path.unlink(missing_ok=True)


class _Process:
    """A pool of a single process: when it dies, it is known which item it had."""

    def __init__(self, order: bytes, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        watched, self._life = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(1, context, _begin, (dict(environment), watched))
        self.up = self._submit(_make, order)
        watched.close()
        # The process is begun, with ends of its own. While this one held a writing end too, half a result of
        # a process that is killed as it writes would have no end, and be waited for forever.
        with suppress(AttributeError):
            self._executor._result_queue._writer.close()  # type: ignore[attr-defined]

    def submit(self, item: Any) -> Future[Outcome]:
        return self._submit(_work, packed(item))

    def stop(self) -> None:
        self._life.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _submit(self, function: Callable[[Any], Outcome], argument: Any) -> Future[Outcome]:
        result: Future[Outcome] = Future()

        def pass_on(future: Future[Outcome]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                result.set_exception(WorkerDiedError("killed, or out of memory?"))
            elif error is not None:
                result.set_exception(error)
            else:
                result.set_result(future.result())

        try:
            self._executor.submit(function, argument).add_done_callback(pass_on)
        except BrokenProcessPool:
            result.set_exception(WorkerDiedError("killed, or out of memory?"))
        return result


def _begin(environment: Mapping[str, str], life: Connection) -> None:
    """Begin a process: what is loaded later finds its GPU and its threads in the environment."""
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    # Ctrl-C reaches all processes of a terminal; the parent is the one that acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    # A lock of tqdm's own would be one of all processes, which nobody is left to remove at the end.
    tqdm.set_lock(threading.RLock())


def _end_with(life: Connection) -> None:
    """End this process as soon as the other end is closed, or its process is gone: no worker is left over."""
    try:
        life.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _make(order: bytes) -> Outcome:
    def make() -> Greeting:
        global _worker
        make, run, threads = pickle.loads(order)  # noqa: S301
        limit_threads(threads)
        _worker = make_in_turn(make, run)
        limit_threads(threads)
        place = f"in process {os.getpid()}"
        if gpu := os.environ.get("CUDA_VISIBLE_DEVICES"):
            place += f" (GPU {gpu})"
        return Greeting(place, agreement(_worker.about))

    return attempt(make)


def _work(item: bytes) -> Outcome:
    return attempt(lambda: _worker(pickle.loads(item)))  # noqa: S301
