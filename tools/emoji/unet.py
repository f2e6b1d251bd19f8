"""The emoji pipeline, a Stable Diffusion 1 in miniature: its parts, and its training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor, nn
from torch.nn import init
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tools.emoji.autoencoder import train_vae
from tools.emoji.configuration import ClipSettings, UnetPipelineSettings, load_settings
from tools.emoji.generator import GeneratorObjective, Parts, adamw, normal, train_generator
from tools.emoji.tokenizing import MAX_LENGTH, train_tokenizer, world_captions
from tools.emoji.training import run_processes


def train_pipeline(
    *,
    config: str | Path,
    out: Path,
    font: Path,
    start: Path | None = None,
    start_vae: Path | None = None,
    samples: int | None = None,
    minutes: float | None = None,
    processes: int | None = None,
    seed: int | None = None,
) -> None:
    """Train tokenizer, autoencoder and denoiser into `out`; the pipeline is `out/pipeline`.

    A stage whose result lies in `out` is not repeated; an unfinished one resumes from its last checkpoint.
    Tokenizer and autoencoder may be those of a pipeline `start_vae`, or all weights those of `start`.
    """
    settings = load_settings(config, UnetPipelineSettings).changed(samples=samples, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    given = start or start_vae
    vocabulary = out / "tokenizer" if given is None else given / "tokenizer"
    if not vocabulary.exists():
        train_tokenizer(world_captions(settings.world.seed)).save_pretrained(vocabulary)
    vae = out / "vae"
    if not vae.exists():
        if given is None:
            run_processes(train_vae, settings, font, out, processes=processes)
        else:
            vae = given / "vae"
    arguments = (UnetObjective, settings, vae, [vocabulary], font, out, start, minutes)
    run_processes(train_generator, *arguments, processes=processes)


class Denoiser(nn.Module):
    """Text encoder and U-Net as one module, from token ids and noisy latents to the predicted velocity."""

    def __init__(self, settings: UnetPipelineSettings, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.text_encoder = build_text_encoder(settings.text_encoder, tokenizer)
        self.unet = build_unet(settings)

    def forward(self, token_ids: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Predict the velocity of latents of shape (batch, channels, height, width)."""
        embeddings = self.text_encoder(token_ids)[0]
        velocity: Tensor = self.unet(noisy, timesteps, embeddings).sample
        return velocity

    def ordered(self) -> list[nn.Parameter]:
        """Return the parameters in the order that optimizer and averages keep them in."""
        return [*self.unet.parameters(), *self.text_encoder.parameters()]


class UnetObjective(GeneratorObjective[UnetPipelineSettings]):
    """The training of text encoder and U-Net: diffusion with velocity as its target."""

    card = "unet.md"

    def build(self, vae: AutoencoderKL, sources: Sequence[Path], start: Path | None) -> Parts:
        """Return text encoder and U-Net, their parameters, and AdamW."""
        self._tokenizer = CLIPTokenizer.from_pretrained(sources[0])
        self._alphas = build_scheduler().alphas_cumprod.to(self.device)
        model = Denoiser(self.settings, self._tokenizer)
        if self.device.type == "cpu":
            model.unet.set_attn_processor(AttnProcessor())  # faster than the fused one on small CPU batches
        model.to(self.device)
        if start is not None:
            pipeline = StableDiffusionPipeline.from_pretrained(start, torch_dtype=torch.float32)
            model.unet.load_state_dict(pipeline.unet.state_dict())
            heads = [unet.config.attention_head_dim for unet in (pipeline.unet, model.unet)]
            if heads[0] != heads[1]:
                print(f"{start} has {heads[0]} attention heads by level; they are trained on as {heads[1]}")
            model.text_encoder.load_state_dict(pipeline.text_encoder.state_dict())
        model.unet.to(memory_format=torch.channels_last)
        parameters = model.ordered()
        return model, parameters, [(adamw(parameters), 1.0)]

    def squared_error(
        self,
        forward: Callable[..., Any],
        latents: Tensor,
        captions: list[str],
        step: int,
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the squared error of the predicted velocity."""
        token_ids = self._tokenizer(captions, padding="max_length", return_tensors="pt").input_ids
        # Objects take shape at high noise: a power below 1 chooses those time steps more often.
        timesteps = torch.from_numpy((1000 * rng.random(len(captions)) ** 0.85).astype(np.int64))
        timesteps = timesteps.to(self.device)
        noise = normal(latents.shape, rng, self.device)
        alpha = self._alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        predicted: Tensor = forward(token_ids.to(self.device), noisy, timesteps).float()
        error: Tensor = (predicted - velocity) ** 2
        return error

    def pipeline(self, vae: AutoencoderKL) -> StableDiffusionPipeline:
        """Return a plain `StableDiffusionPipeline` with the averaged weights."""
        model = Denoiser(self.settings, self._tokenizer)
        self.average.copy_to(model.ordered())
        model.unet.set_attn_processor(AttnProcessor2_0())
        return StableDiffusionPipeline(
            vae=vae,
            text_encoder=model.text_encoder,
            tokenizer=self._tokenizer,
            unet=model.unet,
            scheduler=build_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


def clip_config(settings: ClipSettings, tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    """Return the configuration of a CLIP text encoder for the tokenizer's vocabulary."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=settings.mlp_width or settings.width * 8 // 3,
        projection_dim=settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_text_encoder(settings: ClipSettings, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Build an untrained CLIP text encoder for the tokenizer's vocabulary."""
    model = CLIPTextModel(clip_config(settings, tokenizer))
    for name, parameter in model.named_parameters():
        if "token_embedding" in name:
            init.normal_(parameter, std=0.06)
        elif "position_embedding" in name:
            init.normal_(parameter, std=0.01)
    return model


def build_unet(settings: UnetPipelineSettings) -> UNet2DConditionModel:
    """Build an untrained denoiser: Stable Diffusion's in miniature, its coarsest level without text."""
    widths = settings.unet.widths
    crossing = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=settings.world.image_size // 2 ** (len(settings.vae.widths) - 1),
        in_channels=settings.vae.latent_channels,
        out_channels=settings.vae.latent_channels,
        down_block_types=("CrossAttnDownBlock2D",) * crossing + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * crossing,
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=settings.text_encoder.width,
        norm_num_groups=settings.unet.groups,
        attention_head_dim=settings.unet.level_heads,
    )


def build_scheduler() -> PNDMScheduler:
    """Build the scheduler of Stable Diffusion 1, predicting velocity (v) rather than noise."""
    return PNDMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )
