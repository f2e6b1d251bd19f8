"""Images as latents, and latents as the denoisers of each family take them and give them back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from daam_bench.diffusion.first_call import denoiser_of


def encode_images(pipeline: Any, images: Sequence[Image.Image], size: tuple[int, int]) -> Tensor:
    """Encode to float32 latents (images, channels, height, width), scaled as the denoiser expects them."""
    vae, dtype, (width, height) = pipeline.vae, pipeline.vae.dtype, size
    pixels = pipeline.image_processor.preprocess(
        [image.convert("RGB") for image in images], height=height, width=width
    ).to(pipeline._execution_device)
    mean = vae.config.get("latents_mean")
    if mean is not None:
        pixels = pixels[:, :, None]  # a VAE of videos, given one frame
    upcast = dtype == torch.float16 and vae.config.get("force_upcast")
    if upcast:
        vae.to(torch.float32)
    try:
        with torch.no_grad():
            encoded = vae.encode(pixels.to(vae.dtype))
    finally:
        if upcast:
            vae.to(dtype)
    latents: Tensor = (encoded.latent if hasattr(encoded, "latent") else encoded.latent_dist.mode()).float()
    if mean is not None:
        shape = (1, -1, 1, 1)
        latents = latents[:, :, 0] if latents.ndim == 5 else latents
        centre, spread = (torch.tensor(v).view(shape).to(latents) for v in (mean, vae.config.latents_std))
        return (latents - centre) / spread
    if hasattr(vae, "bn"):  # FLUX.2 normalises patches of 2 x 2 latents
        patches = torch.nn.functional.pixel_unshuffle(latents, 2)
        centre, spread = (v.view(1, -1, 1, 1).to(latents) for v in (vae.bn.running_mean, vae.bn.running_var))
        patches = (patches - centre) / (spread + vae.config.batch_norm_eps).sqrt()
        return torch.nn.functional.pixel_shuffle(patches, 2)
    shift = vae.config.get("shift_factor") or 0.0
    return (latents - shift) * float(vae.config.scaling_factor)


def side_unit(pipeline: Any) -> int:
    """Return what the sides of an image that the pipeline generates are multiples of."""
    factor = int(getattr(pipeline, "vae_scale_factor", None) or 8)
    patch = denoiser_of(pipeline).config.get("patch_size")
    processor = getattr(pipeline, "image_processor", None)
    step = int(processor.config.vae_scale_factor) if processor is not None else factor
    return math.lcm(8, step, factor * (patch if isinstance(patch, int) else 1))


def as_sample(latents: Tensor, like: Any) -> Any:
    """Lay latents (images, channels, h, w) as a denoiser takes them: as they are, packed, or as a list."""
    if isinstance(like, list):
        return list(latents.to(like[0].dtype)[:, :, None])
    if like.ndim == 4:
        return latents.to(like.dtype)
    patches = latents.to(like.dtype).unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def as_latents(predicted: Any, shape: torch.Size) -> Tensor:
    """Lay a prediction as latents; what a model says of its variance is left out."""
    if isinstance(predicted, list | tuple):
        predicted = torch.stack([row.squeeze(1) for row in predicted])
    count, channels, height, width = shape
    if predicted.ndim == 3:
        predicted = predicted.reshape(count, height // 2, width // 2, -1, 2, 2)
        predicted = predicted.permute(0, 3, 1, 4, 2, 5).reshape(count, -1, height, width)
    latents: Tensor = predicted[:, :channels]
    return latents


def fits_sample(like: Any, latents: Tensor) -> bool:
    """Whether a denoiser that was handed `like` can be handed the latents instead."""
    channels, height, width = latents.shape[1:]
    if isinstance(like, list):
        return bool(like[0].shape[0] == channels)
    if like.ndim == 3:
        return tuple(like.shape[1:]) == (height * width // 4, channels * 4)
    return bool(like.shape[1] == channels)
