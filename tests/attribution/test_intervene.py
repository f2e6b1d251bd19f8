"""Words taken away in parts of an image: the identities, an independent reference, nothing left behind."""

from __future__ import annotations

import math
import threading
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from daam_bench import trace
from daam_bench.attribution.absent import encode_without
from daam_bench.attribution.blend import LayerChange, LayerHook
from daam_bench.attribution.hooks import INSTALLING
from daam_bench.attribution.intervene import AbsentWord, Intervention, calls_at
from daam_bench.attribution.layout import AttentionLayout, Layer
from daam_bench.attribution.shuffled import shuffled_maps
from daam_bench.attribution.trajectory import Trajectory, exchanged, record
from daam_bench.attribution.two_texts import JointBlend
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.types.errors import InputError
from tests.attribution.test_architectures import hooked
from tests.tiny_diffusion_transformers import ALL, WORDS
from tests.tiny_pipelines import tiny_sd, tiny_sdxl

PROMPT = "a cat and a red pizza"
CAT = (2, 5)
STEPS = 4
CALLS: dict[str, dict[str, Any]] = {
    "sd": {"height": 16, "width": 24},
    "sdxl": {"height": 16, "width": 24},
    "pixart": {"height": 64, "width": 32, "use_resolution_binning": False},
    "sana": {
        "height": 64,
        "width": 32,
        "complex_human_instruction": ["the red ball", "in the grass "],
        "use_resolution_binning": False,
    },
    "sd3": {"height": 64, "width": 32},
    "flux": {"height": 64, "width": 32},
    "kontext": {"height": 64, "width": 32, "max_area": 64 * 32, "_auto_resize": False},
    "emoji-sd3": {"max_sequence_length": 24},  # the one with trained weights
}
JOINT = ("sd3", "flux", "kontext", "emoji-sd3")
POOLED = ("sdxl", *JOINT)

families = pytest.mark.parametrize("family", CALLS)


def build(family: str) -> Any:
    own = {
        "sd": tiny_sd,
        "sdxl": tiny_sdxl,
        "kontext": kontext,
        "emoji-sd3": lambda: load_pipeline("emoji-sd3"),
    }
    pipeline = {**ALL, **own}[family]()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def kontext() -> Any:
    """FLUX with a reference image, which lies behind the generated one in the sequence."""
    from diffusers import FluxKontextPipeline

    return FluxKontextPipeline(**ALL["flux"]().components)


def generate(pipeline: Any, family: str, prompt: str = PROMPT) -> torch.Tensor:
    call = CALLS[family] | {"num_inference_steps": STEPS, "output_type": "latent"}
    if family == "kontext":
        pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
        call["image"] = Image.fromarray(pixels)
    return pipeline(prompt=prompt, generator=torch.Generator().manual_seed(0), **call).images


def trajectory_of(pipeline: Any, family: str, prompt: str = PROMPT) -> Trajectory:
    with record(pipeline) as recorder:
        generate(pipeline, family, prompt)
    return recorder.trajectory()


def halves(grid: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the empty image, the whole one, and its left half."""
    left = np.zeros(grid, np.float32)
    left[:, : grid[1] // 2] = 1
    return np.zeros(grid, np.float32), np.ones(grid, np.float32), left


@families
def test_a_word_that_is_hidden_nowhere_changes_nothing_and_everywhere_it_is_absent(family: str) -> None:
    intervention = Intervention(trajectory_of(build(family), family))
    word = intervention.without(*CAT)
    nowhere, everywhere, left = word.outputs(halves(intervention.grid))
    scale = np.abs(intervention.original - word.everywhere).max()
    assert scale > 0
    assert np.abs(nowhere - intervention.original).max() < 1e-3 * scale
    assert np.abs(everywhere - word.everywhere).max() < 1e-3 * scale
    for other in (intervention.original, word.everywhere):
        assert np.abs(left - other).max() > 0.05 * scale


@families
def test_hidden_nowhere_not_a_bit_differs_from_a_plain_call_of_as_many_rows(family: str) -> None:
    intervention = Intervention(trajectory_of(build(family), family))
    word = intervention.without(*CAT)
    nowhere = word.outputs([np.zeros(intervention.grid, np.float32)])[0]
    assert np.array_equal(nowhere, intervention.plain(intervention.trajectory.calls))


@families
def test_the_image_and_a_trace_are_untouched_and_nothing_stays_hooked(family: str) -> None:
    pipeline = build(family)
    plain = generate(pipeline, family)
    before = hooked_everywhere(pipeline)  # transformers has hooks of its own
    with trace(pipeline) as tracer:
        generate(pipeline, family)
    expected = tracer.heat_maps()[0]["cat"].values
    with trace(pipeline) as tracer, record(pipeline) as recorder:
        recorded = generate(pipeline, family)
        # Inside an open trace, whose maps are of the generation alone.
        word = Intervention(recorder.trajectory()).without(*CAT)
        word.outputs([np.ones((2, 2), np.float32)])
    assert torch.equal(recorded, plain)
    (maps,) = tracer.heat_maps()
    assert np.array_equal(maps["cat"].values, expected)
    assert hooked_everywhere(pipeline) == before
    assert torch.equal(generate(pipeline, family), plain)


def hooked_everywhere(pipeline: Any) -> list[str]:
    denoiser = getattr(pipeline, "unet", None)
    names = [] if denoiser is None else [n for n, m in denoiser.named_modules() if "forward" in vars(m)]
    return hooked(pipeline) + names


@families
def test_without_a_word_the_other_tokens_are_the_same_whatever_it_was(family: str) -> None:
    pipeline = build(family)
    assert {"cat", "dog"} <= set(WORDS)
    texts = []
    for noun in ("cat", "dog"):
        trajectory = trajectory_of(pipeline, family, PROMPT.replace("cat", noun))
        word = Intervention(trajectory).without(*CAT)
        text = word.changed[0]["encoder_hidden_states"].value[0]
        kept = [place for place in range(len(text)) if place not in word.positions]
        texts.append(text[kept])
        full = trajectory.calls[0]["encoder_hidden_states"].value[0]
        assert not torch.equal(full[kept], text[kept])  # they carried the word
    assert torch.equal(*texts)


@pytest.mark.parametrize("family", POOLED)
def test_pooled_text_is_held_and_its_share_can_be_measured(family: str) -> None:
    word = Intervention(trajectory_of(build(family), family)).without(*CAT)
    without = word.everywhere_with_pooled()
    assert without is not None
    assert np.abs(without - word.everywhere).max() > 0


def test_a_model_without_pooled_text_has_no_share_of_it() -> None:
    word = Intervention(trajectory_of(build("sd"), "sd")).without(*CAT)
    assert word.everywhere_with_pooled() is None


class PlainProcessor:
    """Attention written out, in cross-attention blended with that to a second text."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __call__(
        self, attn: Any, hidden_states: Any, encoder_hidden_states: Any = None, attention_mask: Any = None
    ) -> Any:
        assert attention_mask is None
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        plain = self.attend(attn, hidden_states, text, ())
        if encoder_hidden_states is None or self.state["mask"] is None:
            return plain
        places = hidden_states.shape[1]
        mask = self.state["mask"]
        step = round(math.sqrt(mask.size / places))
        rows, columns = mask.shape[0] // step, mask.shape[1] // step
        share = torch.tensor(
            [
                mask[row * step : (row + 1) * step, column * step : (column + 1) * step].mean()
                for row in range(rows)
                for column in range(columns)
            ]
        )[None, :, None]
        other = self.attend(attn, hidden_states, self.state["text"], self.state["hidden"])
        return (1 - share) * plain + share * other

    @staticmethod
    def attend(attn: Any, states: Any, text: Any, hidden: tuple[int, ...]) -> Any:
        query, key, value = attn.to_q(states)[0], attn.to_k(text)[0], attn.to_v(text)[0]
        width = query.shape[1] // attn.heads
        outputs = []
        for head in range(attn.heads):
            part = slice(head * width, (head + 1) * width)
            weights = torch.exp(query[:, part] @ key[:, part].T / math.sqrt(width))
            weights[:, list(hidden)] = 0
            outputs.append(weights / weights.sum(1, keepdim=True) @ value[:, part])
        return attn.to_out[0](torch.cat(outputs, dim=1))[None]


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_a_unet_does_what_an_independent_reference_does(family: str) -> None:
    pipeline = build(family).to(torch.float64)
    seen: list[tuple[Any, ...]] = []
    handle = pipeline.unet.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append((args[0][1:].clone(), args[1].clone(), kwargs)),
        with_kwargs=True,
    )
    trajectory = trajectory_of(pipeline, family)
    handle.remove()
    intervention = Intervention(trajectory)
    word = intervention.without(*CAT)
    masks = halves((8, 12))
    found = word.outputs(masks)
    texts = []
    for number in ("", "_2") if family == "sdxl" else ("",):
        tokenizer, encoder = (
            getattr(pipeline, f"tokenizer{number}"),
            getattr(pipeline, f"text_encoder{number}"),
        )
        ids = tokenizer(PROMPT, padding="max_length", return_tensors="pt").input_ids
        hole = torch.ones_like(ids)
        hole[0, 2] = 0  # the start token, "a", "cat"
        with torch.no_grad():
            output = encoder(ids, attention_mask=hole, output_hidden_states=True)
        texts.append(output.hidden_states[-2] if family == "sdxl" else output[0])
    state: dict[str, Any] = {"mask": None, "text": torch.cat(texts, dim=-1), "hidden": (2,)}
    pipeline.unet.set_attn_processor(PlainProcessor(state))
    for mask, outputs in zip((None, *masks), (intervention.original, *found), strict=True):
        state["mask"] = mask
        for place, output in zip(calls_at(STEPS), outputs, strict=True):
            sample, time, kwargs = seen[place]
            added = kwargs.get("added_cond_kwargs")
            text = kwargs["encoder_hidden_states"][1:]
            with torch.no_grad():
                expected = pipeline.unet(
                    sample,
                    time,
                    encoder_hidden_states=text,
                    added_cond_kwargs=added and {name: value[1:] for name, value in added.items()},
                ).sample[0]
            assert np.abs(output - expected.numpy()).max() < 1e-6


def one_block(pipeline: Any, kind: str) -> None:
    """Leave a transformer one block, behind whose attention no place of the image sees another."""
    for name in ("transformer_blocks", "single_transformer_blocks"):
        if hasattr(pipeline.transformer, name):
            blocks = getattr(pipeline.transformer, name)
            setattr(pipeline.transformer, name, blocks[: int(name == kind)])


def places_of(output: np.ndarray, family: str, grid: tuple[int, ...]) -> np.ndarray:
    """Return what a denoiser says of each place of its grid: (steps, height, width, values)."""
    if family == "flux":
        return output.reshape(len(output), *grid, -1)
    steps, channels, height, width = output.shape
    shape = (steps, channels, grid[0], height // grid[0], grid[1], width // grid[1])
    return output.reshape(shape).transpose(0, 2, 4, 1, 3, 5).reshape(steps, *grid, -1)


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("sd3", "transformer_blocks"),
        ("flux", "transformer_blocks"),
        ("flux", "single_transformer_blocks"),
        ("pixart", "transformer_blocks"),
    ],
)
def test_in_one_block_each_place_says_what_its_own_text_makes_it_say(family: str, kind: str) -> None:
    pipeline = build(family)
    one_block(pipeline, kind)
    intervention = Intervention(trajectory_of(pipeline, family))
    word = intervention.without(*CAT)
    left = halves(intervention.grid)[2]
    found, original, absent = (
        places_of(output, family, intervention.grid)
        for output in (word.outputs([left])[0], intervention.original, word.everywhere)
    )
    hidden = left.astype(bool)
    scale = np.abs(original - absent).max()
    assert np.abs(found[:, hidden] - absent[:, hidden]).max() < 1e-2 * scale
    assert np.abs(found[:, ~hidden] - original[:, ~hidden]).max() < 1e-2 * scale
    assert np.abs(absent[:, hidden] - original[:, hidden]).max() > 0.1 * scale


@pytest.mark.parametrize("family", ["pixart", "sana", "sd3", "flux", "kontext"])
def test_an_absent_word_is_one_whose_keys_nobody_sees(family: str, monkeypatch: Any) -> None:
    """Call the transformer with the changed text, its keys cut out of every attention that holds the text."""
    intervention = Intervention(trajectory_of(build(family), family))
    word = intervention.without(*CAT)
    trajectory = intervention.trajectory
    cut_keys(monkeypatch, word, family)
    scale = np.abs(intervention.original - word.everywhere).max()
    for call, output in zip(word.changed, word.everywhere, strict=True):
        assert np.abs(output - plain_call(trajectory, call)[: len(output)]).max() < 1e-3 * scale


@pytest.mark.parametrize("family", JOINT)
def test_without_the_pooled_text_too_both_texts_are_those_without_the_word(
    family: str, monkeypatch: Any
) -> None:
    intervention = Intervention(trajectory_of(build(family), family))
    word = intervention.without(*CAT)
    trajectory, found = intervention.trajectory, word.everywhere_with_pooled()
    tensors = encode_without(trajectory, *CAT)
    both = [exchanged(call, tensors, lambda name: True) for call in trajectory.calls]
    scale = np.abs(found - word.everywhere).max()
    cut_keys(monkeypatch, word, family)
    for call, output in zip(both, found, strict=True):
        assert np.abs(output - plain_call(trajectory, call)[: len(output)]).max() < 1e-3 * scale


def cut_keys(monkeypatch: Any, word: AbsentWord, family: str) -> None:
    """Cut a word's keys out of every attention that holds the text."""
    trajectory = word._intervention.trajectory
    layout = trajectory.layout({n: getattr(v, "value", v) for n, v in word.changed[0].items()})
    hidden = [layout.text[0].start + place for place in word.positions]
    text = layout.text[0].stop - layout.text[0].start
    length = text
    if family in JOINT:
        image = word.changed[0]["hidden_states"].value
        length += image.shape[1] if image.ndim == 3 else layout.grid[0] * layout.grid[1]
    fused = functional.scaled_dot_product_attention

    def cut(query: Any, key: Any, value: Any, attn_mask: Any = None, *args: Any, **kwargs: Any) -> Any:
        if key.shape[2] != length:
            return fused(query, key, value, attn_mask, *args, **kwargs)
        kept = [place for place in range(length) if place not in hidden]
        mask = None if attn_mask is None else attn_mask[..., kept]
        return fused(query, key[:, :, kept], value[:, :, kept], mask, *args, **kwargs)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", cut)


@torch.no_grad()
def plain_call(trajectory: Trajectory, call: Any) -> np.ndarray:
    """Call the denoiser as a pipeline does; PixArt says a variance too, in further channels."""
    return trajectory.denoiser(**{name: plain_value(value) for name, value in call.items()})[0][0].numpy()


def plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain_value(one) for name, one in value.items()}
    return getattr(value, "value", value)


def test_weights_are_shuffled_for_the_control_alone() -> None:
    pipeline = build("sd")
    trajectory = trajectory_of(pipeline, "sd")
    before = {name: weight.clone() for name, weight in pipeline.unet.state_dict().items()}
    with trace(pipeline) as tracer:
        generate(pipeline, "sd")
    own, control = tracer.heat_maps()[0]["cat"].values, shuffled_maps(trajectory)["cat"].values
    assert own.shape == control.shape
    assert abs(np.corrcoef(own.ravel(), control.ravel())[0, 1]) < 0.9
    assert np.array_equal(shuffled_maps(trajectory)["cat"].values, control)
    assert all(torch.equal(weight, before[name]) for name, weight in pipeline.unet.state_dict().items())


def test_a_word_that_one_of_two_streams_cut_off_is_taken_away_in_the_other() -> None:
    """T5's positions come after CLIP's; here it is fed fewer tokens."""
    pipeline = build("sd3")
    with trace(pipeline) as tracer, record(pipeline) as recorder:
        pipeline(PROMPT, **CALLS["sd3"], num_inference_steps=1, output_type="latent", max_sequence_length=4)
    clip, t5 = recorder.trajectory().streams
    pizza = (PROMPT.index("pizza"), len(PROMPT))
    assert tracer.heat_maps()[0].word(*pizza).values.max() > 0
    assert not t5.prompt.tokens_of(*pizza)
    word = Intervention(recorder.trajectory()).without(*pizza)
    assert word.positions == clip.prompt.tokens_of(*pizza)


def test_words_outside_the_prompt_and_parts_of_words_are_refused() -> None:
    intervention = Intervention(trajectory_of(build("sd"), "sd"))
    with pytest.raises(InputError, match="only a part of"):
        intervention.without(2, 4)
    with pytest.raises(InputError, match="aren't a span"):
        intervention.without(2, 99)


def test_a_denoiser_of_another_family_is_refused() -> None:
    pipeline = ALL["aura"]()
    pipeline.set_progress_bar_config(disable=True)
    with record(pipeline) as recorder:
        pipeline(PROMPT, num_inference_steps=1, height=64, width=32, output_type="latent")
    with pytest.raises(InputError, match="can be intervened on: UNet2DConditionModel, "):
        Intervention(recorder.trajectory())


def test_several_images_at_once_are_refused() -> None:
    pipeline = build("sd")
    with pytest.raises(InputError, match="one image at a time"), record(pipeline):
        pipeline([PROMPT] * 2, num_inference_steps=1, height=16, width=24, output_type="latent")


def test_attention_that_is_spelt_out_is_intervened_on_alike() -> None:
    from diffusers.models.attention_processor import AttnProcessor

    results = []
    for processor in (None, AttnProcessor()):
        pipeline = build("sd")
        if processor is not None:
            pipeline.unet.set_attn_processor(processor)
        intervention = Intervention(trajectory_of(pipeline, "sd"))
        word = intervention.without(*CAT)
        results.append(word.outputs([halves((8, 12))[2]]) - word.everywhere)
    assert np.abs(results[0] - results[1]).max() < 1e-3 * np.abs(results[0]).max()


class Unseen:
    """A processor without any attention."""

    def __init__(self, *, two: bool) -> None:
        self.two = two

    def __call__(self, attn: Any, hidden_states: Any, encoder_hidden_states: Any, **kwargs: Any) -> Any:
        return (hidden_states, encoder_hidden_states) if self.two else hidden_states


@pytest.mark.parametrize("family", ["sd", "sd3"])
def test_attention_out_of_sight_is_refused(family: str) -> None:
    pipeline = build(family)
    trajectory = trajectory_of(pipeline, family)
    if family == "sd":
        layer = pipeline.unet.up_blocks[1].attentions[0].transformer_blocks[0].attn2
    else:
        layer = pipeline.transformer.transformer_blocks[0].attn
    layer.processor = Unseen(two=family == "sd3")
    with pytest.raises(InputError, match="Unseen calls neither"):
        Intervention(trajectory).without(*CAT)


def test_joint_attention_with_a_mask_of_its_own_is_refused() -> None:
    layout = AttentionLayout((1, 2), (0,), (slice(0, 3),), image=(slice(3, 5),), joint=True)
    blend = JointBlend(layout, 5, torch.ones(1, 1, 1), [0])
    states = torch.ones(1, 1, 8, 4)
    with pytest.raises(InputError, match="has a mask of its own"):
        blend.run(
            Layer("attn", None, 1, "double"),
            functional.scaled_dot_product_attention,
            (states, states, states, torch.ones(8, 8, dtype=torch.bool)),
            {},
        )


def test_hooks_of_two_threads_on_one_layer_are_one(monkeypatch: Any) -> None:
    """While a thread puts its hooks in, another one waits, and then shares them."""
    pipeline = build("sd")
    intervention = Intervention(trajectory_of(pipeline, "sd"))
    word = intervention.without(*CAT)
    layer = intervention._layers[0].module
    made, make = threading.Event(), LayerHook.__init__

    def told(hook: Any, *args: Any) -> None:
        make(hook, *args)
        made.set()

    monkeypatch.setattr(LayerHook, "__init__", told)
    heard: list[int] = []

    def run(forward: Any, args: Any, kwargs: Any) -> Any:
        heard.append(1)
        return forward(*args, **kwargs)

    thread = threading.Thread(target=lambda: word.outputs([np.ones((1, 1), np.float32)]))
    with ExitStack() as hooks:
        with INSTALLING:
            thread.start()
            made.wait(2)  # it never is, for it is this thread's turn
            LayerHook.of(layer, "forward").attach(hooks, LayerChange(run))
        thread.join()
        Intervention(intervention.trajectory)
    assert heard
    assert "forward" not in vars(layer)
