"""Noising given images to chosen time steps and denoising them for one step, under a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from daam_bench.types.errors import InputError

TIMESTEPS = (100, 300, 500, 700)
"""Training time steps that an image is noised to by default."""


def check_given_images(
    pipeline: Any, prompts: Sequence[str], images: Sequence[Image.Image], timesteps: Sequence[int]
) -> None:
    """Check that a pipeline can noise images for their prompts.

    Raises:
        InputError: No images, lists of different lengths, images of different sizes or too small, a time step
            outside its range, or a pipeline that can't noise images.
    """
    if isinstance(prompts, str) or len(prompts) != len(images) or not images:
        raise InputError(
            f"need one prompt an image, in two lists; got {prompts!r} for {len(images)} image(s)"
        )
    sizes = {image.size for image in images}
    if len(sizes) > 1:
        raise InputError(
            f"images of one call must have one size, not {sorted(sizes)}; resize or call by size"
        )
    alphas = getattr(pipeline.scheduler, "alphas_cumprod", None)
    if alphas is None or not hasattr(pipeline, "vae"):
        raise InputError(
            f"can't add noise with {type(pipeline.scheduler).__name__}, which has no alphas_cumprod; use a "
            "Stable Diffusion pipeline with, say, DDIMScheduler"
        )
    if pipeline.unet.config.in_channels != pipeline.vae.config.latent_channels:
        raise InputError("the UNet wants more than noisy latents (inpainting?); use a text-to-image pipeline")
    if pipeline.config.get("requires_aesthetics_score"):
        raise InputError("SDXL's refiner can't noise given images; use the base pipeline")
    if not timesteps or any(not 0 <= timestep < len(alphas) for timestep in timesteps):
        raise InputError(f"timesteps must lie in 0 to {len(alphas) - 1}, not {tuple(timesteps)}")
    factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    if min(sizes.pop()) < factor:
        raise InputError(f"images must be at least {factor} pixels wide and high")


@torch.no_grad()
def denoise_given_images(
    pipeline: Any,
    prompts: Sequence[str],
    images: Sequence[Image.Image],
    *,
    timesteps: Sequence[int] = TIMESTEPS,
    seed: int = 0,
) -> None:
    """Encode images, noise them to each time step, and call the UNet once a time step without guidance.

    Only the calls matter, which hooks on the pipeline see. All the images run as one batch.

    Args:
        pipeline: A Stable Diffusion 1 or 2 or SDXL pipeline that `check_given_images` accepts.
        prompts: One prompt an image.
        images: Images of one size; sides are rounded down to what the VAE can encode.
        timesteps: Training time steps, in [0, number of training time steps).
        seed: Seed of the noise, the same for every image whatever its batch.
    """
    device = pipeline._execution_device
    encoded = pipeline.encode_prompt(
        prompt=list(prompts), device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    latents = _encode_images(pipeline, images, device)
    conditions = _added_conditions(pipeline, encoded, latents)
    noise = torch.randn(latents.shape[1:], generator=torch.Generator("cpu").manual_seed(seed))
    noise = noise.to(device, latents.dtype)
    for timestep in timesteps:
        kept = pipeline.scheduler.alphas_cumprod[timestep].to(device, torch.float32)
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        pipeline.unet(
            noisy.to(pipeline.unet.dtype),
            torch.tensor(timestep, device=device),
            encoder_hidden_states=encoded[0],
            added_cond_kwargs=conditions,
            return_dict=False,
        )


def _encode_images(pipeline: Any, images: Sequence[Image.Image], device: torch.device) -> Tensor:
    """Encode to float32 latents (images, channels, height, width), scaled as the UNet expects them."""
    vae, dtype = pipeline.vae, pipeline.vae.dtype
    pixels = pipeline.image_processor.preprocess([image.convert("RGB") for image in images])
    upcast = dtype == torch.float16 and vae.config.force_upcast
    if upcast:
        vae.to(torch.float32)
    try:
        latents = vae.encode(pixels.to(device, vae.dtype)).latent_dist.mode().float()
    finally:
        if upcast:
            vae.to(dtype)
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    scaled: Tensor = (latents - shift) * vae.config.scaling_factor
    return scaled


def _added_conditions(pipeline: Any, encoded: tuple[Any, ...], latents: Tensor) -> dict[str, Tensor] | None:
    """Return SDXL's size conditions and pooled embeddings; None for Stable Diffusion 1 and 2."""
    if pipeline.unet.config.addition_embed_type != "text_time":
        return None
    embeddings, _, pooled, _ = encoded
    factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    height, width = (length * factor for length in latents.shape[-2:])
    time_ids = torch.tensor(
        [height, width, 0, 0, height, width], dtype=embeddings.dtype, device=latents.device
    )
    return {"text_embeds": pooled, "time_ids": time_ids.repeat(len(latents), 1)}
