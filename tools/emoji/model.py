"""The parts of the emoji pipeline, in the exact format of diffusers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tools.emoji.config import EmojiConfig
from tools.emoji.tokenizer import MAX_LENGTH

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

MODEL_CARD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---
# The emoji pipeline of daam-bench

A latent diffusion model in miniature, in the format of a `StableDiffusionPipeline`, trained from nothing
by `daam-bench emoji train` on procedural scenes. It draws one to three kinds of objects on a background
and knows only the words of daam-bench's emoji captions.

The scenes show glyphs of Noto Color Emoji, (c) Google Inc., SIL Open Font License 1.1. The font itself is not
part of this model.
"""


def build_vae(config: EmojiConfig) -> AutoencoderKL:
    """Build an untrained autoencoder; its scaling factor is set after training."""
    from diffusers import AutoencoderKL

    widths = config.vae.widths
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=config.vae.latent_channels,
        norm_num_groups=config.vae.groups,
        sample_size=config.world.image_size,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def build_text_encoder(config: EmojiConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Build an untrained CLIP text encoder for the tokenizer's vocabulary."""
    from torch.nn import init
    from transformers import CLIPTextConfig, CLIPTextModel

    width = config.text_encoder.width
    model = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=width * 8 // 3,
            projection_dim=width,
            num_hidden_layers=config.text_encoder.layers,
            num_attention_heads=config.text_encoder.heads,
            max_position_embeddings=MAX_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    for name, parameter in model.named_parameters():
        if "token_embedding" in name:
            init.normal_(parameter, std=0.06)
        elif "position_embedding" in name:
            init.normal_(parameter, std=0.01)
    return model


def build_unet(config: EmojiConfig) -> UNet2DConditionModel:
    """Build an untrained denoiser: Stable Diffusion's in miniature, its coarsest level without text."""
    from diffusers import UNet2DConditionModel

    widths = config.unet.widths
    crossing = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=config.world.image_size // config.vae.factor,
        in_channels=config.vae.latent_channels,
        out_channels=config.vae.latent_channels,
        down_block_types=("CrossAttnDownBlock2D",) * crossing + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * crossing,
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=config.text_encoder.width,
        norm_num_groups=config.unet.groups,
        attention_head_dim=[width // config.unet.head_width for width in widths],
    )


def build_scheduler() -> PNDMScheduler:
    """Build the scheduler of Stable Diffusion 1, predicting velocity (v) rather than noise."""
    from diffusers import PNDMScheduler

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


def save_pipeline(
    folder: Path,
    *,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    training_record: dict[str, object],
) -> None:
    """Write a plain `StableDiffusionPipeline` in float16, its model card and its training record."""
    import torch
    from diffusers import StableDiffusionPipeline
    from diffusers.models.attention_processor import AttnProcessor2_0

    unet.set_attn_processor(AttnProcessor2_0())
    pipeline: StableDiffusionPipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    # Transformers loads a model in the type its configuration names, diffusers in float32: let both agree.
    settings = folder / "text_encoder" / "config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    (folder / "README.md").write_text(MODEL_CARD)
    (folder / "training.json").write_text(json.dumps(training_record, indent=1) + "\n")
