"""Generating images from prompts and seeds."""

from dataclasses import replace

import numpy as np
import pytest
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler

from daam_bench.diffusion.defaults import default_size, usual_generation
from daam_bench.diffusion.generate import batches, generate, mean_difference, set_scheduler
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.types.errors import InputError
from tests.tiny_diffusion_transformers import ALL
from tests.tiny_pipelines import tiny_sd

FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
PROMPTS = ["a cat", "a dog and a pizza", "a hat"]


@pytest.fixture(scope="module")
def pipeline(tiny_model):
    return load_pipeline(str(tiny_model), device="cpu")


@pytest.fixture(scope="module")
def generation(pipeline):
    return usual_generation(pipeline, "tiny", steps=2, height=16, width=24)


def test_an_image_depends_on_its_prompt_and_seed_not_on_its_batch(pipeline, generation):
    together = generate(pipeline, PROMPTS, [3, 4, 5], generation)
    in_two = generate(pipeline, PROMPTS, [3, 4, 5], generation, batch_size=2)
    other_seed = generate(pipeline, PROMPTS[:1], [4], generation)
    assert [one.image.size for one in together] == [(24, 16)] * 3
    for one, again in zip(together, in_two, strict=True):
        np.testing.assert_allclose(np.asarray(one.image, int), np.asarray(again.image, int), atol=1)
    assert np.abs(np.asarray(together[0].image, int) - np.asarray(other_seed[0].image, int)).max() > 10


def test_it_takes_one_seed_a_prompt(pipeline, generation):
    with pytest.raises(ValueError, match="shorter"):
        generate(pipeline, PROMPTS, [1, 2], generation)


def test_an_image_that_the_safety_checker_blanked_is_marked(generation):
    pipeline = tiny_sd(threshold=-1.0)
    pipeline.set_progress_bar_config(disable=True)
    (generated,) = generate(pipeline, PROMPTS[:1], [0], generation)
    assert generated.blanked
    assert generated.image.getextrema() == ((0, 0),) * 3


def test_the_scheduler_is_the_generations(pipeline, generation):
    generate(pipeline, PROMPTS[:1], [0], replace(generation, scheduler="HeunDiscreteScheduler"))
    assert type(pipeline.scheduler).__name__ == "HeunDiscreteScheduler"
    with pytest.raises(InputError, match="no scheduler 'AutoencoderKL'"):
        generate(pipeline, PROMPTS[:1], [0], replace(generation, scheduler="AutoencoderKL"))


def test_the_usual_generation_is_the_pipelines_own_but_for_the_shipped_model(tiny_model):
    pipeline = load_pipeline(str(tiny_model), device="cpu")
    usual = usual_generation(pipeline, "tiny")
    assert (usual.steps, usual.guidance_scale, usual.arguments) == (50, 7.5, None)
    assert (usual.height, usual.width) == default_size(pipeline)
    assert usual.scheduler == type(pipeline.scheduler).__name__
    assert usual_generation(pipeline, "emoji").guidance_scale == 3
    assert usual_generation(pipeline, "tiny", height=32).height == 32


DEFAULTS = {
    "sd3": (28, 7.0, 64),
    "flux": (28, 3.5, 256),
    "chroma": (35, 5.0, 256),
    "pixart": (20, 4.5, 32),
    "sana": (20, 4.5, 1024),
    "qwen": (50, None, 512),
    "flux2": (50, 4.0, None),
    "aura": (50, 3.5, 1024),
    "lumina2": (30, 4.0, None),
    "cogview4": (50, 5.0, None),
    "hunyuan": (50, 5.0, None),
}


@pytest.mark.parametrize("family", DEFAULTS)
def test_each_family_has_defaults_of_its_own_and_generates(family):
    pipeline = ALL[family]()
    pipeline.set_progress_bar_config(disable=True)
    steps, guidance, size = DEFAULTS[family]
    usual = usual_generation(pipeline, "tiny", **({} if size else {"height": 64, "width": 64}))
    assert (usual.steps, usual.guidance_scale) == (steps, guidance)
    assert size is None or (usual.height, usual.width) == (size, size)
    binned = {"pixart", "sana", "hunyuan"}
    arguments = {"use_resolution_binning": False} if family in binned else {}
    small = usual_generation(pipeline, "tiny", steps=1, height=64, width=64, arguments=arguments)
    (generated,) = generate(pipeline, ["a cat"], [0], small)
    # Lumina 2 takes its VAE to have a factor of 8; the tiny one has 2.
    assert generated.image.size == ((16, 16) if family == "lumina2" else (64, 64))


def test_a_pipeline_that_crops_what_it_generates_is_refused():
    with pytest.raises(InputError, match=r"crops the image, .* give --argument use_resolution_binning=false"):
        usual_generation(ALL["sana"](), "tiny", height=64, width=96)


def test_videos_are_refused():
    with pytest.raises(InputError, match="WanPipeline generates videos, not images"):
        usual_generation(ALL["wan"](), "tiny")


def test_text_arguments_are_given_to_each_prompt(pipeline, generation):
    usual = usual_generation(
        pipeline, "tiny", steps=2, height=16, width=24, arguments={"negative_prompt": "a red hat"}
    )
    with_it = generate(pipeline, PROMPTS, [1, 2, 3], usual)
    without = generate(pipeline, PROMPTS, [1, 2, 3], generation)
    differences = [
        mean_difference(one.image, other.image) for one, other in zip(with_it, without, strict=True)
    ]
    assert min(differences) > 0


@pytest.mark.parametrize("recorded", ["[1]", "no JSON", '{"no_such": 1}', '{"height": 8}'])
def test_recorded_arguments_that_can_not_be_given_are_told(pipeline, generation, recorded):
    with pytest.raises(InputError):
        generate(pipeline, PROMPTS[:1], [1], replace(generation, arguments=recorded))


def test_a_model_that_matches_flows_keeps_to_schedulers_that_do():
    built = ALL["flux"]()
    set_scheduler(built, "FlowMatchHeunDiscreteScheduler")
    assert type(built.scheduler).__name__ == "FlowMatchHeunDiscreteScheduler"
    with pytest.raises(InputError, match="DDIMScheduler: its model was trained for a flow-matching one"):
        set_scheduler(built, "DDIMScheduler")
    with pytest.raises(InputError, match="trained for none that matches flows, such as DDIMScheduler"):
        set_scheduler(tiny_sd(), "FlowMatchEulerDiscreteScheduler")


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (DPMSolverMultistepScheduler(**FLOW, flow_shift=3.0), "FlowMatchEulerDiscreteScheduler", "shift"),
        (FlowMatchEulerDiscreteScheduler(shift=3.0), "DPMSolverMultistepScheduler", "flow_shift"),
        (DPMSolverMultistepScheduler(**FLOW, flow_shift=3.0), "UniPCMultistepScheduler", "flow_shift"),
    ],
)
def test_another_scheduler_shifts_a_flow_as_far(before, after, name):
    """Sana has a DPM-Solver's `flow_shift`, which flow-matching schedulers call `shift`."""
    built = ALL["sana"]()
    before.register_to_config(**FLOW)
    built.scheduler = before
    set_scheduler(built, after)
    assert built.scheduler.config[name] == 3.0
    assert type(built.scheduler).__name__ == after


def test_batches_hold_items_of_one_kind_and_every_item_once():
    words = ["a", "bb", "c", "dd", "e", "f"]
    assert list(batches(words, 2, key=len)) == [["a", "c"], ["e", "f"], ["bb", "dd"]]
    assert list(batches(words, 4)) == [["a", "bb", "c", "dd"], ["e", "f"]]
    assert list(batches([], 4)) == []


def test_another_scheduler_keeps_the_images():
    """Schedulers that solve the same equation give nearly the same images; clipped latents differ by 60."""
    shipped = load_pipeline("emoji", device="cpu")
    usual = usual_generation(shipped, "emoji", steps=50)
    prompts, seeds = ["a cat on the grass", "a boat on the sea", "a car on the road"], [1, 2, 3]
    first = generate(shipped, prompts, seeds, usual)
    for name in (
        "DDIMScheduler",
        "DDIMParallelScheduler",
        "EulerDiscreteScheduler",
        "UniPCMultistepScheduler",
    ):
        others = generate(shipped, prompts, seeds, replace(usual, scheduler=name))
        pairs = zip(first, others, strict=True)
        assert np.mean([mean_difference(one.image, other.image) for one, other in pairs]) < 4


def test_a_schedulers_settings_survive_the_way_there_and_back():
    shipped = load_pipeline("emoji", device="cpu")
    saved = dict(shipped.scheduler.config)
    for name in ("DDIMScheduler", "EulerDiscreteScheduler", "PNDMScheduler"):
        set_scheduler(shipped, name)
    assert {name: shipped.scheduler.config[name] for name in saved} == saved
