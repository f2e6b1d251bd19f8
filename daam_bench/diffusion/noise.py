"""Noising given images to chosen time steps and denoising them for one step, under a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from daam_bench.types.errors import InputError

TIMESTEPS = (100, 300, 500, 700)
"""Training time steps that an image is noised to by default."""

Denoise: TypeAlias = Callable[[Tensor, int], Any]
"""Calls a denoiser on noisy latents at a training time step."""


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
    denoiser = type(_denoiser(pipeline)).__name__
    if denoiser not in _FAMILIES or not hasattr(pipeline, "vae"):
        raise InputError(
            f"{type(pipeline).__name__} can't noise given images here; pipelines with one of these denoisers "
            f"can: {', '.join(_FAMILIES)}"
        )
    if hasattr(pipeline, "unet"):
        _check_unet(pipeline)
    last = int(pipeline.scheduler.config.num_train_timesteps) - 1
    if not timesteps or any(not 0 <= timestep <= last for timestep in timesteps):
        raise InputError(f"timesteps must lie in 0 to {last}, not {tuple(timesteps)}")
    factor = _factor(pipeline)
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
    """Encode images, noise them to each time step, and call the denoiser once a time step without guidance.

    Diffusion models mix by the scheduler's `alphas_cumprod`; flow-matching ones (SD3, FLUX) linearly: at time
    step t of 1000, (1 - t / 1000) of the image and t / 1000 of noise. Only the calls matter, which hooks on
    the pipeline see. All the images run as one batch.

    Args:
        pipeline: A pipeline that `check_given_images` accepts.
        prompts: One prompt an image.
        images: Images of one size; sides are rounded down to what the VAE can encode.
        timesteps: Training time steps, in [0, number of training time steps).
        seed: Seed of the noise, the same for every image whatever its batch.
    """
    device = pipeline._execution_device
    latents = _encode_images(pipeline, images, device)
    denoise = _FAMILIES[type(_denoiser(pipeline)).__name__](pipeline, list(prompts), latents)
    noise = torch.randn(latents.shape[1:], generator=torch.Generator("cpu").manual_seed(seed))
    noise = noise.to(device, latents.dtype)
    alphas = getattr(pipeline.scheduler, "alphas_cumprod", None)
    for timestep in timesteps:
        if alphas is None:
            share = timestep / float(pipeline.scheduler.config.num_train_timesteps)
            noisy = (1 - share) * latents + share * noise
        else:
            kept = alphas[timestep].to(device, torch.float32)
            noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        denoise(noisy.to(_denoiser(pipeline).dtype), timestep)


def _unet(pipeline: Any, prompts: list[str], latents: Tensor) -> Denoise:
    encoded = pipeline.encode_prompt(
        prompt=prompts,
        device=latents.device,
        num_images_per_prompt=1,
        do_classifier_free_guidance=False,
    )
    conditions = _added_conditions(pipeline, encoded, latents)
    return lambda noisy, timestep: pipeline.unet(
        noisy,
        torch.tensor(timestep, device=noisy.device),
        encoder_hidden_states=encoded[0],
        added_cond_kwargs=conditions,
        return_dict=False,
    )


def _sd3(pipeline: Any, prompts: list[str], latents: Tensor) -> Denoise:
    embeddings, _, pooled, _ = pipeline.encode_prompt(
        prompts, None, None, device=latents.device, do_classifier_free_guidance=False
    )
    return lambda noisy, timestep: pipeline.transformer(
        hidden_states=noisy,
        timestep=torch.full((len(noisy),), float(timestep), device=noisy.device, dtype=noisy.dtype),
        encoder_hidden_states=embeddings,
        pooled_projections=pooled,
        return_dict=False,
    )


def _flux(pipeline: Any, prompts: list[str], latents: Tensor) -> Denoise:
    embeddings, pooled, text_ids = pipeline.encode_prompt(prompts, None, device=latents.device)
    count, channels, height, width = latents.shape
    ids = pipeline._prepare_latent_image_ids(count, height // 2, width // 2, latents.device, embeddings.dtype)
    guidance = None
    if pipeline.transformer.config.guidance_embeds:
        guidance = torch.full((count,), 3.5, device=latents.device)

    def denoise(noisy: Tensor, timestep: int) -> Any:
        time = torch.full((count,), timestep / 1000, device=noisy.device, dtype=noisy.dtype)
        return pipeline.transformer(
            hidden_states=pipeline._pack_latents(noisy, count, channels, height, width),
            timestep=time,
            guidance=guidance,
            pooled_projections=pooled,
            encoder_hidden_states=embeddings,
            txt_ids=text_ids,
            img_ids=ids,
            return_dict=False,
        )

    return denoise


_FAMILIES: dict[str, Callable[[Any, list[str], Tensor], Denoise]] = {
    "UNet2DConditionModel": _unet,
    "SD3Transformer2DModel": _sd3,
    "FluxTransformer2DModel": _flux,
}
"""Class name of the denoiser -> how it is called, given a pipeline, the prompts and the images' latents."""


def _denoiser(pipeline: Any) -> Any:
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def _check_unet(pipeline: Any) -> None:
    if getattr(pipeline.scheduler, "alphas_cumprod", None) is None:
        raise InputError(
            f"can't add noise with {type(pipeline.scheduler).__name__}, which has no alphas_cumprod; use a "
            "Stable Diffusion pipeline with, say, DDIMScheduler"
        )
    if pipeline.unet.config.in_channels != pipeline.vae.config.latent_channels:
        raise InputError("the UNet wants more than noisy latents (inpainting?); use a text-to-image pipeline")
    if pipeline.config.get("requires_aesthetics_score"):
        raise InputError("SDXL's refiner can't noise given images; use the base pipeline")


def _factor(pipeline: Any) -> int:
    """Return how many pixels wide and high the smallest image is: a latent, or a patch of FLUX's two."""
    latent = int(2 ** (len(pipeline.vae.config.block_out_channels) - 1))
    return latent if hasattr(pipeline, "unet") else 2 * latent


def _encode_images(pipeline: Any, images: Sequence[Image.Image], device: torch.device) -> Tensor:
    """Encode to float32 latents (images, channels, height, width), scaled as the denoiser expects them."""
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
