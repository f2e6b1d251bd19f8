"""From options to an engine."""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from daam_bench.engine import Local
from daam_bench.engine.places import limit_threads, thread_variables, usable_cores, visible_gpus
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.engine.seam import Engine

logger = logging.getLogger(__name__)


def choose_engine(
    *,
    workers: str | None = None,
    engine: str = "local",
    address: str | None = None,
    gpus: float | None = None,
    threads: int | None = None,
    device: str | None = None,
    method: str = "",
) -> Engine:
    """Return the engine that options ask for.

    Args:
        workers: A number, or "auto": one for each GPU; None for 1, or as many as a Ray cluster has room for.
        engine: "local" or "ray".
        address: Of a Ray cluster; None to start one.
        gpus: GPUs a Ray worker; None for 1, or 0 with the device "cpu".
        threads: CPU threads a worker; None for the cores, shared evenly, or 1 on Ray.
        device: The torch device of the work; None or "auto" to choose.
        method: The method, or several separated by commas: Ray sends the module of a "module:Class" to its
            workers.

    Raises:
        InputError: The options don't go together.
    """
    count = _count(("auto" if engine == "ray" else "1") if workers is None else workers)
    if threads is not None and threads < 1:
        raise InputError(f"--threads must be at least 1, not {threads}")
    if engine == "ray":
        from daam_bench.engine.ray_cluster import RayActors

        _refuse_one_gpu(device)
        on_cpu = device == "cpu"
        gpus = (0.0 if on_cpu else 1.0) if gpus is None else gpus
        if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
            raise InputError(f"--gpus must be a fraction such as 0.5, or a whole number, not {gpus:g}")
        return RayActors(count, address, gpus=gpus, threads=threads or 1, modules=_modules(method))
    for name, given in (("--address", address), ("--gpus", gpus)):
        if given is not None:
            raise InputError(f"{name} goes with --engine ray")
    return _processes(count, threads, device)


def _count(workers: str) -> int | None:
    if workers == "auto":
        return None
    if not workers.isdecimal() or int(workers) < 1:
        raise InputError(f"--workers must be a number of at least 1, or auto, not {workers!r}")
    return int(workers)


def _processes(count: int | None, threads: int | None, device: str | None) -> Engine:
    from daam_bench.engine.processes import Processes

    if count != 1:
        _refuse_one_gpu(device)
    gpus = visible_gpus() if device in (None, "auto", "cuda") and count != 1 else ()
    if count is None:
        count = max(1, len(gpus))
        if not gpus:
            logger.warning("--workers auto is one for each GPU, and there is none here: one worker")
    if count > 1:
        return Processes(count, gpus, threads or max(1, usable_cores() // count))
    if threads is not None:
        os.environ.update(thread_variables(threads))
        limit_threads(threads)
    return Local()


def _refuse_one_gpu(device: str | None) -> None:
    if device is not None and ":" in device:
        raise InputError(
            f"--device {device} is one GPU, and each of several workers has its own; leave --device out, and "
            "choose GPUs with CUDA_VISIBLE_DEVICES"
        )


def _modules(methods: str) -> tuple[str, ...]:
    """Return where the top modules of "module:Class" are, separated by commas, those installed apart."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    found: list[str] = []
    for method in methods.split(","):
        name = method.partition(":")[0].partition(".")[0] if ":" in method else ""
        spec = find_spec(name) if name else None
        if spec is not None and name != "daam_bench":
            found += spec.submodule_search_locations or filter(None, [spec.origin])
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib", "stdlib")}
    return tuple(place for place in found if not installed & {*Path(place).resolve().parents})
