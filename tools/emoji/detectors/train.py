"""Training of a detector on composited scenes, in one process, resumed where it stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor, nn

from daam_bench.scoring.environment import describe_environment
from tools.emoji.detectors.data import annotate, sample_scene, training_batch
from tools.emoji.detectors.evaluate import detect, held_out, miou_80, score_nouns
from tools.emoji.detectors.model import build_model, load_config, save_weights
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Scene
from tools.emoji.workers import ProgressLog, save_atomically

_LOG_EVERY = 50  # steps
_VALIDATE_EVERY = 500  # steps
_VALIDATION_SCENES = 100
_SAVE_SECONDS = 120.0
_FINAL_RATE = 0.01  # learning rate at the end, as a share of the peak


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
    """Train the detector whose `config.py` is in `folder`; goes on from the checkpoint in `out`, if any.

    Writes `checkpoint.pt` now and then, `history.jsonl`, and at the end `model.safetensors` and
    `training.json`. Batch and randomness of a step follow from the seed and the step's number alone, so
    that a resumed training ends as an uninterrupted one.

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
    settings, side = config.training, config.test_scale[0]
    steps = steps or settings.steps
    training = _Training(config, out / "checkpoint.pt", seed, start)
    vae = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32).eval()
    glyphs = Glyphs(font)
    validation = held_out(_VALIDATION_SCENES, glyphs)
    out.mkdir(parents=True, exist_ok=True)
    log = ProgressLog(
        out / "history.jsonl", total=steps * settings.batch_size, done=training.step * settings.batch_size
    )
    losses: list[float] = []
    training.model.train()
    while training.step < steps:
        rng = np.random.default_rng([seed, training.step])
        torch.manual_seed(int(rng.integers(2**62)))
        pictures = [annotate(sample_scene(glyphs, rng)) for _ in range(settings.batch_size)]
        rate = settings.learning_rate * _rate(training.step, steps, settings.warmup_steps)
        losses.append(training.advance(training_batch(pictures, vae, side), rate, settings.gradient_norm))
        ends = training.step == steps
        if ends or training.step % _LOG_EVERY == 0:
            measured = {"loss": float(np.mean(losses))}
            losses.clear()
            if ends or training.step % _VALIDATE_EVERY == 0:
                measured["miou_80"] = _validate(training.model, validation, side)
            log.write(training.step * settings.batch_size, **measured)
        if ends or training.unsaved_seconds > _SAVE_SECONDS:
            training.save()
    save_weights(training.model, out / "model.safetensors")
    record = {
        "detector": folder.name,
        "parameters": sum(parameter.numel() for parameter in training.model.parameters()),
        "steps": steps,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "seed": seed,
        "start": None if start is None else str(start),
        "seconds": round(training.seconds),
        "environment": asdict(describe_environment(device="cpu")),
    }
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n")


class _Training:
    """A model on its way: its optimizer, and how far it is.

    Args:
        config: The detector's config.
        checkpoint: Where it is saved; what is there is gone on with.
        seed: Seed of the weights.
        start: Weights of another detector, or None.

    Attributes:
        model: The model.
        step: Steps done.
        seconds: Time that they took, up to the last checkpoint.
    """

    def __init__(self, config: Any, checkpoint: Path, seed: int, start: Path | None) -> None:
        torch.manual_seed(seed)
        self.model = build_model(config)
        if start is not None:
            _share_features(self.model, start)
        self.model.backbone.to(memory_format=torch.channels_last)
        self._optimizer = _optimizer(self.model, config.training)
        self._checkpoint = checkpoint
        self._since = time.monotonic()
        self.step, self.seconds = 0, 0.0
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            self.model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]
        for module in _convolutional(self.model):
            _compute_in_bfloat16(module)

    def advance(self, batch: dict[str, Any], rate: float, gradient_norm: float) -> float:
        """Take a step with a learning rate, its gradient clipped, and return the loss."""
        loss, _ = self.model.parse_losses(
            self.model(**self.model.data_preprocessor(batch, training=True), mode="loss")
        )
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), gradient_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.item())

    @property
    def unsaved_seconds(self) -> float:
        """Time since the last checkpoint."""
        return time.monotonic() - self._since

    def save(self) -> None:
        """Write a checkpoint."""
        self.seconds += self.unsaved_seconds
        self._since = time.monotonic()
        state = {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        save_atomically(state, self._checkpoint)


def _validate(model: Any, scenes: Sequence[Scene], side: int) -> float:
    model.eval()
    found = detect(model, [scene.image for scene in scenes], side)
    model.train()
    return miou_80(score_nouns(scenes, found))


def _optimizer(model: nn.Module, settings: Any) -> torch.optim.AdamW:
    """Decay matrices and kernels, but not biases, norms and embeddings of single vectors."""
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    free = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _rate(step: int, steps: int, warmup: int) -> float:
    """Return the learning rate of a step as a share of the peak: linear warm-up, then half a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1, (step + 1) / warmup) * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)


def _share_features(model: nn.Module, weights: Path) -> None:
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
