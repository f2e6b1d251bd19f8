"""What a machine has for workers: GPUs, CPU threads, and one turn at what only one of them should do."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daam_bench.engine.seam import Worker


_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; takes none of them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        gpus = tuple(name.strip() for name in named.split(",") if name.strip())
        # CUDA reads the list up to the first name that is none.
        return gpus[: gpus.index("-1")] if "-1" in gpus else gpus
    import torch

    return tuple(map(str, range(torch.cuda.device_count())))


def usable_cores(quota: Path = _QUOTA) -> int:
    """Return how many CPU cores this process may use: by its affinity, and by its container's quota.

    The machine's own count misleads in a container: threads beyond the quota wait for each other at every
    operation, which can cost a factor of 10 and more. `quota` holds Linux's "max 100000" or "200000 100000".
    """
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return affine
    return affine if allowed == "max" else max(1, min(affine, ceil(int(allowed) / int(period))))


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment in which libraries that are yet to be loaded use so many threads."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


def limit_threads(threads: int) -> None:
    """Let torch use so many threads, if it is loaded."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def make_in_turn(make: Callable[[], Worker], run: str) -> Worker:
    """Make a worker; the first of a run on this machine alone, so that the others find what it downloads.

    Weights that are loaded later are downloaded once, too: the hub's cache locks each of its files.
    """
    from filelock import FileLock

    path = turn_file(run)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            worker = make()
            path.touch()
            return worker
    return make()


def turn_file(run: str) -> Path:
    """Return the file that says that the first worker of a run is made on this machine."""
    return Path(tempfile.gettempdir()) / f"daam-bench-{run}"
