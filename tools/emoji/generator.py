"""What the trainings of all generators share: encoded scenes, their captions, schedule and export."""

from __future__ import annotations

import json
import shutil
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from transformers import CLIPTokenizer

from daam_bench.emoji.annotator import to_tensor
from tools.emoji.captions import caption
from tools.emoji.configuration import GeneratorSettings, S, TrainingSettings
from tools.emoji.scenes import Glyphs, Layout, compose, sample_layout
from tools.emoji.tokenizing import add_clip_files
from tools.emoji.training import Objective, Progress, TrainingProcess, run_training

RECORD, HISTORY = "training.json", "history.jsonl"
"""Files beside trained weights: what was trained and how, and its measures over the samples."""

_SCENES = 1  # sets the randomness of the scenes apart from that of the steps
_GROWTH = 8  # times faster than later, scenes are added until the pool is full


@dataclass(frozen=True, slots=True)
class LatentBatch:
    """Latents (batch, channels, height, width), the layouts they show, and the share of objects a pixel."""

    latents: Tensor
    layouts: list[Layout]
    objects: Tensor


class LatentPool:
    """Encoded scenes to take batches from, renewed a few a step so that none is seen for long.

    The scenes come in chunks, each from a seed of its own. The oldest chunk makes room for the newest, so the
    pool of a step does not depend on where the training was interrupted.
    """

    def __init__(
        self, settings: GeneratorSettings, vae: AutoencoderKL, glyphs: Glyphs, process: TrainingProcess
    ) -> None:
        self._settings, self._vae, self._glyphs, self._process = settings, vae, glyphs, process
        self._chunks: dict[int, LatentBatch] = {}

    def sample(self, step: int, count: int, rng: np.random.Generator) -> LatentBatch:
        """Renew some scenes and return `count` random ones."""
        settings = self._settings.training
        capacity = max(1, settings.pool // settings.fresh)
        made = _GROWTH * (step + 1)
        if made > capacity:
            made = capacity + step + 1 - capacity // _GROWTH
        oldest = max(0, made - capacity)
        for number in [number for number in self._chunks if number < oldest]:
            del self._chunks[number]
        for number in range(oldest, made):
            if number not in self._chunks:
                self._chunks[number] = self._make(number)
        chosen = rng.integers(0, (made - oldest) * settings.fresh, count)
        places = [(self._chunks[oldest + int(i) // settings.fresh], int(i) % settings.fresh) for i in chosen]
        return LatentBatch(
            torch.stack([chunk.latents[place] for chunk, place in places]),
            [chunk.layouts[place] for chunk, place in places],
            torch.stack([chunk.objects[place] for chunk, place in places]),
        )

    def _make(self, number: int) -> LatentBatch:
        world, fresh = self._settings.world, self._settings.training.fresh
        rng = np.random.default_rng([world.seed, self._process.rank, number, _SCENES])
        scenes = [compose(sample_layout(rng), self._glyphs, world.image_size, rng) for _ in range(fresh)]
        latents = encode(self._vae, np.stack([scene.image for scene in scenes]), self._process.device)
        shown = np.stack([scene.masks.any(axis=0) for scene in scenes]).astype(np.float32)
        objects = F.avg_pool2d(torch.from_numpy(shown)[:, None], shown.shape[-1] // latents.shape[-1])
        return LatentBatch(latents, [scene.layout for scene in scenes], objects.to(self._process.device))


@torch.no_grad()
def encode(vae: AutoencoderKL, images: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Encode uint8 RGB images (batch, height, width, 3) to scaled latents."""
    pixels = to_tensor(images).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        distribution = vae.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist
    latents: Tensor = distribution.mode().float() * vae.config.scaling_factor
    return latents


def learning_rate(settings: TrainingSettings, *, samples: int, step: int) -> float:
    """Warm up over the first steps, stay, and fall linearly to zero over the last part of the samples."""
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    left = max(0.0, 1 - samples / settings.samples)
    return settings.learning_rate * warm * min(1.0, left / settings.cooldown if settings.cooldown else 1.0)


Parts = tuple[nn.Module, list[nn.Parameter], list[tuple[torch.optim.Optimizer, float]]]


class GeneratorObjective(Objective, Generic[S]):
    """The training of a text-to-image model: from noisy latents and a caption to what was added."""

    card: str
    average: EMAModel

    def __init__(
        self,
        process: TrainingProcess,
        settings: S,
        *,
        vae: AutoencoderKL,
        sources: Sequence[Path],
        start: Path | None,
        font: Path,
    ) -> None:
        self.settings, self.device = settings, process.device
        self.made_of = settings.model_dump(mode="json", exclude={"training", "vae_training"})
        self.model, self.parameters, self.optimizers = self.build(vae, sources, start)
        self.average = EMAModel(self.parameters, decay=settings.training.ema_decay)
        self._share = settings.training.batch_size // process.count
        self._pool = LatentPool(settings, vae, Glyphs(font), process)

    @abstractmethod
    def build(self, vae: AutoencoderKL, sources: Sequence[Path], start: Path | None) -> Parts:
        """Return the model, on the device, its parameters and their optimizers.

        The tokenizers are in the folders `sources`; the weights are those of the pipeline `start`, if given.
        """

    @abstractmethod
    def squared_error(
        self,
        forward: Callable[..., Any],
        latents: Tensor,
        captions: list[str],
        step: int,
        rng: np.random.Generator,
    ) -> Tensor:
        """Add noise to latents and return the squared error of what is predicted, of the latents' shape."""

    def loss(self, forward: Callable[..., Any], step: int, rng: np.random.Generator) -> tuple[Tensor, float]:
        """Return the mean squared error, objects counting more, of this process's share of a batch."""
        training = self.settings.training
        batch = self._pool.sample(step, self._share, rng)
        captions = [
            "" if rng.random() < training.prompt_dropout else caption(layout, rng).text
            for layout in batch.layouts
        ]
        weight = 1 + training.object_weight * batch.objects
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            error = self.squared_error(forward, batch.latents, captions, step, rng)
        loss = (error * weight).mean() / weight.mean()
        return loss, float(loss.detach())

    def learning_rate(self, *, samples: int, step: int) -> float:
        """Return the learning rate of a step."""
        return learning_rate(self.settings.training, samples=samples, step=step)

    @abstractmethod
    def pipeline(self, vae: AutoencoderKL) -> Any:
        """Return a pipeline of diffusers with the averaged weights."""

    def finish_export(self, folder: Path) -> None:
        """Correct what diffusers wrote of the pipeline."""


def adamw(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer of a generator's parameters."""
    return torch.optim.AdamW(parameters, betas=(0.9, 0.99), weight_decay=0.01, fused=True)


def normal(shape: Sequence[int], rng: np.random.Generator, device: torch.device) -> Tensor:
    """Return float32 noise of the standard normal distribution."""
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32)).to(device)


def load_vae(folder: Path, device: torch.device | None = None) -> AutoencoderKL:
    """Load a trained autoencoder in float32, without a note of the folder that it came from."""
    trained = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
    vae: AutoencoderKL = AutoencoderKL.from_config(
        {key: value for key, value in trained.config.items() if not key.startswith("_")}
    )
    vae.load_state_dict(trained.state_dict())
    return vae.to(device or "cpu").eval()


def train_generator(
    process: TrainingProcess,
    kind: type[GeneratorObjective[Any]],
    settings: GeneratorSettings,
    vae_folder: Path,
    sources: Sequence[Path],
    font: Path,
    out: Path,
    start: Path | None,
    minutes: float | None,
) -> None:
    """Train a generator in one of several processes, from the last checkpoint in `out` if there is one.

    Writes `checkpoint.pt` now and then, `pipeline/` (averaged weights) beside it, and `history.jsonl`.
    """
    torch.manual_seed(settings.world.seed)
    vae = load_vae(vae_folder, process.device)
    objective = kind(process, settings, vae=vae, sources=sources, start=start, font=font)
    training = settings.training
    folder, history = out / "pipeline", out / HISTORY

    def export(progress: Progress) -> None:
        save_pipeline(objective.pipeline(load_vae(vae_folder)), folder)
        objective.finish_export(folder)
        record = {
            "samples": progress.samples,
            "steps": progress.step,
            "seconds": round(progress.seconds),
            "config": settings.model_dump(mode="json"),
            "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
        }
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
        shutil.copy(Path(__file__).parent / "cards" / objective.card, folder / "README.md")
        if history.exists():
            shutil.copy(history, folder)
        for name in (RECORD, HISTORY):
            if (vae_folder / name).exists():
                shutil.copy(vae_folder / name, folder / "vae")

    run_training(
        process,
        objective,
        checkpoint=out / "checkpoint.pt",
        history=history,
        seed=settings.world.seed,
        samples=training.samples,
        batch_size=training.batch_size,
        log_steps=100,
        save_seconds=60 * training.save_minutes,
        minutes=minutes,
        compiled=training.compile,
        on_save=export,
    )


def save_pipeline(pipeline: Any, folder: Path) -> None:
    """Write a pipeline of diffusers in float16, so that its parts load in float32 unless told otherwise."""
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    # Transformers loads a model in the type its configuration names, diffusers in float32: let both agree.
    for path in folder.glob("text_encoder*/config.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    for name, part in pipeline.components.items():
        if isinstance(part, CLIPTokenizer):
            add_clip_files(folder / name)
