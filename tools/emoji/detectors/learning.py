"""Training of a detector on composited scenes, resumed where it was interrupted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file
from torch import Tensor, nn

from daam_bench.scoring.environment import describe_environment
from daam_bench.segmenters.mmdet.detector_files import shipped_config
from daam_bench.segmenters.threads import computing_with
from tools.emoji.detectors.data import annotate, held_out, sample_scene, training_batch
from tools.emoji.detectors.models import build_model, load_config, save_weights
from tools.emoji.detectors.quality import detect, miou_80, score_nouns
from tools.emoji.generator import HISTORY, RECORD
from tools.emoji.glyphs import Glyphs
from tools.emoji.training import ALONE, OptimizerState, TrainingPlan, run_training

VALIDATION_SCENES = 100
SAVE_SECONDS = 120.0
_LOG_EVERY, _VALIDATE_EVERY = 50, 500  # steps
_FINAL_RATE = 0.01  # learning rate at the end, as a share of the peak


def train_named_detector(
    *,
    name: str,
    out: Path | None,
    steps: int | None,
    seed: int,
    start: Path | None,
    pipeline: Path,
    threads: int,
    font: Path,
) -> None:
    """Train one of `NAMES`, by default into runs/detectors; see `train_detector`."""
    with computing_with(threads):
        train_detector(
            folder=shipped_config(name).parent,
            out=out or Path("runs/detectors") / name,
            font=font,
            vae_folder=pipeline / "vae",
            steps=steps,
            seed=seed,
            start=start,
        )


def train_detector(
    *,
    folder: Path,
    out: Path,
    font: Path,
    vae_folder: Path,
    steps: int | None = None,
    seed: int = 0,
    start: Path | None = None,
) -> None:
    """Train the detector whose `config.py` is in `folder`; resumes from the checkpoint in `out`, if any.

    Writes `checkpoint.pt` now and then, `history.jsonl`, and at the end `model.safetensors` and
    `training.json`. A resumed training ends as an uninterrupted one.

    Args:
        folder: The detector's folder.
        out: Folder of the training.
        font: Path of NotoColorEmoji.ttf.
        vae_folder: The pipeline's autoencoder, through which some images go.
        steps: Steps in all, instead of the config's.
        seed: Seed of weights and images.
        start: The `model.safetensors` of another detector, whose backbone and neck to start from.
    """
    config = load_config(folder)
    settings = config.training
    steps = steps or settings.steps
    torch.manual_seed(seed)
    objective = DetectorObjective(config, steps, vae_folder=vae_folder, font=font, start=start)
    out.mkdir(parents=True, exist_ok=True)
    plan = TrainingPlan(
        seed=seed,
        samples=steps * settings.batch_size,
        batch_size=settings.batch_size,
        checkpoint=out / "checkpoint.pt",
        history=out / HISTORY,
        log_steps=_LOG_EVERY,
        save_seconds=SAVE_SECONDS,
        gradient_norm=settings.gradient_norm,
    )
    progress = run_training(ALONE, objective, plan)
    save_weights(objective.model, out / "model.safetensors")
    record = {
        "detector": folder.name,
        "parameters": sum(parameter.numel() for parameter in objective.parameters),
        "steps": steps,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "seed": seed,
        "start": None if start is None else str(start),
        "seconds": round(progress.seconds),
        "environment": asdict(describe_environment(device="cpu")),
    }
    (out / RECORD).write_text(json.dumps(record, indent=1) + "\n")


class DetectorObjective:
    """The training of a detector: MMDetection's own losses on composited scenes.

    Args:
        config: The detector's config.
        steps: Steps in all.
        vae_folder: The pipeline's autoencoder.
        font: Path of NotoColorEmoji.ttf.
        start: Weights of another detector, or None.
    """

    keys = ("model", "optimizer")
    average: EMAModel | None = None

    def __init__(self, config: Any, steps: int, *, vae_folder: Path, font: Path, start: Path | None) -> None:
        self.model: Any = build_model(config)
        if start is not None:
            share_features(self.model, start)
        self.model.backbone.to(memory_format=torch.channels_last)
        for module in _convolutional(self.model):
            _compute_in_bfloat16(module)
        self.model.train()
        self.parameters: Sequence[nn.Parameter] = list(self.model.parameters())
        self._settings, self._side, self._steps = config.training, config.test_scale[0], steps
        # Matrices and kernels decay, but not biases, norms and embeddings of single vectors.
        decayed = [parameter for parameter in self.parameters if parameter.ndim > 1]
        free = [parameter for parameter in self.parameters if parameter.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self._settings.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        self.optimizer: OptimizerState = torch.optim.AdamW(
            groups, lr=self._settings.learning_rate, fused=True
        )
        self._vae = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32).eval()
        self._glyphs = Glyphs(font)
        self._validation = held_out(VALIDATION_SCENES, self._glyphs)

    def loss(self, forward: Callable[..., Any], step: int, rng: np.random.Generator) -> tuple[Tensor, float]:
        """Return the sum of the losses of a batch of new scenes."""
        scenes = [annotate(sample_scene(self._glyphs, rng)) for _ in range(self._settings.batch_size)]
        batch = self.model.data_preprocessor(training_batch(scenes, self._vae, self._side), training=True)
        loss, _ = self.model.parse_losses(forward(**batch, mode="loss"))
        return loss, float(loss.item())

    def learning_rate(self, *, samples: int, step: int) -> float:
        """Warm up linearly, then fall along half a cosine."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self._steps))
        share = _FINAL_RATE + (1 - _FINAL_RATE) * cosine
        return float(self._settings.learning_rate * min(1, (step + 1) / self._settings.warmup_steps) * share)

    def measured(self, values: Sequence[float], *, step: int, ends: bool) -> dict[str, float]:
        """Return the mean loss, and now and then mIoU_80 on held-out scenes."""
        loss = {"loss": float(np.mean(values))}
        if not ends and step % _VALIDATE_EVERY:
            return loss
        self.model.eval()
        found = detect(self.model, [scene.image for scene in self._validation], self._side)
        self.model.train()
        return loss | {"miou_80": miou_80(score_nouns(self._validation, found))}


def share_features(model: nn.Module, weights: Path) -> None:
    """Copy another detector's backbone, and its neck where the model has the same."""
    shared = {
        name: value
        for name, value in load_file(weights).items()
        if name.startswith(("backbone.", "neck.")) and name in model.state_dict()
    }
    model.load_state_dict(shared, strict=False)


def _convolutional(model: Any) -> list[nn.Module]:
    """Return the parts that are faster in bfloat16 and run none of mmcv's own operators."""
    parts = [model.backbone]
    if model.with_neck:
        parts.append(model.neck)
    if getattr(model, "with_mask", False):
        heads = model.roi_head.mask_head
        parts.extend(heads if isinstance(heads, nn.ModuleList) else [heads])
    return parts


def _compute_in_bfloat16(module: nn.Module) -> None:
    """Run a module under bfloat16 autocast, its outputs in float32 and contiguous, as mmcv reads them."""
    forward = module.forward

    def plain(output: Tensor) -> Tensor:
        return output.float().contiguous()

    def autocast_forward(*arguments: Any, **options: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = forward(*arguments, **options)
        return tuple(map(plain, outputs)) if isinstance(outputs, tuple) else plain(outputs)

    module.forward = autocast_forward
