"""Offloading, LoRA, ControlNet and relatives on the tiny pipelines of SD3 and FLUX; IP-Adapter on a UNet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig
from PIL import Image

from daam_bench import trace
from tests.tiny_diffusion_transformers import flux, sd3
from tests.tiny_pipelines import tiny_sd

PROMPT = "a cat and a pizza on the grass"
FAMILIES = {"sd3": sd3, "flux": flux}
EVERY = {"sd": tiny_sd, **FAMILIES}


def generate(pipeline: Any, **settings: Any) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    call = {"height": 64, "width": 32, "num_inference_steps": 2, "output_type": "latent"} | settings
    with torch.no_grad():
        return pipeline(prompt=PROMPT, generator=torch.Generator().manual_seed(0), **call).images


def check(make: Any, **settings: Any) -> Any:
    """Assert that a traced generation equals an untraced one, and return the maps."""
    untraced = generate(make(), **settings)
    pipeline = make()
    with trace(pipeline) as tracer:
        traced = generate(pipeline, **settings)
    assert torch.equal(traced, untraced)
    maps = tracer.heat_maps()[0]
    assert maps["pizza"].values.max() > 0
    return maps


families = pytest.mark.parametrize("family", FAMILIES)


@families
def test_group_offload(family: str) -> None:
    def make() -> Any:
        pipeline = FAMILIES[family]()
        cpu = torch.device("cpu")
        pipeline.transformer.enable_group_offload(
            onload_device=cpu, offload_device=cpu, offload_type="block_level", num_blocks_per_group=1
        )
        return pipeline

    plain = check(FAMILIES[family])
    np.testing.assert_array_equal(check(make)._values, plain._values)


@pytest.mark.parametrize("family", EVERY)
def test_every_call_is_heard_though_an_offload_replaces_forward_midway(family: str) -> None:
    """As with use_stream=True on a GPU: a hook of diffusers takes itself off after the first call."""
    from diffusers.hooks import HookRegistry, ModelHook

    class Once(ModelHook):
        def post_forward(self, module: Any, output: Any) -> Any:
            HookRegistry.check_if_exists_or_initialize(module).remove_hook("once", recurse=False)
            return output

    plain, pipeline = (EVERY[family]() for _ in range(2))
    with trace(plain) as expected:
        untraced = generate(plain, num_inference_steps=3)
    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    HookRegistry.check_if_exists_or_initialize(denoiser).register_hook(Once(), "once")
    with trace(pipeline) as tracer:
        traced = generate(pipeline, num_inference_steps=3)
    assert torch.equal(traced, untraced)
    np.testing.assert_array_equal(tracer.heat_maps()[0]._values, expected.heat_maps()[0]._values)


@pytest.mark.parametrize("family", EVERY)
def test_every_image_of_a_pipeline_offloaded_model_by_model_is_heard(family: str) -> None:
    """After each image diffusers puts the models' forward methods back and offloads them again."""
    pipeline = EVERY[family]()
    pipeline.enable_model_cpu_offload(device="cpu")
    with trace(pipeline) as tracer:
        first = generate(pipeline)
        again = generate(pipeline)
    assert torch.equal(first, again)
    one, other = tracer.heat_maps()
    np.testing.assert_array_equal(one["pizza"], other["pizza"])


@families
def test_lora(family: str) -> None:
    def make() -> Any:
        pipeline = FAMILIES[family]()
        torch.manual_seed(7)
        targets = ["to_q", "to_k", "add_k_proj"]
        pipeline.transformer.add_adapter(
            LoraConfig(r=4, lora_alpha=64, target_modules=targets, init_lora_weights=False)
        )
        return pipeline

    plain = check(FAMILIES[family])
    assert not np.allclose(check(make)._values, plain._values)


def test_controlnet_of_stable_diffusion_3() -> None:
    from diffusers import SD3ControlNetModel, StableDiffusion3ControlNetPipeline

    def make() -> Any:
        base = sd3(dual=False)
        torch.manual_seed(5)
        control = SD3ControlNetModel.from_transformer(
            base.transformer, num_layers=1, num_extra_conditioning_channels=0
        ).eval()
        for parameter in control.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return StableDiffusion3ControlNetPipeline(**base.components, controlnet=control)

    check(make, control_image=torch.rand(1, 3, 64, 32, generator=torch.Generator().manual_seed(2)))


def photo(width: int = 32, height: int = 64) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_image_to_image_of_flux_and_of_stable_diffusion_3() -> None:
    from diffusers import FluxImg2ImgPipeline, StableDiffusion3Img2ImgPipeline

    for family, kind in ((flux, FluxImg2ImgPipeline), (sd3, StableDiffusion3Img2ImgPipeline)):

        def make(family: Any = family, kind: Any = kind) -> Any:
            return kind(**family().components)

        maps = check(make, image=photo(), strength=0.6, num_inference_steps=4)
        assert maps["pizza"].values.shape == (16, 8)


def test_kontext_keeps_its_reference_image_out_of_the_maps() -> None:
    from diffusers import FluxKontextPipeline

    def make() -> Any:
        return FluxKontextPipeline(**flux().components)

    maps = check(make, image=photo(), max_area=64 * 32, _auto_resize=False)
    assert maps["pizza"].values.shape == (16, 8)


def test_an_ip_adapters_own_attention_is_left_out() -> None:
    """Its processor attends to image keys beside the text's: here as many as there are of the text's."""
    from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0

    def make(tokens: int) -> Any:
        pipeline = tiny_sd()
        torch.manual_seed(3)
        processors = {}
        for name, processor in pipeline.unet.attn_processors.items():
            if name.endswith("attn2.processor"):
                width = pipeline.unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
                processor = IPAdapterAttnProcessor2_0(width, 16, num_tokens=(tokens,), scale=0.8)
            processors[name] = processor
        pipeline.unet.set_attn_processor(processors)
        return pipeline

    for tokens in (4, 16):
        images = torch.randn(2, 1, tokens, 16, generator=torch.Generator().manual_seed(4))
        pipeline = make(tokens)
        layer = pipeline.unet.up_blocks[2].attentions[0].transformer_blocks[0].attn2
        states = torch.randn(2, 64, 16, generator=torch.Generator().manual_seed(1))
        with trace(pipeline) as tracer, torch.no_grad():
            text, negative = pipeline.encode_prompt(PROMPT, "cpu", 1, True)
            both = torch.cat([negative, text])
            reading = tracer._reading
            arguments = {"sample": torch.randn(1, 4, 8, 8).repeat(2, 1, 1, 1), "timestep": 1}
            reading.begin_call(pipeline.unet, arguments | {"encoder_hidden_states": both})
            layer(states, encoder_hidden_states=(both, [images]))
            reading.end_call()
            tracer.finish()
        name = "up_blocks.2.attentions.0.transformer_blocks.0.attn2"
        found = tracer.layer_maps()[0][name]
        query = layer.to_q(states)[1:].unflatten(-1, (layer.heads, -1)).transpose(1, 2)
        key = layer.to_k(both)[1:].unflatten(-1, (layer.heads, -1)).transpose(1, 2)
        expected = (query @ key.transpose(-1, -2) * layer.scale).softmax(-1).sum(dim=1)[0].T
        np.testing.assert_allclose(
            found.reshape(len(found), -1), expected[: len(found)].detach().numpy(), rtol=1e-4, atol=1e-6
        )
