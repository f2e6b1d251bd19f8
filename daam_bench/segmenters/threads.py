"""How many threads a method computes with on a CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from daam_bench.types.errors import InputError

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


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


@contextmanager
def computing_with(threads: int | None = None) -> Iterator[None]:
    """Let torch use so many threads within the block, and what it used before after it.

    None is the usable cores, but no more than torch would take by itself (it minds OMP_NUM_THREADS).
    """
    import torch

    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads must be a whole number of at least 1, not {threads!r}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or min(before, usable_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)
