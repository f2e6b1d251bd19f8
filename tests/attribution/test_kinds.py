"""Pipelines of further kinds: guidance by images, adapters, windows, extra passes, weights, two prompts."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from daam_bench import trace
from daam_bench.types.errors import InputError
from tests.attribution.test_architectures import build
from tests.attribution.test_architectures import generate as generate_family
from tests.attribution.test_public_cases import PROMPT, SIZE, carrying, check, refused, seeded, text_of
from tests.attribution.test_transformer_situations import check as check_transformer
from tests.attribution.test_transformer_situations import generate as generate_transformer
from tests.attribution.test_transformer_situations import photo
from tests.tiny_diffusion_transformers import flux, sd3
from tests.tiny_pipelines import _unet, tiny_sd

PHOTO = Image.new("RGB", (16, 16), (200, 40, 90))


def with_unet(kind: str, **settings: Any) -> Any:
    """Build a pipeline of another class from the tiny parts, with a UNet of its own."""
    import diffusers

    if not hasattr(diffusers, kind):
        pytest.skip(f"diffusers {diffusers.__version__} has no {kind}")
    pipeline = tiny_sd()
    torch.manual_seed(0)
    parts = {name: part for name, part in pipeline.components.items() if name != "image_encoder"}
    parts["unet"] = _unet(cross_attention_dim=16, **settings)
    made = getattr(diffusers, kind)(**parts, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


def test_a_pipeline_without_encode_prompt_is_refused() -> None:
    """InstructPix2Pix: its prompts are encoded by a method of another name, out of sight."""
    pipeline = with_unet("StableDiffusionInstructPix2PixPipeline", in_channels=8)
    with pytest.raises(InputError, match="no denoiser that is fed by encode_prompt; these can be traced"):
        trace(pipeline)


def test_grounded_boxes_have_an_attention_of_their_own() -> None:
    """GLIGEN: a gated attention over boxes in each block, beside the text's."""
    pipeline = with_unet("StableDiffusionGLIGENPipeline", attention_type="gated")
    for name, parameter in pipeline.unet.named_parameters():
        if name.endswith(("alpha_attn", "alpha_dense")):
            torch.nn.init.constant_(parameter, 0.5)

    def call() -> None:
        boxes = {"gligen_phrases": ["a cat"], "gligen_boxes": [[0.1, 0.1, 0.6, 0.6]]}
        pipeline(PROMPT, generator=seeded(), **boxes, **SIZE)

    with trace(pipeline) as tracer:
        call()
    assert not any("fuser" in name for name in tracer.layers)
    check(pipeline, call, carrying(text_of(pipeline)))


def test_passes_that_change_the_latents_before_each_step_are_refused() -> None:
    """Attend-and-Excite: gradient steps with the prompt, then the step itself."""
    pipeline = with_unet("StableDiffusionAttendAndExcitePipeline")

    def call() -> None:
        size = SIZE | {"num_inference_steps": 2}
        pipeline(PROMPT, token_indices=[2], max_iter_to_alter=2, attn_res=(4, 4), generator=seeded(), **size)

    refused(pipeline, call, "more often than the scheduler's 2 steps")


@pytest.mark.parametrize("at_once", [False, True])
def test_windows_of_a_tiled_loop_are_refused(at_once: bool) -> None:
    pipeline = tiny_sd()

    def call() -> None:
        text = pipeline.encode_prompt(PROMPT, "cpu", 1, False)[0]
        pipeline.scheduler.set_timesteps(1)
        latents = torch.randn(1, 4, 8, 16, generator=seeded())
        windows = [latents[..., :8], latents[..., 8:]]
        with torch.no_grad():
            if at_once:
                pipeline.unet(torch.cat(windows), 1, encoder_hidden_states=text.repeat(2, 1, 1))
            else:
                for window in windows:
                    pipeline.unet(window, 1, encoder_hidden_states=text)

    refused(pipeline, call, "windows of a large image")


class Weighted(StableDiffusionPipeline):
    """A community pipeline's weights: "(cat:1.3)" multiplies the embeddings of what it holds."""

    def encode_prompt(self, prompt: Any, *args: Any, **kwargs: Any) -> Any:
        if prompt is None:
            return super().encode_prompt(prompt, *args, **kwargs)
        texts = [prompt] if isinstance(prompt, str) else prompt
        factor = 1.3 if any("(" in text for text in texts) else 1.0
        plain = [re.sub(r"\((\w+):[\d.]+\)", r"\1", text) for text in texts]
        first, *others = super().encode_prompt(plain, *args, **kwargs)
        return first * factor, *others


def weighted() -> Any:
    pipeline = Weighted(**tiny_sd().components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_weighted_prompts_have_tokens_and_no_words() -> None:
    pipeline = weighted()
    with trace(pipeline) as tracer:
        pipeline("a (cat:1.3) and a dog", generator=seeded(), **SIZE)
    maps = tracer.heat_maps()[0]
    assert maps.token(2).values.max() > 0
    with pytest.raises(InputError, match=r"was fed other tokens.*maps\.token"):
        maps["cat"]
    with trace(pipeline) as tracer:
        pipeline("a cat and a dog", generator=seeded(), **SIZE)
    assert tracer.heat_maps()[0]["cat"].values.max() > 0


def test_weights_that_reach_the_denoiser_past_encode_prompt_are_no_generation() -> None:
    """lpw_stable_diffusion: the prompt is encoded by a function of the pipeline's module."""
    pipeline = tiny_sd()
    text = pipeline.encode_prompt(PROMPT, "cpu", 1, False)[0]
    with trace(pipeline) as tracer, torch.no_grad():
        pipeline.encode_prompt("a red hat", "cpu", 1, False)
        pipeline.unet(torch.randn(1, 4, 8, 8), 1, encoder_hidden_states=text * 1.1)
    with pytest.raises(InputError, match="no image was generated"):
        tracer.heat_maps()


def test_a_prompt_that_is_encoded_twice() -> None:
    pipeline = tiny_sd()

    def call() -> None:
        texts = [pipeline.encode_prompt(PROMPT, "cpu", 1, False)[0] for _ in range(2)]
        pipeline.scheduler.set_timesteps(2)
        with torch.no_grad():
            for index in range(2):
                pipeline.unet(
                    torch.randn(1, 4, 8, 8, generator=seeded()), 1, encoder_hidden_states=texts[index]
                )

    check(pipeline, call, carrying(text_of(pipeline)))


def test_a_pipeline_with_a_source_and_a_target_is_refused() -> None:
    """CycleDiffusion: rows are both prompts' negatives, the source, the target."""
    pipeline = with_unet("CycleDiffusionPipeline")
    pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, clip_sample=False)

    def call() -> None:
        settings = {"num_inference_steps": 3, "strength": 0.9, "eta": 0.1, "output_type": "latent"}
        pipeline(PROMPT, source_prompt="a red hat", image=PHOTO, generator=seeded(), **settings)

    refused(pipeline, call, "two prompts|more blocks|blocks of latents")


def test_perturbed_attention_guidance_of_a_transformer_is_refused() -> None:
    """Its layers compute attention for some rows of the batch apart from the others."""
    from diffusers import StableDiffusion3PAGPipeline

    taken = inspect.signature(StableDiffusion3PAGPipeline.__init__).parameters
    parts = {name: part for name, part in sd3().components.items() if name in taken}
    pipeline = StableDiffusion3PAGPipeline(**parts, pag_applied_layers=["blocks.1"])

    def call() -> None:
        generate_transformer(pipeline, pag_scale=2.0)

    refused(pipeline, call, "expected attention of 3 rows .*; this attention processor can't be traced")


def test_controlnet_of_flux() -> None:
    from diffusers import FluxControlNetModel, FluxControlNetPipeline

    def make() -> Any:
        base = flux()
        torch.manual_seed(5)
        control = FluxControlNetModel.from_transformer(
            base.transformer, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2
        ).eval()
        for parameter in control.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return FluxControlNetPipeline(**base.components, controlnet=control)

    check_transformer(make, control_image=photo())


@pytest.mark.parametrize("family", ["sd3", "flux", "sd"])
@pytest.mark.parametrize("kind", ["whole modules", "layer by layer"])
def test_offloaded_modules_are_traced(family: str, kind: str) -> None:
    """What enable_model_cpu_offload and enable_sequential_cpu_offload do, without an accelerator."""
    from accelerate import cpu_offload, cpu_offload_with_hook

    def parts(pipeline: Any) -> list[Any]:
        names = ("text_encoder", "text_encoder_2", "text_encoder_3", "unet", "transformer", "vae")
        return [part for name in names if (part := getattr(pipeline, name, None)) is not None]

    def make() -> Any:
        pipeline = tiny_sd() if family == "sd" else build(family)
        for part in parts(pipeline):
            if kind == "whole modules":
                cpu_offload_with_hook(part, "cpu")
            else:
                cpu_offload(part, torch.device("cpu"))
        return pipeline

    def generate(pipeline: Any) -> Any:
        if family == "sd":
            return pipeline(PROMPT, generator=seeded(), **SIZE).images
        return generate_family(pipeline, family)

    plain = tiny_sd() if family == "sd" else build(family)
    with trace(plain) as expected:
        untraced = generate(plain)
    pipeline = make()
    with trace(pipeline) as tracer:
        traced = generate(pipeline)
    assert torch.equal(traced, untraced)
    for name, maps in expected.layer_maps()[0].items():
        assert (tracer.layer_maps()[0][name] == maps).all()
    assert list(tracer.heat_maps()[0]) == list(expected.heat_maps()[0])
