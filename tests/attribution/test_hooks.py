"""Nothing stays hooked, whatever happens in the block; and what may overlap, may."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch

from daam_bench import trace
from daam_bench.attribution.hooks import SharedHook
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import tiny_sd


@pytest.fixture
def pipeline() -> Any:
    return tiny_sd()


def draw(pipeline: Any, prompt: str | list[str] = "a cat and a dog", seed: int = 0, **settings: Any) -> Any:
    generator = torch.Generator().manual_seed(seed)
    settings = {"num_inference_steps": 2, "output_type": "np"} | settings
    return pipeline(prompt, generator=generator, **settings).images


def hooked(pipeline: Any) -> list[str]:
    """Name what has been replaced or hooked on the pipeline and its UNet."""
    found = [name for name in ("encode_prompt", "maybe_free_model_hooks") if name in vars(pipeline)]
    for name, module in pipeline.unet.named_modules():
        if "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
            found.append(name or "unet")
    return found


def test_the_block_hooks_and_unhooks(pipeline: Any) -> None:
    with trace(pipeline) as tracer:
        assert len(hooked(pipeline)) == 3 + len(tracer.layers)
    assert hooked(pipeline) == []


def test_making_a_trace_hooks_nothing(pipeline: Any) -> None:
    trace(pipeline)
    assert hooked(pipeline) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("place", ["block", "unet", "attention", "callback", "decoder"])
def test_an_error_anywhere_leaves_nothing_hooked(
    pipeline: Any, error: type[BaseException], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error("on purpose")

    settings: dict[str, Any] = {}
    if place == "unet":
        monkeypatch.setattr(pipeline.unet.mid_block, "forward", fail)
    elif place == "attention":
        monkeypatch.setattr(
            pipeline.unet.up_blocks[1].attentions[0].transformer_blocks[0].attn2, "processor", fail
        )
    elif place == "callback":
        settings["callback_on_step_end"] = fail
    elif place == "decoder":
        monkeypatch.setattr(pipeline.vae, "decode", fail)

    def run() -> None:
        with trace(pipeline):
            draw(pipeline, **settings)
            if place == "block":
                fail()

    with pytest.raises(error):
        run()
    monkeypatch.undo()
    assert hooked(pipeline) == []
    assert torch.overrides._get_current_function_mode_stack() == []
    with trace(pipeline) as tracer:
        assert np.array_equal(draw(pipeline), draw(tiny_sd()))
    assert len(tracer.heat_maps()) == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("survivors", [0, 1, 4])
def test_an_error_on_entry_leaves_nothing_hooked(
    pipeline: Any, error: type[BaseException], survivors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = SharedHook.start, []

    def start_some(hook: Any, listener: Any) -> None:
        start(hook, listener)
        started.append(hook)
        if len(started) > survivors:
            raise error("on purpose")

    monkeypatch.setattr(SharedHook, "start", start_some)
    with pytest.raises(error), trace(pipeline):
        pytest.fail("the block must not run")
    assert hooked(pipeline) == []


def test_a_method_replaced_before_is_put_back(pipeline: Any) -> None:
    layer = pipeline.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    original, calls = layer.forward, []

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return original(*args, **kwargs)

    layer.forward = counting
    with trace(pipeline) as tracer:
        draw(pipeline)
    assert layer.forward is counting
    assert len(calls) == 2
    assert tracer.heat_maps()[0]["cat"].values.max() > 0


def test_a_method_wrapped_inside_the_block_stays_wrapped_and_works(pipeline: Any) -> None:
    layer = pipeline.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    with trace(pipeline):
        inner = layer.forward
        layer.forward = wrapper = lambda *args, **kwargs: inner(*args, **kwargs)
    assert layer.forward is wrapper
    assert np.array_equal(draw(pipeline), draw(tiny_sd()))
    with trace(pipeline) as tracer:
        draw(pipeline)
    assert layer.forward is wrapper
    with trace(another := tiny_sd()) as fresh:
        draw(another)
    assert np.array_equal(tracer.heat_maps()[0]["cat"], fresh.heat_maps()[0]["cat"])


def test_a_trace_is_entered_once(pipeline: Any) -> None:
    tracer = trace(pipeline)
    with tracer:
        with pytest.raises(InputError, match="entered already"), tracer:
            pytest.fail("the block must not run")
        draw(pipeline)
    assert len(tracer.heat_maps()) == 1
    assert hooked(pipeline) == []
    with pytest.raises(InputError, match="make a new one"), tracer:
        pytest.fail("the block must not run")
    assert hooked(pipeline) == []


def test_nested_traces_see_their_own_blocks(pipeline: Any) -> None:
    with trace(pipeline) as outer:
        draw(pipeline, "a cat")
        with trace(pipeline, blocks=("mid",)) as inner:
            draw(pipeline, "a dog")
        draw(pipeline, "a hat")
    assert [maps.prompt for maps in outer.heat_maps()] == ["a cat", "a dog", "a hat"]
    assert [maps.prompt for maps in inner.heat_maps()] == ["a dog"]
    assert list(inner.layer_maps()[0]) == ["mid_block.attentions.0.transformer_blocks.0.attn2"]
    assert hooked(pipeline) == []


def test_nesting_changes_no_map(pipeline: Any) -> None:
    with trace(pipeline) as outer, trace(pipeline) as inner:
        draw(pipeline)
    with trace(pipeline) as alone:
        draw(pipeline)
    for tracer in (outer, inner):
        assert np.array_equal(tracer.heat_maps()[0]["cat"], alone.heat_maps()[0]["cat"])


def test_traces_closed_out_of_order(pipeline: Any) -> None:
    first, second = trace(pipeline), trace(pipeline)
    first.__enter__()
    second.__enter__()
    draw(pipeline, "a cat")
    first.__exit__(None, None, None)
    draw(pipeline, "a dog")
    second.__exit__(None, None, None)
    draw(pipeline, "a hat")
    assert [maps.prompt for maps in first.heat_maps()] == ["a cat"]
    assert [maps.prompt for maps in second.heat_maps()] == ["a cat", "a dog"]
    assert hooked(pipeline) == []


def test_two_generations_in_one_trace(pipeline: Any) -> None:
    with trace(pipeline) as tracer:
        draw(pipeline, ["a cat", "a dog"])
        draw(pipeline, "two red hat", seed=1, height=32, width=16, guidance_scale=1.0)
    maps = tracer.heat_maps()
    assert [one.prompt for one in maps] == ["a cat", "a dog", "two red hat"]
    assert [one.token(1).shape for one in maps] == [(8, 8), (8, 8), (16, 8)]
    with trace(pipeline) as alone:
        draw(pipeline, "two red hat", seed=1, height=32, width=16, guidance_scale=1.0)
    assert np.array_equal(maps[2]["red hat"], alone.heat_maps()[0]["red hat"])


def test_a_generation_broken_off_is_no_image(pipeline: Any) -> None:
    def stop(pipeline: Any, step: int, timestep: Any, tensors: Any) -> Any:
        raise StopIteration

    with trace(pipeline) as tracer:
        with suppress(StopIteration):
            draw(pipeline, "a cat", callback_on_step_end=stop)
        with pytest.raises(InputError, match="no image was generated to the end"):
            tracer.heat_maps()
        draw(pipeline, "a dog")
    assert [maps.prompt for maps in tracer.heat_maps()] == ["a dog"]


def test_an_empty_block_has_no_maps(pipeline: Any) -> None:
    with trace(pipeline) as tracer:
        pass
    with pytest.raises(InputError, match="no image was generated inside the trace"):
        tracer.heat_maps()


def test_maps_can_be_had_inside_the_block_and_dont_change_later(pipeline: Any) -> None:
    with trace(pipeline) as tracer:
        draw(pipeline, "a cat")
        early = tracer.heat_maps()[0]["cat"]
        draw(pipeline, "a cat", seed=1)
    late = tracer.heat_maps()
    assert np.array_equal(early, late[0]["cat"])
    assert not np.array_equal(early, late[1]["cat"])


def test_another_pipeline_on_the_same_unet_is_left_out(pipeline: Any) -> None:
    from diffusers import StableDiffusionPipeline

    other = StableDiffusionPipeline(**pipeline.components, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    with trace(pipeline) as tracer:
        draw(pipeline, "a cat")
        draw(other, "a dog")
    with trace(pipeline) as alone:
        draw(pipeline, "a cat")
    assert len(tracer.heat_maps()) == 1
    assert np.array_equal(tracer.heat_maps()[0]["cat"], alone.heat_maps()[0]["cat"])


def test_two_threads_with_two_pipelines() -> None:
    pipelines = [tiny_sd(seed) for seed in range(2)]
    prompts = ["a cat and a dog", "a red hat on the grass"]
    expected = []
    for pipeline, prompt in zip(pipelines, prompts, strict=True):
        with trace(pipeline) as tracer:
            image = draw(pipeline, prompt, num_inference_steps=6)
        expected.append((image, tracer.heat_maps()[0].find(prompt)))
    results: list[Any] = [None, None]
    barrier = threading.Barrier(2)

    def work(index: int) -> None:
        barrier.wait()
        with trace(pipelines[index]) as tracer:
            image = draw(pipelines[index], prompts[index], num_inference_steps=6)
        results[index] = (image, tracer.heat_maps()[0].find(prompts[index]))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (image, heat_map), (expected_image, expected_map) in zip(results, expected, strict=True):
        assert np.array_equal(image, expected_image)
        np.testing.assert_allclose(heat_map, expected_map, atol=1e-5)
    assert [hooked(pipeline) for pipeline in pipelines] == [[], []]
