"""In every situation the traced image is the untraced one, bit for bit, and the maps are as defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2DiscreteScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLImg2ImgPipeline,
    UniPCMultistepScheduler,
)
from peft import LoraConfig
from PIL import Image

from daam_bench import trace
from tests.attribution.plain_daam import plain_maps, record
from tests.tiny_pipelines import MAX_LENGTH, VAE_FACTOR, tiny_sd, tiny_sdxl

CAT = "a cat and a dog on the grass"


@dataclass(frozen=True)
class Situation:
    call: dict[str, Any]
    build: Callable[[], Any] = tiny_sd
    images: int = 1
    size: tuple[int, int] = (8, 8)
    steps_per_call: float = 1.0
    tolerance: float = 1e-4
    selection: dict[str, Any] = field(default_factory=dict)


def with_scheduler(scheduler: type, **settings: Any) -> Callable[[], Any]:
    def build() -> Any:
        pipeline = tiny_sd()
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **settings)
        return pipeline

    return build


def in_dtype(dtype: torch.dtype) -> Callable[[], Any]:
    return lambda: tiny_sd().to(dtype)


def sliced() -> Any:
    pipeline = tiny_sd()
    pipeline.enable_attention_slicing(1)
    return pipeline


def with_lora() -> Any:
    pipeline = tiny_sd()
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    pipeline.unet.add_adapter(LoraConfig(r=4, lora_alpha=16, target_modules=targets, init_lora_weights=False))
    return pipeline


def img2img() -> Any:
    return StableDiffusionImg2ImgPipeline(**tiny_sd().components, requires_safety_checker=False)


def sdxl_img2img() -> Any:
    return StableDiffusionXLImg2ImgPipeline(**tiny_sdxl().components, add_watermarker=False)


def photo(width: int = 16, height: int = 16) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def embeddings(count: int) -> torch.Tensor:
    return torch.randn(count, MAX_LENGTH, 16, generator=torch.Generator().manual_seed(5))


def latents(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(5))


def guidance_off_midway(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    if step == 1:
        pipeline._guidance_scale = 0.0
        return {"prompt_embeds": tensors["prompt_embeds"].chunk(2)[-1]}
    return {}


SITUATIONS = {
    "guidance": Situation({"prompt": CAT, "guidance_scale": 7.5}),
    "no guidance": Situation({"prompt": CAT, "guidance_scale": 1.0}),
    "guidance off midway": Situation(
        {
            "prompt": CAT,
            "num_inference_steps": 4,
            "callback_on_step_end": guidance_off_midway,
            "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
        }
    ),
    "wide": Situation({"prompt": CAT, "height": 16, "width": 40}, size=(8, 20)),
    "tall, of odd sizes": Situation({"prompt": CAT, "latents": latents(11, 7)}, size=(11, 7)),
    "smaller than its layers": Situation({"prompt": CAT, "latents": latents(1, 3)}, size=(1, 3)),
    "batch": Situation({"prompt": [CAT, "a red hat", "two pizza"]}, images=3),
    "several images a prompt": Situation(
        {"prompt": [CAT, "a red hat"], "num_images_per_prompt": 3}, images=6
    ),
    "several images without guidance": Situation(
        {"prompt": CAT, "num_images_per_prompt": 2, "guidance_scale": 0.0}, images=2
    ),
    "negative prompt": Situation({"prompt": CAT, "negative_prompt": "a bear and a pizza"}),
    "embeddings": Situation(
        {"prompt_embeds": embeddings(2), "negative_prompt_embeds": embeddings(2) / 2},
        images=2,
    ),
    "embeddings without guidance": Situation({"prompt_embeds": embeddings(1), "guidance_scale": 1.0}),
    "latent output": Situation({"prompt": CAT, "output_type": "latent"}),
    "sliced": Situation({"prompt": [CAT, "a red hat"]}, build=sliced, images=2),
    "sliced, no guidance": Situation({"prompt": CAT, "guidance_scale": 1.0}, build=sliced),
    "LoRA": Situation({"prompt": CAT}, build=with_lora),
    "LoRA scaled": Situation({"prompt": CAT, "cross_attention_kwargs": {"scale": 0.5}}, build=with_lora),
    "bfloat16": Situation({"prompt": CAT}, build=in_dtype(torch.bfloat16)),
    "float16": Situation({"prompt": CAT}, build=in_dtype(torch.float16)),
    "PNDM": Situation(
        {"prompt": CAT, "num_inference_steps": 5},
        build=with_scheduler(PNDMScheduler, skip_prk_steps=True),
        steps_per_call=5 / 6,
    ),
    "Heun": Situation(
        {"prompt": CAT, "num_inference_steps": 3},
        build=with_scheduler(HeunDiscreteScheduler),
        steps_per_call=3 / 5,
    ),
    "KDPM2": Situation(
        {"prompt": CAT, "num_inference_steps": 3},
        build=with_scheduler(KDPM2DiscreteScheduler),
        steps_per_call=3 / 5,
    ),
    "DPM-Solver singlestep": Situation(
        {"prompt": CAT, "num_inference_steps": 4}, build=with_scheduler(DPMSolverSinglestepScheduler)
    ),
    "UniPC": Situation({"prompt": CAT}, build=with_scheduler(UniPCMultistepScheduler)),
    "Euler ancestral": Situation({"prompt": CAT}, build=with_scheduler(EulerAncestralDiscreteScheduler)),
    "image to image": Situation(
        {"prompt": CAT, "image": photo(40, 16), "strength": 0.6, "num_inference_steps": 5},
        build=img2img,
        size=(8, 20),
    ),
    "SDXL": Situation({"prompt": [CAT, "two teddy bear"]}, build=tiny_sdxl, images=2),
    "SDXL without guidance": Situation({"prompt": CAT, "guidance_scale": 1.0}, build=tiny_sdxl),
    "SDXL image to image": Situation({"prompt": CAT, "image": photo(), "strength": 0.5}, build=sdxl_img2img),
    "middle block": Situation({"prompt": CAT}, selection={"blocks": ("down", "mid", "up")}),
    "one head": Situation({"prompt": CAT}, selection={"heads": (1,)}),
    "one head, sliced": Situation({"prompt": CAT}, build=sliced, selection={"heads": (1,)}),
    "nearest": Situation({"prompt": CAT}, selection={"upscale": "nearest"}),
}


def draw(pipeline: Any, situation: Situation) -> Any:
    settings = {"num_inference_steps": 2, "output_type": "np", "generator": torch.Generator().manual_seed(3)}
    if not {"image", "latents"} & set(situation.call):
        settings |= {"height": situation.size[0] * VAE_FACTOR, "width": situation.size[1] * VAE_FACTOR}
    pipeline.set_progress_bar_config(disable=True)
    return np.asarray(pipeline(**settings | situation.call).images)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_image_is_untouched_and_maps_are_as_defined(situation: Situation) -> None:
    untraced = draw(situation.build(), situation)

    pipeline = situation.build()
    with trace(pipeline, **situation.selection) as tracer:
        traced = draw(pipeline, situation)
    assert np.array_equal(traced, untraced)
    assert np.isfinite(traced).all()

    witness = situation.build()
    records = record(witness.unet)
    draw(witness, situation)
    blocks = situation.selection.get("blocks", ("down", "up"))
    expected = plain_maps(
        records,
        situation.images,
        situation.size,
        parts=[{"down": "down_blocks", "mid": "mid_block", "up": "up_blocks"}[block] for block in blocks],
        heads=situation.selection.get("heads"),
        steps_per_call=situation.steps_per_call,
        mode=situation.selection.get("upscale", "bicubic"),
    ).numpy()
    maps = tracer.heat_maps()
    assert len(maps) == situation.images
    for image_maps, expected_maps in zip(maps, expected, strict=True):
        for position in range(5):
            values = np.asarray(image_maps.token(position))
            assert values.dtype == np.float32
            assert values.shape == situation.size
            np.testing.assert_allclose(values, expected_maps[position], atol=situation.tolerance, rtol=1e-4)
