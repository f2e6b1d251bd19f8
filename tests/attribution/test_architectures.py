"""Every family of transformers: the image untouched, the maps as defined, the right tokens and places."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from daam_bench import trace
from daam_bench.attribution import fused
from daam_bench.attribution.architectures import architecture_of, architectures
from daam_bench.attribution.capture import AttentionReader
from daam_bench.types.errors import InputError
from tests.tiny_diffusion_transformers import ALL

PROMPTS = ["a cat and a pizza on the grass", "two cats"]
NEGATIVE = {"negative_prompt": ["dog", "dog"]}
CALLS: dict[str, dict[str, Any]] = {
    "sd3": {"height": 64, "width": 32},
    "flux": {"height": 64, "width": 32, "true_cfg_scale": 2.0} | NEGATIVE,
    "chroma": {"height": 64, "width": 32},
    "pixart": {"height": 64, "width": 32, "use_resolution_binning": False},
    "qwen": {"height": 64, "width": 32, "true_cfg_scale": 2.0} | NEGATIVE,
    "zimage": {"height": 44, "width": 36, "guidance_scale": 3.0, "max_sequence_length": 64},
    "flux2": {"height": 64, "width": 32, "max_sequence_length": 64},
    "sana": {
        "height": 64,
        "width": 32,
        "complex_human_instruction": ["the red ball", "in the grass "],
        "use_resolution_binning": False,
    },
    "lumina2": {"height": 64, "width": 32},
    "hunyuan": {"height": 128, "width": 64, "use_resolution_binning": False},
    "aura": {"height": 64, "width": 32},
    "cogview4": {"height": 64, "width": 32},
    "wan": {"height": 32, "width": 64, "num_frames": 5} | NEGATIVE,
    "cogvideox": {"height": 16, "width": 32, "num_frames": 8, "max_sequence_length": 16},
    "hidream": {"height": 64, "width": 32},
    "ltx": {"height": 32, "width": 64, "num_frames": 9},
}
VIDEO = ("wan", "cogvideox", "ltx")
JOINT = (
    "sd3",
    "flux",
    "chroma",
    "qwen",
    "zimage",
    "flux2",
    "lumina2",
    "aura",
    "cogview4",
    "cogvideox",
    "hidream",
)
IMAGES = [name for name in CALLS if name not in VIDEO]

families = pytest.mark.parametrize("family", CALLS)


def build(family: str) -> Any:
    pipeline = ALL[family]()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def generate(pipeline: Any, family: str, prompts: Any = None, **settings: Any) -> torch.Tensor:
    call = CALLS[family] | {"num_inference_steps": 2, "output_type": "latent"} | settings
    prompts = list(PROMPTS) if prompts is None else prompts
    output = pipeline(prompt=prompts, generator=torch.Generator().manual_seed(0), **call)
    return output[0] if isinstance(output, tuple) else output[next(iter(output))]


def one_prompt(family: str) -> dict[str, Any]:
    return {"negative_prompt": "dog"} if "negative_prompt" in CALLS[family] else {}


def hooked(pipeline: Any) -> list[str]:
    found = [name for name in ("encode_prompt", "maybe_free_model_hooks") if name in vars(pipeline)]
    for part in ("transformer", "text_encoder", "text_encoder_2", "text_encoder_3"):
        for name, module in (
            getattr(pipeline, part, None).named_modules() if getattr(pipeline, part, None) else ()
        ):
            if "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
                found.append(f"{part}.{name}")
    return found


@families
def test_the_image_is_untouched_and_nothing_stays_hooked(family: str) -> None:
    pipeline = build(family)
    untraced = generate(pipeline, family)
    before = hooked(pipeline)  # transformers has hooks of its own
    with trace(pipeline) as tracer:
        assert len(hooked(pipeline)) > len(before) + len(tracer.layers)
        traced = generate(pipeline, family)
    assert torch.equal(traced, untraced)
    assert hooked(pipeline) == before
    assert torch.equal(generate(pipeline, family), untraced)
    maps = tracer.heat_maps()
    assert [one.prompt for one in maps] == PROMPTS
    assert [word.text for word in maps[0].words()] == PROMPTS[0].split()


@contextmanager
def eager(pipeline: Any) -> Iterator[dict[str, list[torch.Tensor]]]:
    """Compute the traced layers' attention in plain float64, and keep every softmax by layer and call."""
    fused_attention = functional.scaled_dot_product_attention
    kept: dict[str, list[torch.Tensor]] = {}
    running: list[str] = []

    def plain(query: Any, key: Any, value: Any, attn_mask: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not running:
            return fused_attention(query, key, value, attn_mask, *args, **kwargs)
        scale = kwargs.get("scale")
        scores = torch.einsum("bhqd,bhkd->bhqk", query.double(), key.double())
        scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask.double()
        powers = torch.exp(scores - scores.amax(-1, keepdim=True))
        probabilities = powers / powers.sum(-1, keepdim=True)
        kept.setdefault(running[-1], []).append(probabilities)
        return (probabilities @ value.double()).to(query.dtype)

    handles = []
    for layer in architecture_of(pipeline).layers(pipeline.transformer):
        handles += [
            layer.module.register_forward_pre_hook(
                lambda module, args, name=layer.name: running.append(name)
            ),
            layer.module.register_forward_hook(lambda module, args, result: running.pop() and None),
        ]
    functional.scaled_dot_product_attention = plain
    try:
        yield kept
    finally:
        functional.scaled_dot_product_attention = fused_attention
        for handle in handles:
            handle.remove()


def length(part: slice) -> int:
    return part.stop - part.start


@families
def test_maps_are_those_of_an_eager_reference(family: str) -> None:
    pipeline = build(family)
    with trace(pipeline) as tracer:
        generate(pipeline, family)
    (generation,) = tracer._generations
    layout = generation._layout
    with eager(pipeline) as kept:
        generate(pipeline, family)
    for name, calls in kept.items():
        conditional = calls[:: len(calls) // 2]  # separate unconditional calls come after the prompt's
        for row, index in enumerate(layout.rows):
            own = torch.tensor([place for place in generation.kept if place < length(layout.text[row])])
            text = own + layout.text[row].start
            expected = sum(call[index][:, layout.image[row]][..., text].sum(dim=0) for call in conditional)
            found = tracer.layer_maps()[row][name].reshape(len(generation.kept), -1).T
            assert np.abs(found[:, : len(own)] - expected.numpy()).max() <= 1e-5 * float(expected.max())
            assert not found[:, len(own) :].any()  # a shorter prompt has nothing past its end


def queries_and_keys(
    pipeline: Any, family: str, module: Any, change: Callable[[dict[str, Any]], None]
) -> Any:
    """Return what a module's first attention is handed when the denoiser's arguments are changed."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Keep:
        complete, wants_normaliser = False, False

        def add_attention(self, call: Any) -> None:
            seen.append((call.query.clone(), call.key.clone()))

        def add_probabilities(self, probabilities: Any) -> None:
            raise AssertionError

    def before(denoiser: Any, args: Any, kwargs: Any) -> Any:
        names = list(inspect.signature(type(denoiser).forward).parameters)[1:]
        arguments = dict(zip(names, args, strict=False)) | kwargs
        change(arguments)
        return (), arguments

    original = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with AttentionReader([Keep()]):
            return original(*args, **kwargs)

    handle = pipeline.transformer.register_forward_pre_hook(before, with_kwargs=True)
    module.forward = forward
    try:
        generate(pipeline, family)
    finally:
        handle.remove()
        del module.forward
    return seen[0]


def moved(first: torch.Tensor, second: torch.Tensor, row: int) -> list[int]:
    return [i for i in range(first.shape[2]) if not torch.equal(first[row, :, i], second[row, :, i])]


def still(pipeline: Any, family: str) -> None:
    """Switch off what mixes positions before the first traced layer."""
    for name, module in pipeline.transformer.named_modules():
        refines = name.split(".")[0] in ("context_refiner", "noise_refiner") and name.count(".") == 1
        if family in ("lumina2", "zimage") and refines:
            module.forward = lambda states, *args, **kwargs: states
        if family == "sana" and name.endswith("attn1"):
            module.forward = lambda states, *args, **kwargs: torch.zeros_like(states)


def nudged(value: Any, row: int, place: Any) -> Any:
    """Return text or latents with 1 added at a place of one row."""
    value = [part.clone() for part in value] if isinstance(value, list) else value.clone()
    value[row][place] += 1
    return value


@families
def test_one_text_embedding_moves_exactly_one_key(family: str) -> None:
    pipeline = build(family)
    with trace(pipeline) as tracer:
        generate(pipeline, family)
    layout, architecture = tracer._generations[0]._layout, architecture_of(pipeline)
    still(pipeline, family)
    module = architecture.layers(pipeline.transformer)[0].module
    row, name = layout.rows[0], architecture.text[0]

    def change(arguments: dict[str, Any]) -> None:
        arguments[name] = nudged(arguments[name], row, 3)

    _, before = queries_and_keys(pipeline, family, module, lambda arguments: None)
    _, after = queries_and_keys(pipeline, family, module, change)
    assert moved(before, after, row) == [layout.text[0].start + 3]


PATCH = {"sana": (1, 1), "wan": (1, 2, 2), "cogvideox": (1, 2, 2)}
PACKED = ("flux", "chroma", "qwen", "flux2", "ltx")


@families
def test_one_latent_moves_exactly_one_query(family: str) -> None:
    pipeline = build(family)
    with trace(pipeline) as tracer:
        generate(pipeline, family)
    layout, architecture = tracer._generations[0]._layout, architecture_of(pipeline)
    still(pipeline, family)
    first = architecture.layers(pipeline.transformer)[0]
    if architecture.self_layers is not None and (own := architecture.self_layers(pipeline.transformer)):
        first = own[0]
    row, grid = layout.rows[0], layout.grid
    *frames, height, width = grid
    place = (*[0 for _ in frames], max(0, height - 2), width - 1)
    index = int(np.ravel_multi_index(place, grid))
    pixel = tuple(step * patch for step, patch in zip(place, PATCH.get(family, (2, 2)), strict=False))

    def change(arguments: dict[str, Any]) -> None:
        if family in PACKED:
            at: Any = index
        elif family == "cogvideox":
            at = (pixel[0], slice(None), *pixel[1:])
        elif family == "zimage":
            at = (slice(None), 0, *pixel)
        else:
            at = (slice(None), *pixel)
        arguments[architecture.sample] = nudged(arguments[architecture.sample], row, at)

    before, _ = queries_and_keys(pipeline, family, first.module, lambda arguments: None)
    after, _ = queries_and_keys(pipeline, family, first.module, change)
    assert moved(before, after, row) == [layout.image[0].start + index]


def test_llamas_embeddings_move_the_keys_of_their_two_texts() -> None:
    pipeline = build("hidream")
    with trace(pipeline) as tracer:
        generate(pipeline, "hidream")
    layout = tracer._generations[0]._layout
    module = architecture_of(pipeline).layers(pipeline.transformer)[0].module
    row, start = layout.rows[0], layout.text[0].start
    of_block, _, _, last = pipeline.transformer.config.llama_layers
    for chosen, place in ((last, start + 128 + 3), (of_block, start + 256 + 3)):

        def change(arguments: dict[str, Any], chosen: int = chosen) -> None:
            llama = arguments["encoder_hidden_states_llama3"].clone()
            llama[chosen, row, 3] += 1
            arguments["encoder_hidden_states_llama3"] = llama

        _, before = queries_and_keys(pipeline, "hidream", module, lambda arguments: None)
        _, after = queries_and_keys(pipeline, "hidream", module, change)
        assert moved(before, after, row) == [place]


def test_a_square_image_of_hidream_is_not_padded() -> None:
    pipeline = build("hidream")
    with trace(pipeline) as tracer:
        generate(pipeline, "hidream", width=64)
    layout = tracer._generations[0]._layout
    assert layout.grid == (8, 8)
    assert layout.text[0].start == 64
    assert tracer.heat_maps()[0]["pizza"].values.max() > 0


@families
def test_words_lie_where_the_text_encoder_was_fed_them(family: str) -> None:
    pipeline = build(family)
    with trace(pipeline) as tracer:
        generate(pipeline, family)
    (generation,) = tracer._generations
    assert generation.streams is not None
    for prompt, streams in zip(PROMPTS, generation.streams, strict=True):
        for stream in streams:
            assert [word.text for word in stream.prompt.words()] == prompt.split()
            positions = [place for word in stream.prompt.words() for place in word.positions]
            assert positions == sorted(set(positions))
            assert set(positions) <= set(stream.kept)


@pytest.mark.parametrize("family", IMAGES)
def test_several_images_a_prompt_and_a_negative_prompt_with_the_same_word(family: str) -> None:
    pipeline = build(family)
    settings: dict[str, Any] = {"num_images_per_prompt": 2}
    if "negative_prompt" in inspect.signature(pipeline.__call__).parameters:
        settings["negative_prompt"] = ["a cat", "a cat"]
    with trace(pipeline) as tracer:
        generate(pipeline, family, **settings)
    maps = tracer.heat_maps()
    assert [one.prompt for one in maps] == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2
    assert maps[0]["cat"].values.max() > 0
    assert not np.array_equal(maps[0]["cat"], maps[1]["cat"])
    with pytest.raises(InputError, match="isn't a word"):
        maps[2]["pizza"]


def test_a_word_is_the_mean_over_its_streams_and_streams_can_be_chosen() -> None:
    pipeline = build("sd3")
    found = {}
    for streams in (None, "clip", "t5"):
        with trace(pipeline, streams=streams) as tracer:
            generate(pipeline, "sd3")
        found[streams] = tracer.heat_maps()[0]["pizza"].values
    np.testing.assert_allclose(found[None], (found["clip"] + found["t5"]) / 2, rtol=1e-5)
    assert not np.allclose(found["clip"], found["t5"])
    with trace(pipeline, streams="bert") as tracer:
        generate(pipeline, "sd3")
    with pytest.raises(InputError, match="no stream 'bert'; the prompt is in clip, t5"):
        tracer.heat_maps()


@families
def test_a_prompt_cut_by_the_limit(family: str) -> None:
    """Limits are the call's own where it takes one; else the pipeline's."""
    pipeline = build(family)
    settings = {"num_inference_steps": 1}
    if "max_sequence_length" in inspect.signature(pipeline.__call__).parameters and family != "lumina2":
        settings["max_sequence_length"] = 16
    prompt = "pizza " + "cat " * 400 + "grass"
    with trace(pipeline) as tracer:
        generate(pipeline, family, prompt, **one_prompt(family), **settings)
    maps = tracer.heat_maps()[0]
    assert "grass" not in [word.text for word in maps.words()]
    assert 0 < len(maps.words()) < 401
    assert maps["pizza" if family != "sana" else "cat"].values.max() > 0 if family not in VIDEO else True
    with pytest.raises(InputError, match="'grass' was cut off"):
        maps["grass"]


def test_a_prompt_that_is_cut_off_whole() -> None:
    """Lumina 2 puts more than 16 tokens before the prompt."""
    pipeline = build("lumina2")
    with trace(pipeline) as tracer:
        generate(pipeline, "lumina2", "a cat", max_sequence_length=16)
    maps = tracer.heat_maps()[0]
    assert maps.words() == ()
    with pytest.raises(InputError, match="'cat' was cut off"):
        maps["cat"]


def test_layers_are_chosen_by_place_by_name_and_by_block() -> None:
    pipeline = build("flux")
    single = trace(pipeline, layers="single").layers
    assert single == ("single_transformer_blocks.0.attn", "single_transformer_blocks.1.attn")
    assert trace(pipeline, blocks="single").layers == single
    assert trace(pipeline, layers=range(2, 4)).layers == single
    assert trace(pipeline, layers=[2, slice(3, 4)]).layers == single
    assert trace(pipeline, layers=single[0]).layers == single[:1]
    with pytest.raises(InputError, match="places 0 to 3, not 4"):
        trace(pipeline, layers=4)
    with pytest.raises(InputError, match=r'no block .down.*"double" and "single"'):
        trace(pipeline, blocks="down")


def test_steps_and_layers_add_up() -> None:
    pipeline = build("sd3")

    def values(**selection: Any) -> Any:
        with trace(pipeline, **selection) as tracer:
            generate(pipeline, "sd3")
        return tracer.heat_maps()[0]["cat"].values

    whole = values()
    np.testing.assert_allclose(sum(values(steps=[step]) for step in range(2)), whole, rtol=1e-4)
    np.testing.assert_allclose(sum(values(layers=layer) for layer in range(3)), whole, rtol=1e-4)


@pytest.mark.parametrize("family", JOINT)
def test_over_the_text_alone_a_place_spends_one_unit_a_head_layer_and_step(family: str) -> None:
    pipeline = build(family)
    embeddings_only = trace(pipeline, normalize_over="text")
    with embeddings_only as tracer:
        generate(pipeline, family)
    (generation,) = tracer._generations
    kept = len(generation.kept)
    with trace(pipeline) as plain:
        generate(pipeline, family)
    layers = architecture_of(pipeline).layers(pipeline.transformer)
    heads = {layer.name: layer.heads for layer in layers}
    for name, maps in tracer.layer_maps()[0].items():
        total = maps.sum(axis=0)
        assert total.max() <= 2 * heads[name] * (1 + 1e-4)
        assert np.all(maps >= plain.layer_maps()[0][name] * (1 - 1e-4))
        assert maps.shape[0] == kept


@pytest.mark.parametrize("family", JOINT)
def test_the_kernels_own_normaliser_gives_the_same_maps(family: str, monkeypatch: Any) -> None:
    pipeline = build(family)
    with trace(pipeline) as quick:
        generate(pipeline, family)
    assert any(fused._usable.values())
    monkeypatch.setattr(
        "daam_bench.attribution.fused.attention_with_normaliser", lambda *a, **k: (None, None)
    )
    with trace(pipeline) as slow:
        generate(pipeline, family)
    for name, maps in slow.layer_maps()[0].items():
        np.testing.assert_allclose(quick.layer_maps()[0][name], maps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", [family for family in CALLS if family != "sana"])
def test_self_attention_is_a_mean_over_heads_layers_and_steps(family: str) -> None:
    pipeline = build(family)
    resolutions = [1] if family in ("flux2", "ltx", "cogvideox") else None  # asked for: more than 32x32
    with trace(pipeline, attention=("cross", "self"), resolutions=resolutions) as tracer:
        generate(pipeline, family)
    (generation,) = tracer._generations
    ((size, attention),) = tracer.self_attention()[0].items()
    assert size == generation._grid
    assert attention.shape == (math.prod(size),) * 2
    share = attention.sum(axis=1)
    if family in JOINT:
        assert 0 < share.min() < share.max() < 1
        with eager(pipeline) as kept:
            generate(pipeline, family)
        layout = generation._layout
        index, image = layout.rows[0], layout.image[0]
        conditional = [call for calls in kept.values() for call in calls[:: len(calls) // 2]]
        means = [call[index][:, image][..., image].mean(dim=0) for call in conditional]
        expected = (sum(means) / len(means)).numpy()
        assert np.abs(attention - expected).max() <= 1e-5 * expected.max()
    else:
        np.testing.assert_allclose(share, 1, rtol=1e-4)
    with trace(pipeline) as without:
        generate(pipeline, family)
    with pytest.raises(InputError, match=r"attention=\('cross', 'self'\)"):
        without.self_attention()
    np.testing.assert_array_equal(tracer.heat_maps()[0]._values, without.heat_maps()[0]._values)


def test_linear_self_attention_is_refused() -> None:
    with pytest.raises(InputError, match="SanaTransformer2DModel has no self-attention with a softmax"):
        trace(build("sana"), attention=("cross", "self"))


@pytest.mark.parametrize("family", VIDEO)
def test_a_video_has_maps_by_frame(family: str) -> None:
    pipeline = build(family)
    with trace(pipeline) as tracer:
        generate(pipeline, family)
    maps = tracer.heat_maps()[0]
    frames, height, width = tracer._generations[0]._grid
    assert maps.frames == frames
    by_frame = [maps.frame(index)["pizza"].values for index in range(frames)]
    assert all(values.shape == (height, width) for values in by_frame)
    assert not np.array_equal(by_frame[0], by_frame[-1])
    with pytest.raises(InputError, match=r"a video has maps by frame: maps\.frame\(0\)"):
        maps["pizza"]
    with pytest.raises(InputError, match=f"frames 0 to {frames - 1}, not {frames}"):
        maps.frame(frames)


class TestRefusals:
    def test_a_denoiser_of_no_known_family_names_those_that_are(self) -> None:
        class Mystery(torch.nn.Module):
            def forward(self, hidden_states: Any) -> Any:
                return hidden_states

        pipeline = build("sd3")
        pipeline.transformer = Mystery()
        with pytest.raises(InputError, match=r"Mystery is of no family.*FLUX\.1"):
            trace(pipeline)

    def test_a_diffusers_that_is_too_old_for_a_family(self, monkeypatch: Any) -> None:
        pipeline = build("flux")
        monkeypatch.setattr("daam_bench.attribution.architectures.version", lambda name: "0.34.0")
        with pytest.raises(InputError, match=r"with diffusers 0\.34\.0: FLUX\.1 .* needs 0\.35 or newer"):
            trace(pipeline)

    def test_the_least_version_is_said(self) -> None:
        pipeline = build("sd3")
        pipeline.transformer = torch.nn.Linear(2, 2)
        with pytest.raises(InputError, match=r"from diffusers 0\.35: .*FLUX\.2 \(from 0\.36\)"):
            trace(pipeline)

    def test_a_compiled_block(self) -> None:
        pipeline = build("flux")
        pipeline.transformer.transformer_blocks[0].compile()
        with pytest.raises(InputError, match="compiled transformer"):
            trace(pipeline)

    def test_an_attention_backend_out_of_sight(self, monkeypatch: Any) -> None:
        pipeline = build("flux")
        module = pipeline.transformer.transformer_blocks[0].attn

        class Unseen:
            def __call__(self, attn: Any, hidden_states: Any, text: Any, *rest: Any, **more: Any) -> Any:
                return hidden_states, text

        module.processor = Unseen()
        with pytest.raises(InputError, match=r'set_attention_backend\("native"\)'), trace(pipeline):
            generate(pipeline, "flux")

    def test_context_parallelism(self) -> None:
        pipeline = build("flux")
        pipeline.transformer._parallel_config = object()
        with pytest.raises(InputError, match="context parallelism can't be traced"):
            trace(pipeline)

    def test_a_wrapper_that_is_no_module(self) -> None:
        class Wrapper:
            pass

        pipeline = build("sd3")
        object.__setattr__(pipeline, "transformer", Wrapper())
        with pytest.raises(InputError, match="no torch module"):
            trace(pipeline)

    def test_embeddings_without_a_prompt_have_tokens_and_no_words(self) -> None:
        pipeline = build("sd3")
        with torch.no_grad():
            prompt, negative, pooled, other = pipeline.encode_prompt(PROMPTS[0], None, None)
        with trace(pipeline) as tracer:
            pipeline(
                prompt_embeds=prompt,
                negative_prompt_embeds=negative,
                pooled_prompt_embeds=pooled,
                negative_pooled_prompt_embeds=other,
                num_inference_steps=1,
                height=64,
                width=32,
                output_type="latent",
            )
        maps = tracer.heat_maps()[0]
        assert maps.token(3).values.max() > 0
        with pytest.raises(InputError, match="without a prompt"):
            maps["cat"]


def test_every_family_has_a_tiny_pipeline() -> None:
    tested = {type(build(family).transformer).__name__ for family in CALLS}
    assert set(architectures()) - tested == {"UNet2DConditionModel"}
