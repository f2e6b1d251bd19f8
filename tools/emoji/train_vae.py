"""Training of the emoji model's autoencoder on procedural scenes."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tools.emoji.config import EmojiConfig
from tools.emoji.glyphs import Glyphs
from tools.emoji.model import build_vae
from tools.emoji.scenes import compose, sample_layout
from tools.emoji.workers import ProgressLog, Worker, save_atomically

RECORD, HISTORY = "training.json", "history.jsonl"
"""Files beside a trained autoencoder's weights: what was trained and how, and its PSNR over the samples."""

_LOG_EVERY = 50  # steps
_KL_WEIGHT = 2e-4
_WARMUP_STEPS = 60


class Autoencoder(nn.Module):
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


def train_vae(
    worker: Worker, config: EmojiConfig, font: Path, out: Path, start: Path | None, decoder_only: bool
) -> None:
    """Train in one of several processes, from the last checkpoint in `out` if there is one.

    Writes `out/vae_checkpoint.pt` now and then, and the finished model with its records to `out/vae/`.

    Args:
        worker: This process.
        config: What to train.
        font: Path of NotoColorEmoji.ttf.
        out: Folder of the training.
        start: An autoencoder whose weights to start from when there is no checkpoint.
        decoder_only: Leave the encoder as it is, so that a denoiser trained on its latents stays valid.
    """
    settings, device = config.vae_training, worker.device
    torch.manual_seed(config.world.seed + worker.rank)
    vae = AutoencoderKL.from_pretrained(start, torch_dtype=torch.float32) if start else build_vae(config)
    vae.to(device, memory_format=torch.channels_last)
    if decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    model = Autoencoder(vae)
    parameters = [parameter for parameter in vae.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    samples = step = 0
    checkpoint = out / "vae_checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        samples, step = state["samples"], state["step"]
    parallel: nn.Module = DistributedDataParallel(model) if worker.count > 1 else model
    rng = np.random.default_rng([config.world.seed, worker.rank, step])
    glyphs = Glyphs(font)
    log = ProgressLog(out / "vae_history.jsonl", total=settings.samples, done=samples)
    share = settings.batch_size // worker.count
    saved = time.monotonic()
    errors: list[float] = []

    while samples < settings.samples:
        images = sample_images(share, config, glyphs, rng).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            reconstructed, divergence = parallel(images)
        error = reconstructed.float() - images
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        loss = error.abs().mean() + 2 * (error**2).mean() + 0.3 * edges + _KL_WEIGHT * divergence
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        rate = min(1, (step + 1) / _WARMUP_STEPS) * min(1, max(0.02, 2 * (1 - samples / settings.samples)))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        samples += share * worker.count
        errors.append(float((error.detach() ** 2).mean()))
        if worker.leads and step % _LOG_EVERY == 0:
            log.write(samples, psnr=_psnr(float(np.mean(errors))))
            errors.clear()
        if worker.leads and time.monotonic() - saved > 60 * config.training.save_minutes:
            state = {
                "vae": vae.state_dict(),
                "optimizer": optimizer.state_dict(),
                "samples": samples,
                "step": step,
            }
            save_atomically(state, checkpoint)
            saved = time.monotonic()
    if worker.leads:
        quality = finish(vae, config, glyphs, keep_scale=decoder_only)
        print(f"autoencoder: {quality:.2f} dB on held-out scenes")
        vae.save_pretrained(out / "vae")
        record = {
            "samples": samples,
            "steps": step,
            "decoder_only": decoder_only,
            "psnr_db": round(quality, 2),
            "seed": config.world.seed,
            "config": asdict(settings),
            "versions": {name: version(name) for name in ("torch", "diffusers")},
        }
        (out / "vae" / RECORD).write_text(json.dumps(record, indent=1) + "\n")
        if log.path.exists():
            shutil.copy(log.path, out / "vae" / HISTORY)


@torch.no_grad()
def finish(vae: AutoencoderKL, config: EmojiConfig, glyphs: Glyphs, *, keep_scale: bool) -> float:
    """Set the scaling factor that gives latents unit variance; return the PSNR (dB) on held-out scenes."""
    images = sample_images(64, config, glyphs, np.random.default_rng(999)).to(vae.device)
    latents = vae.encode(images).latent_dist.mode()
    if not keep_scale:
        vae.register_to_config(scaling_factor=float(1 / latents.std()))
    return _psnr(float(((vae.decode(latents).sample - images) ** 2).mean()))


def sample_images(count: int, config: EmojiConfig, glyphs: Glyphs, rng: np.random.Generator) -> Tensor:
    """Compose random scenes as floats in [-1, 1] of shape (count, 3, size, size)."""
    size = config.world.image_size
    scenes = [compose(sample_layout(rng), glyphs, size, rng).image for _ in range(count)]
    return torch.from_numpy(np.stack(scenes)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _psnr(squared_error: float) -> float:
    return float(10 * np.log10(4 / squared_error))
