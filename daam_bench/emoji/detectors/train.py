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
from torch import Tensor, nn

from daam_bench.emoji.detectors.data import annotate, sample_scene, training_batch
from daam_bench.emoji.detectors.evaluate import detect, held_out, miou_80, score_nouns
from daam_bench.emoji.detectors.model import build_model, load_config, save_weights
from daam_bench.emoji.glyphs import Glyphs
from daam_bench.emoji.scenes import Scene
from daam_bench.emoji.workers import ProgressLog, save_atomically
from daam_bench.scoring.environment import describe_environment

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
    `training.json`. Batch and
    randomness of a step follow from the seed and the step's number alone, so that a resumed training ends
    as an uninterrupted one.

    Args:
        folder: The detector's folder.
        out: Folder of the training.
        font: Path of NotoColorEmoji.ttf.
        vae_folder: The pipeline's autoencoder, through which some pictures go.
        steps: Steps in all, instead of the config's.
        seed: Seed of weights and pictures.
        start: The `checkpoint.pt` of another detector, whose backbone and neck to start from.
    """
    config = load_config(folder)
    settings = config.training
    steps = steps or settings.steps
    torch.manual_seed(seed)
    model = build_model(config)
    if start is not None:
        _share_features(model, start)
    model.backbone.to(memory_format=torch.channels_last)
    optimizer = _optimizer(model, settings)
    step, seconds = 0, 0.0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds = state["step"], state["seconds"]
    for module in _convolutional(model):
        _compute_in_bfloat16(module)
    vae = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32).eval()
    glyphs = Glyphs(font)
    validation = held_out(_VALIDATION_SCENES, glyphs)
    out.mkdir(parents=True, exist_ok=True)
    log = ProgressLog(out, total=steps * settings.batch_size, done=step * settings.batch_size)
    saved = time.monotonic()
    losses: list[float] = []
    model.train()
    while step < steps:
        rng = np.random.default_rng([seed, step])
        torch.manual_seed(int(rng.integers(2**62)))
        pictures = [annotate(sample_scene(glyphs, rng)) for _ in range(settings.batch_size)]
        batch = model.data_preprocessor(training_batch(pictures, vae, config.test_scale[0]), training=True)
        loss, _ = model.parse_losses(model(**batch, mode="loss"))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, steps, settings.warmup_steps)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        losses.append(loss.item())
        if step % _LOG_EVERY == 0 or step == steps:
            measured = {"loss": float(np.mean(losses))}
            losses.clear()
            if step % _VALIDATE_EVERY == 0 or step == steps:
                measured["miou_80"] = _validate(model, validation, config.test_scale[0])
            log.write(step * settings.batch_size, **measured)
        if step == steps or time.monotonic() - saved > _SAVE_SECONDS:
            seconds += time.monotonic() - saved
            saved = time.monotonic()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            save_atomically({**state, "step": step, "seconds": seconds}, checkpoint)
    save_weights(model, out / "model.safetensors")
    record = {
        "detector": folder.name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": steps,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "seed": seed,
        "start": None if start is None else str(start),
        "seconds": round(seconds),
        "environment": asdict(describe_environment(device="cpu")),
    }
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n")


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


def _share_features(model: nn.Module, checkpoint: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)["model"]
    shared = {name: value for name, value in state.items() if name.startswith(("backbone.", "neck."))}
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
