"""The autoencoder of the emoji pipelines, and its training on procedural scenes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from tools.emoji.configuration import UnetPipelineSettings, load_settings
from tools.emoji.generator import HISTORY, RECORD, load_vae
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import compose, sample_layout
from tools.emoji.training import OptimizerState, TrainingPlan, TrainingProcess, run_processes, run_training

_KL_WEIGHT = 2e-4
_WARMUP_STEPS = 60


def train_decoder(
    *, config: str | Path, out: Path, font: Path, start: Path, processes: int | None = None
) -> None:
    """Train only the decoder of a pipeline's autoencoder, into `out/vae`; its latents stay as they are.

    Args:
        config: A TOML file or a shipped name, whose `vae_training` counts.
        out: Folder of the training.
        font: Path of NotoColorEmoji.ttf.
        start: The pipeline.
        processes: CPU processes, by default one a core.
    """
    out.mkdir(parents=True, exist_ok=True)
    settings = load_settings(config, UnetPipelineSettings)
    run_processes(train_vae, settings, font, out, start / "vae", processes=processes)


def train_vae(
    process: TrainingProcess,
    settings: UnetPipelineSettings,
    font: Path,
    out: Path,
    decoder_of: Path | None = None,
) -> None:
    """Train in one of several processes, from the last checkpoint in `out` if there is one.

    Writes `out/vae_checkpoint.pt` now and then, and the finished model with its records to `out/vae/`.

    Args:
        process: This process.
        settings: What to train.
        font: Path of NotoColorEmoji.ttf.
        out: Folder of the training.
        decoder_of: An autoencoder of which to train the decoder alone, so that a denoiser trained on its
            latents stays valid; None to train one from random weights.
    """
    training = settings.vae_training
    torch.manual_seed(settings.world.seed)
    vae = load_vae(decoder_of) if decoder_of else build_vae(settings)
    glyphs = Glyphs(font)
    objective = _VaeObjective(process, settings, vae, glyphs, decoder_only=decoder_of is not None)
    plan = TrainingPlan(
        seed=settings.world.seed,
        samples=training.samples,
        batch_size=training.batch_size,
        checkpoint=out / "vae_checkpoint.pt",
        history=out / "vae_history.jsonl",
        log_steps=50,
        save_seconds=60 * settings.training.save_minutes,
    )
    progress = run_training(process, objective, plan)
    if not process.leads:
        return
    quality = finish(vae, settings, glyphs, keep_scale=decoder_of is not None)
    print(f"autoencoder: {quality:.2f} dB on held-out scenes")
    vae.save_pretrained(out / "vae")
    record = {
        "samples": progress.samples,
        "steps": progress.step,
        "decoder_only": decoder_of is not None,
        "psnr_db": round(quality, 2),
        "seed": settings.world.seed,
        "config": training.model_dump(mode="json"),
        "versions": {name: version(name) for name in ("torch", "diffusers")},
    }
    (out / "vae" / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    if plan.history.exists():
        shutil.copy(plan.history, out / "vae" / HISTORY)


class _Autoencoder(nn.Module):
    """Reconstructs images from sampled latents."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return reconstructions of shape (batch, 3, height, width) and the mean KL divergence."""
        distribution = self.vae.encode(images).latent_dist
        mean, log_variance = distribution.mean.float(), distribution.logvar.float()
        latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = (0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)).mean()
        return self.vae.decode(latents).sample, divergence


class _VaeObjective:
    """The training of an autoencoder, or of its decoder alone."""

    keys = ("vae", "optimizer")
    average: EMAModel | None = None

    def __init__(
        self,
        process: TrainingProcess,
        settings: UnetPipelineSettings,
        vae: AutoencoderKL,
        glyphs: Glyphs,
        *,
        decoder_only: bool,
    ) -> None:
        vae.to(process.device, memory_format=torch.channels_last).train()
        if decoder_only:
            vae.encoder.requires_grad_(False)
            vae.quant_conv.requires_grad_(False)
        self.model: nn.Module = _Autoencoder(vae)
        self.parameters: Sequence[nn.Parameter] = [
            parameter for parameter in vae.parameters() if parameter.requires_grad
        ]
        self.optimizer: OptimizerState = torch.optim.AdamW(
            self.parameters, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self._settings, self._glyphs, self._device = settings, glyphs, process.device
        self._share = settings.vae_training.batch_size // process.count

    def loss(self, forward: Callable[..., Any], step: int, rng: np.random.Generator) -> tuple[Tensor, float]:
        """Return the loss (absolute, squared and edge errors, divergence) and the mean squared error."""
        images = sample_images(self._share, self._settings, self._glyphs, rng)
        images = images.to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            reconstructed, divergence = forward(images)
        error = reconstructed.float() - images
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        loss = error.abs().mean() + 2 * (error**2).mean() + 0.3 * edges + _KL_WEIGHT * divergence
        return loss, float((error.detach() ** 2).mean())

    def learning_rate(self, *, samples: int, step: int) -> float:
        """Warm up, stay for half of the samples, and fall linearly to a fiftieth."""
        training = self._settings.vae_training
        warm, left = min(1, (step + 1) / _WARMUP_STEPS), 1 - samples / training.samples
        return training.learning_rate * warm * min(1, max(0.02, 2 * left))

    def measured(self, values: Sequence[float], *, step: int, ends: bool) -> dict[str, float]:
        """Return the PSNR in dB."""
        return {"psnr": _psnr(float(np.mean(values)))}


def build_vae(settings: UnetPipelineSettings) -> AutoencoderKL:
    """Build an untrained autoencoder; its scaling factor is set after training."""
    widths = settings.vae.widths
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=settings.vae.latent_channels,
        norm_num_groups=settings.vae.groups,
        sample_size=settings.world.image_size,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


@torch.no_grad()
def finish(vae: AutoencoderKL, settings: UnetPipelineSettings, glyphs: Glyphs, *, keep_scale: bool) -> float:
    """Set the scaling factor that gives latents unit variance; return the PSNR (dB) on held-out scenes."""
    images = sample_images(64, settings, glyphs, np.random.default_rng(999)).to(vae.device)
    latents = vae.encode(images).latent_dist.mode()
    if not keep_scale:
        vae.register_to_config(scaling_factor=float(1 / latents.std()))
    return _psnr(float(((vae.decode(latents).sample - images) ** 2).mean()))


def sample_images(
    count: int, settings: UnetPipelineSettings, glyphs: Glyphs, rng: np.random.Generator
) -> Tensor:
    """Compose random scenes as floats in [-1, 1] of shape (count, 3, size, size)."""
    size = settings.world.image_size
    scenes = [compose(sample_layout(rng), glyphs, size, rng).image for _ in range(count)]
    return torch.from_numpy(np.stack(scenes)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _psnr(squared_error: float) -> float:
    return float(10 * np.log10(4 / squared_error))
