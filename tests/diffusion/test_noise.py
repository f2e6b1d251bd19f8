"""Predictions for given images are those of the pipeline's own calls, and targets what it was trained for."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from daam_bench.diffusion.latents import as_latents
from daam_bench.diffusion.noise import NoisedImages, predictions
from daam_bench.types.errors import InputError
from tests.tiny_diffusion_transformers import ALL
from tests.tiny_pipelines import tiny_sd, tiny_sdxl

PROMPTS = ["a cat and a dog", "two cats"]
BUILDERS = {"sd": tiny_sd, "sdxl": tiny_sdxl} | ALL
SIZES = {"hunyuan": (64, 128), "hidream": (32, 32)}
IMAGES = [family for family in BUILDERS if family not in ("wan", "cogvideox", "ltx")]


def build(family: str) -> Any:
    pipeline = BUILDERS[family]()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def photos(family: str, count: int = 2) -> list[Image.Image]:
    width, height = SIZES.get(family, (32, 64))
    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return [Image.fromarray(one) for one in pixels]


def recorded(pipeline: Any, family: str) -> list[tuple[Any, float, Any]]:
    """Generate without guidance; return sample, planned time step and output of each call of the denoiser."""
    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    calls: list[tuple[Any, Any]] = []

    def keep(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        bound = inspect.signature(type(module).forward).bind_partial(module, *args, **kwargs).arguments
        sample = next(bound[name] for name in ("sample", "hidden_states", "x") if name in bound)
        calls.append((sample, output[0] if isinstance(output, tuple) else output.sample))

    handle = denoiser.register_forward_hook(keep, with_kwargs=True)
    width, height = SIZES.get(family, (32, 64))
    settings: dict[str, Any] = {"guidance_scale": 0.0 if family == "zimage" else 1.0}
    if family in ("qwen", "flux"):
        settings = {}  # guidance is embedded in FLUX, and Qwen-Image has none without a negative prompt
    if "use_resolution_binning" in inspect.signature(pipeline.__call__).parameters:
        settings["use_resolution_binning"] = False
    generator = torch.Generator().manual_seed(0)
    size = {"height": height, "width": width, "num_inference_steps": 3, "output_type": "latent"}
    pipeline(prompt=list(PROMPTS), generator=generator, **size, **settings)
    handle.remove()
    times = [float(time) for time in pipeline.scheduler.timesteps]
    return [(sample, time, output) for (sample, output), time in zip(calls, times, strict=False)]


@pytest.mark.parametrize("family", IMAGES)
@torch.no_grad()
def test_a_prediction_is_what_the_pipelines_own_call_computes(family: str) -> None:
    pipeline = build(family)
    noised = NoisedImages(pipeline, PROMPTS, photos(family))
    shape = noised.latents.shape
    for sample, time, output in recorded(pipeline, family)[1:]:
        noisy = as_latents(sample, shape).float()
        found = noised.predict(noisy, time)  # type: ignore[arg-type]
        assert found.shape == noisy.shape
        torch.testing.assert_close(found, as_latents(output, shape).float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", IMAGES)
def test_predictions_by_image_time_step_and_noise(family: str) -> None:
    pipeline = build(family)
    images = photos(family, 1) * 2
    found = predictions(pipeline, PROMPTS, images, timesteps=(200, 700), noises=(0, 1, 5))
    assert found.predicted.shape == found.targets.shape
    assert found.predicted.shape[:3] == (2, 2, 3)
    assert not found.predicted.requires_grad
    assert torch.equal(found.targets[0], found.targets[1])
    assert not torch.equal(found.predicted[0], found.predicted[1])
    noise = torch.randn(found.targets.shape[3:], generator=torch.Generator().manual_seed(5))
    again = predictions(pipeline, PROMPTS[1:], images[1:], timesteps=(700,), noises=(noise,))
    torch.testing.assert_close(again.predicted[0, 0, 0], found.predicted[1, 1, 2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "family", [family for family in IMAGES if family not in ("sd", "sdxl", "pixart", "hunyuan")]
)
def test_a_perfect_velocity_leads_from_the_noisy_latents_to_the_images(family: str) -> None:
    """By the pipeline's own scheduler: one step from a time step to 0 along the target."""
    noised = NoisedImages(build(family), PROMPTS, photos(family))
    target = noised.target(700, 3)
    if family in ("zimage", "lumina2", "hidream"):
        target = -target  # their pipelines turn the prediction round before the scheduler's step
    torch.testing.assert_close(noised.noisy(700, 3) - 0.7 * target, noised.latents, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_targets_of_diffusion_models_are_those_that_their_scheduler_undoes(kind: str) -> None:
    pipeline = tiny_sd()
    pipeline.scheduler = DDIMScheduler.from_config(
        pipeline.scheduler.config, prediction_type=kind, clip_sample=False, set_alpha_to_one=False
    )
    noised = NoisedImages(pipeline, PROMPTS, photos("sd"))
    pipeline.scheduler.set_timesteps(10)
    stepped = pipeline.scheduler.step(noised.target(700, 0), 700, noised.noisy(700, 0))
    torch.testing.assert_close(stepped.pred_original_sample, noised.latents, rtol=1e-3, atol=1e-3)


def test_gradients_reach_a_changed_text() -> None:
    pipeline = tiny_sd()
    noised = NoisedImages(pipeline, PROMPTS, photos("sd"))
    text = noised.arguments["encoder_hidden_states"].clone().requires_grad_()
    noised.predict(noised.noisy(500, 0), 500, encoder_hidden_states=text).square().sum().backward()
    assert text.grad is not None
    assert text.grad.abs().sum() > 0


def test_image_to_image_and_inpainting() -> None:
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline

    parts = tiny_sd().components | {"requires_safety_checker": False}
    plain = predictions(tiny_sd(), PROMPTS, photos("sd"), timesteps=(300,))
    found = predictions(StableDiffusionImg2ImgPipeline(**parts), PROMPTS, photos("sd"), timesteps=(300,))
    assert torch.equal(found.predicted, plain.predicted)
    with pytest.raises(InputError, match="StableDiffusionInpaintPipeline can't noise given images"):
        predictions(StableDiffusionInpaintPipeline(**parts), PROMPTS, photos("sd"))


@pytest.mark.parametrize("disable", [None, False])
def test_the_pipeline_stays_as_it_was(disable: bool | None) -> None:
    pipeline = tiny_sd()
    if disable is not None:
        pipeline.set_progress_bar_config(disable=disable)
    pipeline.scheduler.set_timesteps(7)
    before = {name: id(value) for name, value in vars(pipeline).items()}
    state = torch.get_rng_state()
    predictions(pipeline, PROMPTS, photos("sd"))
    for name in ("scheduler", "unet", "_progress_bar_config"):
        assert before.get(name) == (id(vars(pipeline)[name]) if name in vars(pipeline) else None)
    assert pipeline.scheduler.num_inference_steps == 7
    assert torch.equal(torch.get_rng_state(), state)
    assert not pipeline.unet._forward_pre_hooks
