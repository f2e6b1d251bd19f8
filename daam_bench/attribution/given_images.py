"""DAAM on images that were not generated in the trace: encode, add noise, denoise once a time step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.attribution.selection import make_selection
from daam_bench.attribution.trace import Tracer
from daam_bench.diffusion.noise import TIMESTEPS, check_given_images, denoise_given_images


def trace_images(
    pipeline: Any,
    prompts: Sequence[str],
    images: Sequence[Image.Image],
    *,
    timesteps: Sequence[int] = TIMESTEPS,
    seed: int = 0,
    **selections: Any,
) -> list[ImageHeatMaps]:
    """Trace what the words of `prompts` attend to in given images, such as photographs.

    Each image is encoded with the VAE and noised to each time step; the denoiser is called once a time step,
    with its prompt and without guidance. The maps are sums over time steps, and otherwise those of `trace`.
    All the images run as one batch.

    Args:
        pipeline: A pipeline of images of any family; its scheduler's state isn't touched.
        prompts: One prompt an image.
        images: Images of one size; sides are rounded down to what the pipeline can generate.
        timesteps: Training time steps to noise to, in [0, number of training time steps).
        seed: Seed of the noise, the same for every image whatever its batch.
        selections: As for `trace`.

    Returns:
        One object an image.

    Raises:
        InputError: No images, lists of different lengths, images of different sizes or too small, a time step
            outside its range, or a pipeline that can't be traced or noised so.
    """
    check_given_images(pipeline, prompts, images, timesteps)
    with Tracer(pipeline, make_selection(**selections), planned=False) as tracer:
        denoise_given_images(pipeline, prompts, images, timesteps=timesteps, seed=seed)
        tracer.finish()
        pipeline.maybe_free_model_hooks()
    return tracer.heat_maps()
