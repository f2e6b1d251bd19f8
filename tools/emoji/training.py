"""One training loop for every model: several processes, checkpoints, log, time limit, resuming."""

from __future__ import annotations

import json
import os
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from daam_bench.files.replacing import replacing_file
from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class TrainingProcess:
    """One of the processes that train together: its number from 0, their count, where it computes."""

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


ALONE = TrainingProcess(0, 1, torch.device("cpu"))
"""The only process of a training on the CPU."""


def run_processes(train: Callable[..., None], *arguments: Any, processes: int | None = None) -> None:
    """Call `train(process, *arguments)` in every process, and return when all are done.

    There is one process on CUDA, else by default one a CPU core: several of one thread train a small model
    faster than one of several threads. The function is a module's, and its arguments can be pickled.
    """
    if torch.cuda.is_available():
        train(TrainingProcess(0, 1, torch.device("cuda")), *arguments)
        return
    count = processes or os.cpu_count() or 1
    if count == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            train(ALONE, *arguments)
        finally:
            torch.set_num_threads(threads)
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
        train(TrainingProcess(rank, count, torch.device("cpu")), *arguments)
    finally:
        dist.destroy_process_group()


def _exit_with_parent() -> None:
    """Wait for the end of the parent, however it came: a process left alone must write no checkpoint."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


class Objective(ABC):
    """A model and what its training minimises.

    Each optimizer has the multiple of the learning rate that it takes; the parameters are in the order of
    their moving averages; a checkpoint calls the states of model and optimizers by `keys`. `made_of` says
    what the model is made of, as JSON values: a training is only resumed with the same.
    """

    model: Any
    parameters: Sequence[nn.Parameter]
    optimizers: Sequence[tuple[torch.optim.Optimizer, float]]
    average: EMAModel | None = None
    made_of: Mapping[str, Any] = {}
    keys = ("model", "optimizer")

    @abstractmethod
    def loss(self, forward: Callable[..., Any], step: int, rng: np.random.Generator) -> tuple[Tensor, float]:
        """Return the loss of this process's share of a step, and the value to log."""

    def compile(self) -> None:
        """Compile the model in place."""
        self.model.compile()

    @abstractmethod
    def learning_rate(self, *, samples: int, step: int) -> float:
        """Return the learning rate of a step."""

    def measured(self, values: Sequence[float], *, step: int, ends: bool) -> dict[str, float]:
        """Return what the log says, from the values since its last line: their mean, as the loss."""
        return {"loss": float(np.mean(values))}


@dataclass(slots=True)
class Progress:
    """How far a training is: optimizer steps, samples seen by all processes, seconds computed."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


def run_training(
    process: TrainingProcess,
    objective: Objective,
    *,
    checkpoint: Path,
    history: Path,
    seed: int,
    samples: int,
    batch_size: int,
    log_steps: int,
    save_seconds: float,
    minutes: float | None = None,
    gradient_norm: float = 1.0,
    compiled: bool = False,
    on_save: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train in one of several processes, from the last checkpoint if there is one.

    The randomness of a step follows from seed, process and step alone, so that a resumed training ends as
    an uninterrupted one of as many processes, as far as the objective's batches do. `samples` are those in
    all, `batch_size` those of a step of all processes; `on_save` is called in the leading process after each
    checkpoint, and if nothing is left to do. After `minutes` the training stops at the latest.
    """
    progress = _resume(objective, checkpoint, process.device)
    if compiled:
        objective.compile()
    forward = objective.model
    if process.count > 1:
        forward = DistributedDataParallel(forward, gradient_as_bucket_view=True)
    log = ProgressLog(history, total=samples, done=progress.samples)
    began = saved = last = time.monotonic()
    values: list[float] = []
    stops = progress.samples >= samples
    if stops and process.leads:
        on_save(progress)
    while not stops:
        rng = np.random.default_rng([seed, process.rank, progress.step])
        torch.manual_seed(int(rng.integers(2**62)))
        loss, value = objective.loss(forward, progress.step, rng)
        values.append(value)
        loss.backward()
        nn.utils.clip_grad_norm_(objective.parameters, gradient_norm)
        rate = objective.learning_rate(samples=progress.samples, step=progress.step)
        for optimizer, multiple in objective.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = multiple * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if objective.average is not None:
            objective.average.step(objective.parameters)
        now = time.monotonic()
        progress.step += 1
        progress.samples += batch_size // process.count * process.count
        progress.seconds += now - last
        last = now
        ends = progress.samples >= samples
        stops = ends or process.agree(minutes is not None and now - began > 60 * minutes)
        if process.leads and (stops or progress.step % log_steps == 0):
            log.write(progress.samples, objective.measured(values, step=progress.step, ends=ends))
            values.clear()
        if process.leads and (stops or now - saved > save_seconds):
            save_checkpoint(_state(objective, progress), checkpoint)
            on_save(progress)
            saved = now
    return progress


def _state(objective: Objective, progress: Progress) -> dict[str, Any]:
    model, optimizers = objective.keys
    state = {
        model: objective.model.state_dict(),
        optimizers: [optimizer.state_dict() for optimizer, _ in objective.optimizers],
        "made_of": dict(objective.made_of),
        **asdict(progress),
    }
    return state if objective.average is None else state | {"ema": objective.average.state_dict()}


def _resume(objective: Objective, checkpoint: Path, device: torch.device) -> Progress:
    if not checkpoint.exists():
        return Progress()
    state = torch.load(checkpoint, map_location=device, weights_only=True)
    # Heads, for one, change nothing of the weights' shapes: nothing else would tell.
    if (before := state.get("made_of", objective.made_of)) != objective.made_of:
        changed = [
            key for key in {**before, **objective.made_of} if before.get(key) != objective.made_of.get(key)
        ]
        raise InputError(
            f"{checkpoint} was trained with other settings of {', '.join(changed)} ({before}); train on with "
            "those, or give another --out"
        )
    model, optimizers = objective.keys
    objective.model.load_state_dict(state[model])
    saved = state[optimizers] if isinstance(state[optimizers], list) else [state[optimizers]]
    if len(saved) != len(objective.optimizers):
        raise InputError(f"{checkpoint} was trained with other optimizers; set muon as it was")
    for (optimizer, _), optimizer_state in zip(objective.optimizers, saved, strict=True):
        optimizer.load_state_dict(optimizer_state)
    if objective.average is not None:
        objective.average.load_state_dict(state["ema"])
        objective.average.to(device)
    return Progress(state["step"], state["samples"], state.get("seconds", 0.0))


def save_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint so that a kill at any moment leaves either the old one or the new one."""
    with replacing_file(path) as partial:
        torch.save(dict(state), partial)


class ProgressLog:
    """Prints progress lines and keeps them as JSON lines.

    Lines of an older log about more than `done` samples, which were lost with a kill, are removed.
    """

    def __init__(self, path: Path, *, total: int, done: int) -> None:
        self._path = path
        self._total = total
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if json.loads(line)["samples"] <= done))
        self._last = (time.monotonic(), done)

    def write(self, samples: int, measured: Mapping[str, float]) -> None:
        """Log the state of the training after `samples` samples."""
        now = time.monotonic()
        rate = (samples - self._last[1]) / max(now - self._last[0], 1e-9)
        self._last = (now, samples)
        left = (self._total - samples) / rate / 60
        values = " ".join(f"{name} {value:.4g}" for name, value in measured.items())
        print(f"{samples:,}/{self._total:,} samples  {rate:.1f}/s  {values}  {left:.0f} min left", flush=True)
        record = {"samples": samples, "samples_per_second": round(rate, 2), **measured}
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")
