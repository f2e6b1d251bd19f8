"""Workers as Ray Core actors: several GPUs, several machines, workers and machines that die."""

from __future__ import annotations

import os
import pickle
import re
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from daam_bench.engine import Pool
from daam_bench.engine.lanes import Lanes, WorkerDiedError
from daam_bench.engine.places import limit_threads, make_in_turn, thread_variables
from daam_bench.engine.travel import Greeting, Outcome, agreement, attempt, packed
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.engine.seam import Worker

_CONNECTION_SECONDS = 5


class RayActors:
    """The engine of a Ray cluster.

    Args:
        workers: How many; None for as many as the cluster's GPUs, or (`gpus` 0) its CPUs have room for.
        address: Of a cluster: "host:6379", or "auto"; None to start one on this machine.
        gpus: GPUs a worker; a fraction shares one, 0 uses CPUs.
        threads: CPUs a worker, and threads that it computes with there.
        modules: Folders and files of Python modules that the workers need and may not have.
    """

    is_local = False

    def __init__(
        self,
        workers: int | None,
        address: str | None = None,
        *,
        gpus: float = 1,
        threads: int = 1,
        modules: tuple[str, ...] = (),
    ) -> None:
        self._workers, self._address, self._gpus, self._threads = workers, address, gpus, threads
        self._modules = modules

    @contextmanager
    def start(self, make: Callable[[], Worker]) -> Iterator[Pool]:
        """Bring the actors up; they end with the block, and with this process.

        Raises:
            InputError: Ray isn't installed, the cluster can't be joined, or it lacks what a worker needs.
        """
        try:
            import ray
        except ImportError:
            raise InputError("--engine ray needs Ray; install it: pip install 'daam-bench[ray]'") from None
        ours = not ray.is_initialized()
        if ours:
            self._join()
        try:
            size = self._room(ray.cluster_resources())
            actor: Any = ray.remote(_Actor)
            actor = actor.options(
                num_gpus=self._gpus,
                num_cpus=self._threads,
                runtime_env={"env_vars": thread_variables(self._threads)},
            )
            order = ray.put(pickle.dumps((make, uuid.uuid4().hex, self._threads)))
            lanes = Lanes(lambda _: _ActorLane(actor.remote(), order), size)
            try:
                lanes.open()
                yield lanes
            finally:
                lanes.close()
        finally:
            if ours:
                ray.shutdown()

    def _join(self) -> None:
        import ray

        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if self._modules:
            quiet["runtime_env"] = {"py_modules": [*self._modules]}
        if self._address is None:
            cpus = None if self._workers is None else self._workers * self._threads
            try:
                ray.init(num_cpus=cpus, include_dashboard=False, **quiet)
            except Exception as error:
                reason = " ".join(str(error).split())
                raise InputError(f"Ray can't start on this machine: {reason:.300}") from error
            return
        _check_reachable(self._address)
        try:
            ray.init(address=self._address, **quiet)
        except Exception as error:
            raise InputError(_why_not(self._address, error, ray.__version__)) from error

    def _room(self, resources: Mapping[str, float]) -> int:
        """Return the number of workers; refuse what the cluster can't hold."""
        where = f"the cluster at {self._address}" if self._address else "this machine"
        gpus, cpus = resources.get("GPU", 0), resources.get("CPU", 0)
        if self._gpus > gpus:
            raise InputError(
                f"{where} has {gpus:g} GPUs and a worker needs {self._gpus:g}; use its CPUs with --gpus 0"
            )
        if self._threads > cpus:
            raise InputError(
                f"{where} has {cpus:g} CPUs and a worker needs {self._threads}; use fewer --threads"
            )
        room = int(gpus / self._gpus if self._gpus else cpus / self._threads)
        if self._workers is not None and self._workers > room:
            raise InputError(
                f"{where} has room for {room} workers, not {self._workers}: it has {gpus:g} GPUs and "
                f"{cpus:g} CPUs, and a worker needs {self._gpus:g} and {self._threads}; use fewer --workers"
            )
        return self._workers or room


def _check_reachable(address: str) -> None:
    """Refuse an address at which nothing listens: Ray itself would try for long, and not say why."""
    match = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if match is None:
        return
    try:
        socket.create_connection((match[1], int(match[2])), _CONNECTION_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"nothing can be reached at {address} ({error.strerror or error}); start a cluster there with "
            "`ray start --head`, and give the address that it prints"
        ) from None


def _why_not(address: str, error: Exception, version: str) -> str:
    """Say why a cluster can't be joined."""
    text = " ".join(str(error).split())
    if "ersion mismatch" in text:
        return f"the cluster at {address} runs another Ray or Python ({text:.300}); install the same here"
    if address == "auto" and "RAY_AUTH" not in text:
        return f"no Ray cluster runs on this machine ({text:.200}); start one with `ray start --head`"
    return (
        f"Ray can't join the cluster at {address} ({text:.200}). Does it ask for a token, as clusters do "
        "that `ray.init()` started? Then set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what "
        f"`ray get-auth-token` prints there. Ray must be the same version on both sides; here it is {version}"
    )


class _ActorLane:
    """An actor, and its node."""

    def __init__(self, actor: Any, order: Any) -> None:
        self._actor = actor
        self.up = _passed_on(actor.make.remote(order))

    def submit(self, item: Any) -> Future[Outcome]:
        return _passed_on(self._actor.work.remote(packed(item)))

    def stop(self) -> None:
        import ray

        ray.kill(self._actor)


def _passed_on(reference: Any) -> Future[Outcome]:
    from ray.exceptions import RayActorError, RuntimeEnvSetupError

    result: Future[Outcome] = Future()

    def pass_on(future: Future[Outcome]) -> None:
        error = future.exception()
        if isinstance(error, RuntimeEnvSetupError):
            result.set_exception(
                InputError(f"a worker's modules can't be set up: {' '.join(str(error).split())}")
            )
        elif isinstance(error, RayActorError):
            result.set_exception(WorkerDiedError(_cause(error)))
        elif error is not None:
            result.set_exception(error)
        else:
            result.set_result(future.result())

    reference.future().add_done_callback(pass_on)
    return result


def _cause(error: Exception) -> str:
    """Return the sentence of Ray's account that says why an actor is dead."""
    match = re.search(r"The actor (?:is dead because|died because of) ([^.]*)", str(error))
    return match[1] if match else " ".join(str(error).split())[:200]


class _Actor:
    """What runs on a node."""

    def make(self, order: bytes) -> Outcome:
        def make() -> Greeting:
            import ray

            make, run, threads = pickle.loads(order)  # noqa: S301
            limit_threads(threads)
            self._worker = make_in_turn(make, run)
            limit_threads(threads)
            node = ray.get_runtime_context().get_node_id()[:6]
            address = ray.util.get_node_ip_address()
            place = f"on {address} (node {node}, process {os.getpid()})"
            return Greeting(place, agreement(self._worker.about), node)

        return attempt(make)

    def work(self, item: bytes) -> Outcome:
        return attempt(lambda: self._worker(pickle.loads(item)))  # noqa: S301
