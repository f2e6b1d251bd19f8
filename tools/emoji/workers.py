"""Running a training in one process on a CUDA GPU, or in several single-threaded ones on a CPU."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from daam_bench.files.replacing import replacing_file


@dataclass(frozen=True, slots=True)
class Worker:
    """One of the processes that train together.

    Attributes:
        rank: Its number, from 0; rank 0 writes files and prints.
        count: Number of processes.
        device: Where it computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def agree(self, value: bool) -> bool:
        """Return rank 0's value in every process."""
        if self.count == 1:
            return value
        flag = torch.tensor(int(value))
        dist.broadcast(flag, 0)
        return bool(flag)


def run_workers(train: Callable[..., None], *arguments: Any, processes: int | None = None) -> None:
    """Call `train(worker, *arguments)` in every process, and return when all are done.

    Args:
        train: A module-level function.
        arguments: Its further arguments; must be picklable.
        processes: Number of processes; by default one on CUDA, else one a CPU core. Several
            processes of one thread train a small model faster than one process of several threads.
    """
    if torch.cuda.is_available():
        train(Worker(0, 1, torch.device("cuda")), *arguments)
        return
    count = processes or os.cpu_count() or 1
    if count == 1:
        train(Worker(0, 1, torch.device("cpu")), *arguments)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    spawn(_start, (count, address, train, arguments), nprocs=count)


def _start(
    rank: int, count: int, address: str, train: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=count)
    try:
        train(Worker(rank, count, torch.device("cpu")), *arguments)
    finally:
        dist.destroy_process_group()


def _exit_with_parent() -> None:
    """Wait for the parent's end, however it came; a worker left alone must not go on writing checkpoints."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint so that a kill at any moment leaves either the old one or the new one."""
    with replacing_file(path) as partial:
        torch.save(state, partial)


class ProgressLog:
    """Prints progress lines and keeps them as JSON lines.

    Args:
        path: The file. What it says of samples beyond `done`, which were lost with a kill, is struck out.
        total: Samples at which the training ends.
        done: Samples that the checkpoint has seen.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, *, total: int, done: int) -> None:
        self.path = path
        self._total = total
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if json.loads(line)["samples"] <= done))
        self._last = (time.monotonic(), done)

    def write(self, samples: int, **measured: float) -> None:
        """Note the state of the training after `samples` samples."""
        now = time.monotonic()
        rate = (samples - self._last[1]) / max(now - self._last[0], 1e-9)
        self._last = (now, samples)
        left = (self._total - samples) / rate / 60
        values = " ".join(f"{name} {value:.4g}" for name, value in measured.items())
        print(f"{samples:,}/{self._total:,} samples  {rate:.1f}/s  {values}  {left:.0f} min left", flush=True)
        record = {"samples": samples, "samples_per_second": round(rate, 2), **measured}
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
