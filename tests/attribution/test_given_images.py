from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from PIL import Image

from daam_bench.attribution.given_images import trace_images
from daam_bench.types.errors import InputError
from tests.attribution.plain_daam import plain_maps, record
from tests.attribution.test_architectures import CALLS, IMAGES, VIDEO, build
from tests.attribution.test_hooks import hooked
from tests.tiny_diffusion_transformers import flux, sd3
from tests.tiny_pipelines import tiny_sd, tiny_sdxl

PROMPTS = ["a cat and a dog", "a red hat"]


def photos(count: int = 2, size: tuple[int, int] = (27, 17)) -> list[Image.Image]:
    width, height = size
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(count)]


@pytest.mark.parametrize("make", [tiny_sd, tiny_sdxl])
def test_maps_cover_each_image_with_its_own_words(make: Any) -> None:
    pipeline = make()
    maps = trace_images(pipeline, PROMPTS, photos())
    assert [one.prompt for one in maps] == PROMPTS
    assert maps[0]["dog"].shape == maps[1]["hat"].shape == (8, 12)
    assert hooked(pipeline) == []


@pytest.mark.parametrize("make", [tiny_sd, tiny_sdxl])
def test_an_images_maps_dont_depend_on_its_batch(make: Any) -> None:
    pipeline, images = make(), photos()
    together = trace_images(pipeline, PROMPTS, images)[1]["hat"]
    alone = trace_images(pipeline, PROMPTS[1:], images[1:])[0]["hat"]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_the_unet_sees_what_the_scheduler_would_give_it() -> None:
    pipeline, seen = tiny_sd(), []
    handle = pipeline.unet.register_forward_pre_hook(
        lambda unet, args, kwargs: seen.append((kwargs["sample"], int(kwargs["timestep"]))), with_kwargs=True
    )
    trace_images(pipeline, PROMPTS, photos(), timesteps=(20, 700), seed=4)
    handle.remove()
    pixels = pipeline.image_processor.preprocess(photos(), height=16, width=24)
    latents = pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor
    noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(4)).expand_as(latents)
    assert [timestep for _, timestep in seen] == [20, 700]
    for noisy, timestep in seen:
        expected = pipeline.scheduler.add_noise(latents, noise, torch.tensor([timestep, timestep]))
        torch.testing.assert_close(noisy, expected)


def test_maps_are_sums_over_time_steps_whatever_the_scheduler() -> None:
    pipeline = tiny_sd()
    records = record(pipeline.unet)
    maps = trace_images(pipeline, PROMPTS, photos(), timesteps=(100, 500))
    expected = plain_maps(records, 2, (8, 12))
    np.testing.assert_allclose(maps[1]["hat"], expected[1, 3], atol=1e-4)
    for scheduler in (DDIMScheduler, EulerDiscreteScheduler):
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
        pipeline.scheduler.set_timesteps(7)
        again = trace_images(pipeline, PROMPTS, photos(), timesteps=(100, 500))
        np.testing.assert_allclose(again[1]["hat"], maps[1]["hat"], atol=1e-4)
        assert pipeline.scheduler.num_inference_steps == 7


def test_selections_are_those_of_trace() -> None:
    pipeline = tiny_sd()
    fine = {"resolutions": [1]}
    whole, first, second = (
        np.asarray(trace_images(pipeline, PROMPTS, photos(), timesteps=(9, 600), **selection)[0]["cat"])
        for selection in (fine, {"steps": [0], **fine}, {"steps": [1], **fine})
    )
    np.testing.assert_allclose(first + second, whole, atol=1e-4)


def test_the_seed_decides_the_noise() -> None:
    pipeline = tiny_sd()
    one, same, other = (
        np.asarray(trace_images(pipeline, PROMPTS, photos(), seed=seed)[0]["cat"]) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_half_precision() -> None:
    pipeline = tiny_sd()
    expected = np.asarray(trace_images(pipeline, PROMPTS, photos())[0]["cat"])
    pipeline.to(torch.float16)
    values = np.asarray(trace_images(pipeline, PROMPTS, photos())[0]["cat"])
    np.testing.assert_allclose(values, expected, rtol=0.1, atol=0.05)
    assert pipeline.vae.dtype == torch.float16


@pytest.mark.parametrize(
    ("prompts", "images", "settings", "message"),
    [
        (PROMPTS, photos(1), {}, "one prompt an image"),
        ([], [], {}, "one prompt an image"),
        ("a cat", photos(5), {}, "one prompt an image"),
        (PROMPTS, [*photos(1), *photos(1, (8, 8))], {}, "one size"),
        (PROMPTS, photos(2, (7, 9)), {}, "at least 8 pixels"),
        (PROMPTS, photos(), {"timesteps": (1000,)}, "0 to 999"),
        (PROMPTS, photos(), {"timesteps": ()}, "0 to 999"),
        (PROMPTS, photos(), {"blocks": ("side",)}, "no block"),
    ],
)
def test_what_cant_be_traced_is_refused(prompts: Any, images: Any, settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trace_images(tiny_sd(), prompts, images, **settings)


def test_a_scheduler_without_alphas_is_refused() -> None:
    pipeline = tiny_sd()
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler()
    with pytest.raises(InputError, match="FlowMatchEulerDiscreteScheduler"):
        trace_images(pipeline, PROMPTS, photos())


@pytest.mark.parametrize("make", [sd3, flux])
def test_transformers_mix_image_and_noise_linearly(make: Any) -> None:
    pipeline, seen = make(), []
    handle = pipeline.transformer.register_forward_pre_hook(
        lambda transformer, args, kwargs: seen.append((kwargs["hidden_states"], kwargs["timestep"])),
        with_kwargs=True,
    )
    size = (24, 16)
    maps = trace_images(pipeline, PROMPTS, photos(size=size), timesteps=(200, 700), seed=4)
    handle.remove()
    assert [one.prompt for one in maps] == PROMPTS
    assert maps[0]["dog"].shape == maps[1]["hat"].shape == (4, 6)
    assert maps[0]["dog"].values.max() > 0
    vae = pipeline.vae
    pixels = pipeline.image_processor.preprocess(photos(size=size))
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mode() - vae.config.shift_factor
    latents = latents * vae.config.scaling_factor
    noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(4)).expand_as(latents)
    for (noisy, timestep), share in zip(seen, (0.2, 0.7), strict=True):
        expected = (1 - share) * latents + share * noise
        if make is flux:
            expected = pipeline._pack_latents(expected, *expected.shape)
        torch.testing.assert_close(noisy, expected)
        torch.testing.assert_close(timestep, torch.full((2,), share if make is flux else 1000 * share))


@pytest.mark.parametrize("family", IMAGES)
def test_every_family_of_images_traces_given_ones(family: str) -> None:
    pipeline = build(family)
    size = (CALLS[family]["width"] // 16 * 16, CALLS[family]["height"] // 16 * 16)
    untouched = torch.get_rng_state(), pipeline.scheduler, dict(vars(pipeline.scheduler))
    maps = trace_images(pipeline, PROMPTS, photos(size=size), timesteps=(300,))
    assert torch.equal(torch.get_rng_state(), untouched[0])
    assert pipeline.scheduler is untouched[1]
    assert vars(pipeline.scheduler) == untouched[2]
    assert [one.prompt for one in maps] == PROMPTS
    shape = maps[0]["dog"].shape
    assert shape[0] * size[0] == shape[1] * size[1]
    assert maps[0]["dog"].values.max() > 0
    assert not np.array_equal(maps[0]["a"], maps[1]["a"])


@pytest.mark.parametrize("family", VIDEO)
def test_videos_are_no_images(family: str) -> None:
    with pytest.raises(InputError, match=r"can't noise given images: it generates videos"):
        trace_images(build(family), PROMPTS, photos(size=(64, 32)))
