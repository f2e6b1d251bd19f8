"""Training of the emoji model's text encoder and denoiser on encoded procedural scenes."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import CLIPTokenizer

from tools.emoji.captions import caption
from tools.emoji.config import EmojiConfig
from tools.emoji.glyphs import Glyphs
from tools.emoji.model import build_scheduler, build_text_encoder, build_unet, build_vae, save_pipeline
from tools.emoji.scenes import Layout, compose, sample_layout
from tools.emoji.train_vae import HISTORY, RECORD
from tools.emoji.workers import ProgressLog, Worker, save_atomically

_LOG_EVERY = 100  # steps


class Denoiser(nn.Module):
    """Text encoder and UNet as one module, from token ids and noisy latents to the predicted velocity."""

    def __init__(self, text_encoder: nn.Module, unet: nn.Module) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.unet = unet

    def forward(self, token_ids: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Predict the velocity of latents of shape (batch, channels, height, width)."""
        embeddings = self.text_encoder(token_ids)[0]
        velocity: Tensor = self.unet(noisy, timesteps, embeddings).sample
        return velocity


@dataclass(frozen=True, slots=True)
class Batch:
    """Latents (batch, channels, height, width), the layouts they show, and the share of objects a pixel."""

    latents: Tensor
    layouts: list[Layout]
    objects: Tensor


class LatentPool:
    """Encoded scenes to draw batches from, renewed a few a step so that none is seen for long."""

    def __init__(
        self,
        config: EmojiConfig,
        vae: AutoencoderKL,
        glyphs: Glyphs,
        worker: Worker,
        rng: np.random.Generator,
    ) -> None:
        self._config, self._vae, self._glyphs, self._worker, self._rng = config, vae, glyphs, worker, rng
        self._latents: list[Tensor] = []
        self._objects: list[Tensor] = []
        self._layouts: list[Layout] = []

    def draw(self, count: int) -> Batch:
        """Renew some scenes and return `count` random ones."""
        settings = self._config.training
        growing = len(self._layouts) < settings.pool
        self._renew(max(count, 8 * settings.fresh) if growing else settings.fresh)
        chosen = self._rng.integers(0, len(self._layouts), count)
        return Batch(
            torch.stack([self._latents[i] for i in chosen]),
            [self._layouts[i] for i in chosen],
            torch.stack([self._objects[i] for i in chosen]),
        )

    def _renew(self, count: int) -> None:
        size = self._config.world.image_size
        scenes = [compose(sample_layout(self._rng), self._glyphs, size, self._rng) for _ in range(count)]
        latents = encode(self._vae, np.stack([scene.image for scene in scenes]), self._worker.device)
        shown = np.stack([scene.masks.any(axis=0) for scene in scenes]).astype(np.float32)
        objects = F.avg_pool2d(torch.from_numpy(shown)[:, None], self._config.vae.factor)
        for scene, latent, share in zip(scenes, latents, objects.to(self._worker.device), strict=True):
            if len(self._layouts) < self._config.training.pool:
                self._layouts.append(scene.layout)
                self._latents.append(latent)
                self._objects.append(share)
            else:
                place = self._rng.integers(len(self._layouts))
                self._layouts[place], self._latents[place], self._objects[place] = scene.layout, latent, share


@torch.no_grad()
def encode(vae: AutoencoderKL, images: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Encode uint8 RGB images (batch, height, width, 3) to scaled latents."""
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.autocast(device.type, dtype=torch.bfloat16):
        distribution = vae.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist
    latents: Tensor = distribution.mode().float() * vae.config.scaling_factor
    return latents


def learning_rate(config: EmojiConfig, *, samples: int, step: int) -> float:
    """Warm up over the first steps, stay, and fall linearly to zero over the last part of the samples."""
    settings = config.training
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    left = max(0.0, 1 - samples / settings.samples)
    return settings.learning_rate * warm * min(1.0, left / settings.cooldown if settings.cooldown else 1.0)


def train_denoiser(
    worker: Worker,
    config: EmojiConfig,
    tokenizer: CLIPTokenizer,
    vae_folder: Path,
    font: Path,
    out: Path,
    start: Path | None,
    minutes: float | None,
) -> None:
    """Train in one of several processes, from the last checkpoint in `out` if there is one.

    Writes `out/checkpoint.pt` now and then and at the end, `out/pipeline/` (averaged weights) beside it,
    and a line of `out/history.jsonl` every hundred steps.

    Args:
        worker: This process.
        config: What to train.
        tokenizer: The tokenizer of the captions.
        vae_folder: A trained autoencoder.
        font: Path of NotoColorEmoji.ttf.
        out: Folder of the training.
        start: A pipeline whose weights to start from when there is no checkpoint.
        minutes: Stop after this time at the latest.
    """
    torch.manual_seed(config.world.seed)
    vae = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32).to(worker.device).eval()
    vae.to(memory_format=torch.channels_last)
    training = DenoiserTraining(worker, config, tokenizer, start)
    if (out / "checkpoint.pt").exists():
        training.load(out / "checkpoint.pt")
    rng = np.random.default_rng([config.world.seed, worker.rank, training.step])
    pool = LatentPool(config, vae, Glyphs(font), worker, rng)
    log = ProgressLog(out / "history.jsonl", total=config.training.samples, done=training.samples)
    began = saved = time.monotonic()
    losses: list[float] = []

    def save() -> None:
        training.save(out / "checkpoint.pt")
        training.export(out / "pipeline", vae_folder)
        if log.path.exists():
            shutil.copy(log.path, out / "pipeline")
        for name in (RECORD, HISTORY):
            if (vae_folder / name).exists():
                shutil.copy(vae_folder / name, out / "pipeline" / "vae")

    while training.samples < config.training.samples:
        now = time.monotonic()
        if worker.agree(minutes is not None and now - began > 60 * minutes):
            break
        losses.append(training.learn(pool.draw(training.share), rng))
        if worker.leads and training.step % _LOG_EVERY == 0:
            log.write(training.samples, loss=float(np.mean(losses)))
            losses.clear()
        if worker.leads and now - saved > 60 * config.training.save_minutes:
            save()
            saved = now
    if worker.leads:
        save()


class DenoiserTraining:
    """The state of a training in one process: weights, their moving average, optimizer and counts.

    Attributes:
        samples: Samples seen by all processes.
        step: Optimizer steps made.
        share: Samples of this process in a step.
    """

    def __init__(
        self, worker: Worker, config: EmojiConfig, tokenizer: CLIPTokenizer, start: Path | None
    ) -> None:
        self.samples = self.step = 0
        self.share = config.training.batch_size // worker.count
        self._worker, self._config, self._tokenizer = worker, config, tokenizer
        text_encoder, unet = build_text_encoder(config, tokenizer), build_unet(config)
        if worker.device.type == "cpu":
            unet.set_attn_processor(AttnProcessor())  # faster than the fused one on small CPU batches
        self._model = Denoiser(text_encoder, unet).to(worker.device)
        if start is not None:
            _load_weights(self._model, start)
        unet.to(memory_format=torch.channels_last)
        self._parameters = [*unet.parameters(), *text_encoder.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self._average = EMAModel(self._parameters, decay=config.training.ema_decay)
        self._alphas = build_scheduler().alphas_cumprod.to(worker.device)
        distributed = worker.count > 1
        self._parallel: nn.Module = (
            DistributedDataParallel(self._model, gradient_as_bucket_view=True) if distributed else self._model
        )

    def learn(self, batch: Batch, rng: np.random.Generator) -> float:
        """Make one optimizer step on a batch; return its loss."""
        settings, device = self._config.training, self._worker.device
        captions = [
            "" if rng.random() < settings.prompt_dropout else caption(layout, rng).text
            for layout in batch.layouts
        ]
        token_ids = self._tokenizer(captions, padding="max_length", return_tensors="pt").input_ids.to(device)
        # Objects take shape at high noise: a power below 1 draws those time steps more often.
        timesteps = torch.from_numpy((1000 * rng.random(len(captions)) ** 0.85).astype(np.int64)).to(device)
        noise = torch.from_numpy(rng.standard_normal(batch.latents.shape, dtype=np.float32)).to(device)
        alpha = self._alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * batch.latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * batch.latents
        with torch.autocast(device.type, dtype=torch.bfloat16):
            noisy = noisy.contiguous(memory_format=torch.channels_last)
            predicted = self._parallel(token_ids, noisy, timesteps).float()
        weight = 1 + settings.object_weight * batch.objects
        loss = ((predicted - velocity) ** 2 * weight).mean() / weight.mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._config, samples=self.samples, step=self.step)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.step(self._parameters)
        self.step += 1
        self.samples += self.share * self._worker.count
        return float(loss.detach())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self._worker.device, weights_only=True)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._average.load_state_dict(state["ema"])
        self._average.to(self._worker.device)
        self.samples, self.step = state["samples"], state["step"]

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        state = {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "ema": self._average.state_dict(),
            "samples": self.samples,
            "step": self.step,
        }
        save_atomically(state, path)

    def export(self, folder: Path, vae_folder: Path) -> None:
        """Write the averaged weights as a pipeline."""
        text_encoder, unet = build_text_encoder(self._config, self._tokenizer), build_unet(self._config)
        self._average.copy_to([*unet.parameters(), *text_encoder.parameters()])
        record = {
            "samples": self.samples,
            "steps": self.step,
            "config": self._config.as_dict(),
            "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
        }
        trained = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32)
        vae = build_vae(self._config)  # not `trained` itself, whose config names the folder it came from
        vae.load_state_dict(trained.state_dict())
        vae.register_to_config(scaling_factor=trained.config.scaling_factor)
        save_pipeline(
            folder,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=self._tokenizer,
            unet=unet,
            training_record=record,
        )


def _load_weights(model: Denoiser, folder: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    model.unet.load_state_dict(pipeline.unet.state_dict())
    model.text_encoder.load_state_dict(pipeline.text_encoder.state_dict())
