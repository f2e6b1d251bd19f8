"""One training loop for every model: several processes, checkpoints, log, time limit, resuming."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed as dist
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from daam_bench.files.replacing import replacing_file


@dataclass(frozen=True, slots=True)
class TrainingProcess:
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


ALONE = TrainingProcess(0, 1, torch.device("cpu"))
"""The only process of a training on the CPU."""


def run_processes(train: Callable[..., None], *arguments: Any, processes: int | None = None) -> None:
    """Call `train(process, *arguments)` in every process, and return when all are done.

    Args:
        train: A module-level function.
        arguments: Its further arguments; must be picklable.
        processes: Number of processes; by default one on CUDA, else one a CPU core. Several
            processes of one thread train a small model faster than one process of several threads.
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
    """Wait for the parent's end, however it came; a process left alone must not go on writing checkpoints."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


class OptimizerState(Protocol):
    """What the loop asks of an optimizer: torch's own, or several that step together."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...  # noqa: D102
    def step(self) -> Any: ...  # noqa: D102
    def zero_grad(self, set_to_none: bool = True) -> None: ...  # noqa: D102
    def state_dict(self) -> Any: ...  # noqa: D102
    def load_state_dict(self, state_dict: Any) -> None: ...  # noqa: D102


class Objective(Protocol):
    """A model and what its training minimises.

    Attributes:
        model: The model.
        parameters: Its trained parameters, in the order of their moving averages.
        optimizer: Their optimizer.
        average: Their moving average, or None.
        keys: What a checkpoint calls the states of model and optimizer.
    """

    model: nn.Module
    parameters: Sequence[nn.Parameter]
    optimizer: OptimizerState
    average: EMAModel | None
    keys: tuple[str, str]

    def loss(self, forward: Callable[..., Any], step: int, rng: np.random.Generator) -> tuple[Tensor, float]:
        """Return the loss of this process's share of a step, and the value to log.

        Args:
            forward: Calls the model, in all processes together.
            step: Number of the step, from 0.
            rng: The step's own source of randomness; torch's is seeded from it.
        """

    def learning_rate(self, *, samples: int, step: int) -> float:
        """Return the learning rate of a step."""

    def measured(self, values: Sequence[float], *, step: int, ends: bool) -> Mapping[str, float]:
        """Return what the log says, from the values since its last line."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How a training runs.

    Attributes:
        seed: Seed of all that is random.
        samples: Samples in all.
        batch_size: Samples a step, of all processes.
        checkpoint: File to resume from; it is written now and then and at the end.
        history: File of the log, JSON lines.
        log_steps: Steps from one line of the log to the next.
        save_seconds: Time from one checkpoint to the next.
        minutes: Stop after this time at the latest.
        gradient_norm: Gradients are clipped to this norm.
        compile: Compile the model with `torch.compile`.
    """

    seed: int
    samples: int
    batch_size: int
    checkpoint: Path
    history: Path
    log_steps: int
    save_seconds: float
    minutes: float | None = None
    gradient_norm: float = 1.0
    compile: bool = False


@dataclass(slots=True)
class Progress:
    """How far a training is: optimizer steps, samples seen by all processes, seconds computed."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


def run_training(
    process: TrainingProcess,
    objective: Objective,
    plan: TrainingPlan,
    on_save: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train in one of several processes, from the last checkpoint if there is one.

    The randomness of a step follows from seed, process and step alone, so that a resumed training ends as
    an uninterrupted one of as many processes, as far as the objective's batches do.

    Args:
        process: This process.
        objective: What to train.
        plan: How.
        on_save: Called in the leading process after a checkpoint was written, or if nothing is left to do.
    """
    progress = _resume(objective, plan, process.device)
    if plan.compile:
        objective.model.compile()
    forward: nn.Module = objective.model
    if process.count > 1:
        forward = DistributedDataParallel(forward, gradient_as_bucket_view=True)
    log = ProgressLog(plan.history, total=plan.samples, done=progress.samples)
    began = saved = last = time.monotonic()
    values: list[float] = []
    stops = progress.samples >= plan.samples
    if stops and process.leads:
        on_save(progress)
    while not stops:
        rng = np.random.default_rng([plan.seed, process.rank, progress.step])
        torch.manual_seed(int(rng.integers(2**62)))
        loss, value = objective.loss(forward, progress.step, rng)
        values.append(value)
        loss.backward()
        nn.utils.clip_grad_norm_(objective.parameters, plan.gradient_norm)
        rate = objective.learning_rate(samples=progress.samples, step=progress.step)
        for group in objective.optimizer.param_groups:
            group["lr"] = rate
        objective.optimizer.step()
        objective.optimizer.zero_grad(set_to_none=True)
        if objective.average is not None:
            objective.average.step(objective.parameters)
        now = time.monotonic()
        progress.step += 1
        progress.samples += plan.batch_size // process.count * process.count
        progress.seconds += now - last
        last = now
        ends = progress.samples >= plan.samples
        stops = ends or process.agree(plan.minutes is not None and now - began > 60 * plan.minutes)
        if process.leads and (stops or progress.step % plan.log_steps == 0):
            log.write(progress.samples, objective.measured(values, step=progress.step, ends=ends))
            values.clear()
        if process.leads and (stops or now - saved > plan.save_seconds):
            save_checkpoint(_state(objective, progress), plan.checkpoint)
            on_save(progress)
            saved = now
    return progress


def _state(objective: Objective, progress: Progress) -> dict[str, Any]:
    model, optimizer = objective.keys
    state = {
        model: objective.model.state_dict(),
        optimizer: objective.optimizer.state_dict(),
        "samples": progress.samples,
        "step": progress.step,
        "seconds": progress.seconds,
    }
    return state if objective.average is None else state | {"ema": objective.average.state_dict()}


def _resume(objective: Objective, plan: TrainingPlan, device: torch.device) -> Progress:
    if not plan.checkpoint.exists():
        return Progress()
    state = torch.load(plan.checkpoint, map_location=device, weights_only=True)
    model, optimizer = objective.keys
    objective.model.load_state_dict(state[model])
    objective.optimizer.load_state_dict(state[optimizer])
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

    Args:
        path: The file. Its lines about samples beyond `done`, which were lost with a kill, are removed.
        total: Samples at which the training ends.
        done: Samples that the checkpoint has seen.
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
