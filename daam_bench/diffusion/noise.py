"""Noising given images to chosen time steps and denoising them for one step, for every family of models.

A prediction is the pipeline's own first call of its denoiser, with other latents and another time step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from daam_bench.diffusion.first_call import SAMPLES, cannot_noise, denoiser_of, first_call, time_rule
from daam_bench.diffusion.latents import as_latents, as_sample, encode_images, fits_sample, side_unit
from daam_bench.types.errors import InputError

TIMESTEPS = (100, 300, 500, 700)
"""Training time steps that an image is noised to by default."""

Noise: TypeAlias = int | Tensor
"""The seed of a noise, the same for every image; or the noise: (channels, h, w), or one of these an image."""

_TIMES = ("timestep", "timesteps", "t")

_NEGATED = ("Lumina2Transformer2DModel", "ZImageTransformer2DModel", "HiDreamImageTransformer2DModel")
"""Denoisers that predict the image minus the noise, where other flow-matching ones have it the other way."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a denoiser predicts for given images.

    Attributes:
        predicted: float32 (images, timesteps, noises, channels, height, width), on the latents' grid, in
            the denoiser's own parametrisation: noise, velocity or image.
        targets: What a perfect denoiser would have predicted, of the same shape.
    """

    predicted: Tensor
    targets: Tensor


class NoisedImages:
    """Given images as latents, and the call that their pipeline makes of its denoiser for their prompts.

    Args:
        pipeline: A pipeline of images; neither its scheduler nor its random state is touched.
        prompts: One prompt an image.
        images: Images of one size; sides are rounded down to what the pipeline can generate.

    Attributes:
        latents: float32 (images, channels, h, w), scaled as the denoiser expects them.
        arguments: The denoiser's arguments by name, conditional rows alone, one an image.

    Raises:
        InputError: A pipeline that can't be called with prompts alone, or whose denoiser takes other than
            noisy latents of an image (videos, inpainting).
    """

    def __init__(self, pipeline: Any, prompts: Sequence[str], images: Sequence[Image.Image]) -> None:
        unit = side_unit(pipeline)
        size = (images[0].width // unit * unit, images[0].height // unit * unit)
        self._pipeline, self._denoiser = pipeline, denoiser_of(pipeline)
        self.arguments, planned = first_call(pipeline, list(prompts), images, size)
        self._sample_name = next(name for name in SAMPLES if name in self.arguments)
        self._time_name = next(name for name in _TIMES if name in self.arguments)
        self._like = self.arguments[self._sample_name]
        _refuse_videos(pipeline, self._like)
        self.latents = encode_images(pipeline, images, size)
        if not fits_sample(self._like, self.latents):
            raise InputError(
                f"{cannot_noise(pipeline)}: its denoiser takes other than an image's noisy latents "
                "(inpainting, control?); use a text-to-image pipeline"
            )
        self._trained = int(pipeline.scheduler.config.num_train_timesteps)
        time = self.arguments[self._time_name]
        self._time = time_rule(pipeline, float(torch.as_tensor(time).flatten()[0]), planned, self._trained)

    def noise(self, noise: Noise) -> Tensor:
        """Return a noise as float32, broadcasting with the latents."""
        if isinstance(noise, int):
            generator = torch.Generator("cpu").manual_seed(noise)
            noise = torch.randn(self.latents.shape[1:], generator=generator)
        return noise.to(self.latents.device, torch.float32)

    def noisy(self, timestep: int, noise: Noise) -> Tensor:
        """Mix the latents with noise as the model was trained: float32 (images, channels, h, w).

        Diffusion models mix by the scheduler's `alphas_cumprod`; flow-matching ones linearly: at time step t
        of 1000, (1 - t / 1000) of the image and t / 1000 of noise.
        """
        kept, added = self._shares(timestep)
        return kept * self.latents + added * self.noise(noise)

    def target(self, timestep: int, noise: Noise) -> Tensor:
        """Return what a perfect denoiser would predict: float32 (images, channels, h, w)."""
        kept, added = self._shares(timestep)
        noise = self.noise(noise)
        if _alphas(self._pipeline.scheduler) is None:
            velocity = noise - self.latents
            return -velocity if type(self._denoiser).__name__ in _NEGATED else velocity
        kind = self._pipeline.scheduler.config.get("prediction_type", "epsilon")
        if kind == "v_prediction":
            return kept * noise - added * self.latents
        return noise.expand_as(self.latents) if kind == "epsilon" else self.latents

    def predict(self, noisy: Tensor, timestep: int, **changed: Any) -> Tensor:
        """Call the denoiser once, with gradients where the caller wants them.

        Args:
            noisy: (images, channels, h, w), such as `noisy(timestep, noise)`.
            timestep: Training time step.
            changed: Arguments of the denoiser in place of the pipeline's, such as other text embeddings.

        Returns:
            float32 (images, channels, h, w), in the denoiser's own parametrisation.
        """
        arguments = {**self.arguments, **changed}
        arguments[self._sample_name] = as_sample(noisy, self._like)
        arguments[self._time_name] = self._timestep(timestep)
        output = self._denoiser(**arguments)
        predicted = output[0] if isinstance(output, tuple) else output.sample
        return as_latents(predicted, self.latents.shape).float()

    def _timestep(self, timestep: int) -> Any:
        like, value = self.arguments[self._time_name], self._time(timestep)
        return torch.full_like(like, value) if isinstance(like, Tensor) else type(like)(value)

    def _shares(self, timestep: int) -> tuple[float, float]:
        """Return how much of the image and how much noise there is at a time step."""
        alphas = _alphas(self._pipeline.scheduler)
        if alphas is None:
            added = timestep / self._trained
            return 1 - added, added
        kept = float(alphas[timestep])
        return math.sqrt(kept), math.sqrt(1 - kept)


@torch.no_grad()
def predictions(
    pipeline: Any,
    prompts: Sequence[str],
    images: Sequence[Image.Image],
    timesteps: Sequence[int] = TIMESTEPS,
    noises: Sequence[Noise] = (0,),
) -> Predictions:
    """Predict with a pipeline's denoiser what given images are, noised at given time steps; no guidance.

    To compare prompts on one image, give it once for each: all rows of a call share noise and time step.

    Args:
        pipeline: A text-to-image or image-to-image pipeline of any family; its scheduler isn't touched.
        prompts: One prompt an image.
        images: Images of one size; sides are rounded down to what the pipeline can generate.
        timesteps: Training time steps to noise to, in [0, number of training time steps).
        noises: Seeds, or noises of the latents' shape.

    Raises:
        InputError: See `check_given_images` and `NoisedImages`.

    >>> both = predictions(pipeline, ["a cat", "a"], [image, image])      # doctest: +SKIP
    >>> (both.predicted[0] - both.predicted[1]).abs().mean(dim=(0, 1, 2))      # doctest: +SKIP
    """
    check_given_images(pipeline, prompts, images, timesteps)
    noised = NoisedImages(pipeline, prompts, images)
    pairs = [(timestep, noise) for timestep in timesteps for noise in noises]
    predicted = [noised.predict(noised.noisy(*pair), pair[0]) for pair in pairs]
    targets = [noised.target(*pair) for pair in pairs]
    pipeline.maybe_free_model_hooks()
    shape = (len(timesteps), len(noises))
    return Predictions(*(torch.stack(all_, dim=1).unflatten(1, shape) for all_ in (predicted, targets)))


def check_given_images(
    pipeline: Any, prompts: Sequence[str], images: Sequence[Image.Image], timesteps: Sequence[int]
) -> None:
    """Check what can be checked of a request to noise images before anything runs.

    Raises:
        InputError: No images, lists of different lengths, images of different sizes or too small, a time step
            outside its range, or a pipeline without an image encoder or the right scheduler.
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
    if getattr(pipeline, "vae", None) is None or denoiser_of(pipeline) is None:
        raise InputError(
            f"{cannot_noise(pipeline)}: it has no VAE and denoiser; use a latent diffusion pipeline"
        )
    if hasattr(pipeline, "unet") and _alphas(pipeline.scheduler) is None:
        raise InputError(
            f"can't add noise with {type(pipeline.scheduler).__name__}, which has no alphas_cumprod; use a "
            "Stable Diffusion pipeline with, say, DDIMScheduler"
        )
    last = int(pipeline.scheduler.config.num_train_timesteps) - 1
    if not timesteps or any(not 0 <= timestep <= last for timestep in timesteps):
        raise InputError(f"timesteps must lie in 0 to {last}, not {tuple(timesteps)}")
    unit = side_unit(pipeline)
    if min(sizes.pop()) < unit:
        raise InputError(f"images must be at least {unit} pixels wide and high")


@torch.no_grad()
def denoise_given_images(
    pipeline: Any,
    prompts: Sequence[str],
    images: Sequence[Image.Image],
    *,
    timesteps: Sequence[int] = TIMESTEPS,
    seed: int = 0,
) -> None:
    """Noise images to each time step and call the denoiser once a time step, for hooks to see the calls.

    Args:
        pipeline: A pipeline that `check_given_images` accepts.
        prompts: One prompt an image.
        images: Images of one size; all run as one batch.
        timesteps: Training time steps, in [0, number of training time steps).
        seed: Seed of the noise, the same for every image whatever its batch.
    """
    noised = NoisedImages(pipeline, prompts, images)
    for timestep in timesteps:
        noised.predict(noised.noisy(timestep, seed), timestep)


def _refuse_videos(pipeline: Any, like: Any) -> None:
    if isinstance(like, Tensor) and (like.ndim == 5 or hasattr(pipeline, "video_processor")):
        raise InputError(f"{cannot_noise(pipeline)}: it generates videos; use a pipeline of images")


def _alphas(scheduler: Any) -> Any:
    """Return the shares of signal that a diffusion model was trained with; None for flow matching."""
    flow = scheduler.config.get("use_flow_sigmas") or "flow" in str(scheduler.config.get("prediction_type"))
    return None if flow else getattr(scheduler, "alphas_cumprod", None)
