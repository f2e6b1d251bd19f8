"""How many threads a method computes with on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daam_bench.engine.places import usable_cores
from daam_bench.types.errors import InputError


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
