"""Attribution prompts other than the generating one, and the outputs of joint attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from daam_bench import trace
from daam_bench.attribution.architectures import architecture_of
from daam_bench.attribution.extra_sinks import ImageQueries
from daam_bench.attribution.given_images import trace_images
from daam_bench.types.errors import InputError
from tests.attribution.test_architectures import (
    CALLS,
    IMAGES,
    JOINT,
    PROMPTS,
    build,
    generate,
    hooked,
    queries_and_keys,
)
from tests.attribution.test_public_cases import PROMPT, SIZE, recorded, seeded
from tests.tiny_pipelines import tiny_sd, tiny_sdxl

OTHER = "two dog on the grass"
ALONE = ("lumina2", "zimage", "cogvideox", "hidream")
RIDING = [family for family in JOINT if family not in ALONE]
CROSS = [family for family in CALLS if family not in JOINT]


@pytest.mark.parametrize("family", [*CROSS, *RIDING])
def test_another_text_changes_neither_image_nor_maps(family: str) -> None:
    pipeline = build(family)
    untraced, before = generate(pipeline, family), hooked(pipeline)
    with trace(pipeline) as plain:
        generate(pipeline, family)
    with trace(pipeline, attribution_prompts=OTHER) as tracer, trace(pipeline) as beside:
        traced = generate(pipeline, family)
    assert torch.equal(traced, untraced)
    assert hooked(pipeline) == before
    for other in (tracer, beside):
        assert np.array_equal(plain.heat_maps()[0]._values, other.heat_maps()[0]._values)
    maps = tracer.attribution_maps()
    assert [one.prompt for one in maps] == [OTHER, OTHER]
    assert [word.text for word in maps[0].words()] == OTHER.split()
    assert not np.array_equal(maps[0]._values, maps[1]._values)
    assert maps[0]._values.min() == 0
    assert maps[0]._values.max() > 0


@pytest.mark.parametrize("family", CROSS)
def test_the_prompt_itself_as_attribution_text_has_its_own_maps(family: str) -> None:
    """Cross-attention: keys depend on the text alone, so the softmax over them is the model's own."""
    pipeline = build(family)
    with trace(pipeline, attribution_prompts=PROMPTS, attribution_scores="softmax") as tracer:
        generate(pipeline, family)
    (generation,) = tracer._generations
    extra = generation.extra
    assert extra is not None
    places = [generation.kept.index(position) for position in extra.kept]
    for name, sums in extra.sums.items():
        for row in range(len(sums)):
            expected = tracer.layer_maps()[row][name].reshape(len(generation.kept), -1)[places]
            np.testing.assert_allclose(sums[row, 0].T, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [tiny_sd, tiny_sdxl])
@pytest.mark.parametrize("scores", ["raw", "softmax"])
def test_scores_of_a_unet_by_hand(make: Any, scores: str) -> None:
    """OVAM: every layer's to_k on the other text, every step's queries."""
    pipeline = make()
    pipeline.set_progress_bar_config(disable=True)

    def call() -> None:
        pipeline(PROMPT, generator=seeded(), **SIZE)

    text = pipeline.encode_prompt(
        OTHER, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
    )[0]
    queries: dict[str, list[torch.Tensor]] = {}
    handles = [
        module.to_q.register_forward_hook(
            lambda _, args, out, name=name: queries.setdefault(name, []).append(out[1].double())
        )
        for name, module in pipeline.unet.named_modules()
        if name.endswith("attn2") and not name.startswith("mid")
    ]
    recorded(pipeline, call)
    for handle in handles:
        handle.remove()
    with trace(pipeline, attribution_prompts=OTHER, attribution_scores=scores) as tracer:
        call()
    extra = tracer._generations[0].extra
    assert extra is not None
    assert set(extra.sums) == set(queries)
    assert extra.kept == (1, 2, 3, 4, 5)
    for name, by_step in queries.items():
        layer = pipeline.unet.get_submodule(name)
        key = layer.to_k(text)[0].double().unflatten(-1, (layer.heads, -1)).transpose(0, 1)
        expected = torch.zeros(1)
        for query in by_step:
            values = (
                query.unflatten(-1, (layer.heads, -1)).transpose(0, 1) @ key.transpose(-1, -2) * layer.scale
            )
            values = values.softmax(dim=-1) if scores == "softmax" else values
            expected = expected + values.sum(dim=0)[:, 1:6]
        torch.testing.assert_close(
            extra.sums[name][0, 0].double(), expected.detach().double(), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("family", CROSS)
def test_queries_that_are_handed_on_give_the_scores_of_any_text(family: str) -> None:
    pipeline = build(family)
    untraced = generate(pipeline, family)
    sums: dict[str, torch.Tensor] = {}

    def add(given: ImageQueries) -> None:
        sums[given.layer] = sums.get(given.layer, torch.zeros(1)) + given.queries

    with trace(pipeline, attribution_prompts=OTHER, queries=add) as tracer:
        traced = generate(pipeline, family)
    assert torch.equal(traced, untraced)
    extra = tracer._generations[0].extra
    assert extra is not None
    assert set(sums) == set(tracer.layers) == set(extra.sums)
    for name, queries in sums.items():
        key = extra.keys[name][0][:, :, list(extra.kept)]
        expected = torch.einsum("rhpc,rhkc->rpk", queries.double(), key.double())
        torch.testing.assert_close(extra.sums[name][:, 0].double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", RIDING)
def test_scores_of_the_first_double_block_by_a_call_with_the_other_text_alone(family: str) -> None:
    """The other text's first keys, and the image's first queries, are those of a call without the prompt."""
    pipeline = build(family)
    with trace(pipeline, attribution_prompts=OTHER, steps=[0]) as tracer:
        generate(pipeline, family)
    (generation,) = tracer._generations
    extra, architecture = generation.extra, architecture_of(pipeline)
    assert extra is not None
    assert extra.layout is not None
    layer = architecture.layers(pipeline.transformer)[0]
    kept = list(extra.kept)
    name = architecture.text[0]

    def change(arguments: dict[str, Any]) -> None:
        length = arguments[name].shape[1]
        rows = [other[kept] for other in extra.encodings[0].embeddings]
        arguments[name] = torch.stack([*rows] * (len(arguments[name]) // len(rows)))
        for key, value in arguments.items():
            if key == "txt_ids":
                arguments[key] = value[..., kept, :]
            if "mask" in key and isinstance(value, torch.Tensor):
                arguments[key] = value.new_ones((len(value), value.shape[1] - length + len(kept)))

    query, key = queries_and_keys(pipeline, family, layer.module, change)
    for row, index in enumerate(extra.layout.rows):
        image = query[index][:, extra.layout.image[row]].double()  # type: ignore[index]
        text = key[index][:, extra.layout.text[row]].double()
        expected = (image @ text.transpose(-1, -2)).sum(dim=0) * query.shape[-1] ** -0.5
        found = extra.sums[layer.name][row, 0].double()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("family", RIDING)
def test_a_word_of_the_other_text_moves_later_blocks_too(family: str) -> None:
    pipeline = build(family)

    def sums(text: str) -> dict[str, torch.Tensor]:
        with trace(pipeline, attribution_prompts=text) as tracer:
            generate(pipeline, family)
        assert tracer._generations[0].extra is not None
        return tracer._generations[0].extra.sums

    one, other = sums(OTHER), sums("two dog on the ball")
    doubles = [
        layer.name
        for layer in architecture_of(pipeline).layers(pipeline.transformer)
        if layer.block == "double"
    ]
    assert set(one) == set(doubles)
    assert all(not torch.equal(one[name], other[name]) for name in doubles)


@pytest.mark.parametrize("family", JOINT)
def test_outputs_of_joint_attention_are_what_attention_returned(family: str) -> None:
    pipeline, seen = build(family), []
    with trace(pipeline, outputs=seen.append) as tracer:
        generate(pipeline, family)
    layout, layers = tracer._generations[0]._layout, architecture_of(pipeline).layers(pipeline.transformer)
    assert [(one.layer, one.step) for one in seen] == [
        (name, step) for step in (0, 1) for name in tracer.layers
    ]
    first, module, projected = seen[0], layers[0].module, []
    name = "to_out.0" if family != "hidream" else "to_out"
    linear = module.get_submodule(name)
    linear.register_forward_hook(lambda _, args, out: projected.append(args[0]))
    generate(pipeline, family)
    assert layout is not None
    assert layout.image is not None
    whole, offset = projected[0], 0
    if whole.shape[1] < layout.image[0].stop:  # the image's part alone
        offset = layout.image[0].start
    for row, index in enumerate(layout.rows):
        image = layout.image[row]
        own = whole[index, image.start - offset : image.stop - offset]
        torch.testing.assert_close(first.image[row], own)
        assert first.text.shape[1:] == (max(t.stop - t.start for t in layout.text), own.shape[-1])


def test_outputs_of_the_riding_text_attend_to_it_and_the_image_alone() -> None:
    pipeline, seen = build("sd3"), []
    with trace(pipeline, attribution_prompts=OTHER, outputs=seen.append) as tracer:
        generate(pipeline, "sd3")
    assert len(seen) == 2 * len(tracer.layers)
    assert all(one.attribution.shape == (2, 10, 32) for one in seen)
    for one in seen:
        assert one.to_image.shape == (2, 10, one.image.shape[1])
        shares = one.to_image.sum(dim=-1)
        assert 0 < shares.min() <= shares.max() < 1  # the rest goes to the text itself
    first = {(one.layer, one.step): one for one in seen}
    with trace(pipeline, attribution_prompts="a cat", outputs=seen.append):
        generate(pipeline, "sd3")
    for one in seen[len(first) :]:
        same = first[one.layer, one.step]
        assert torch.equal(one.image, same.image)
        assert torch.equal(one.text, same.text)
        assert one.attribution.shape != same.attribution.shape


@pytest.mark.parametrize("family", RIDING)
@pytest.mark.parametrize("scores", ["raw", "softmax"])
def test_a_text_of_a_batch_rides_as_if_the_others_were_like_it(family: str, scores: str) -> None:
    """A longer text beside it moves neither its maps nor its outputs, though the two share positions."""
    pipeline, short = build(family), "a cat"
    found = []
    for beside in (OTHER, short):
        seen: list[Any] = []
        with trace(
            pipeline,
            attribution_prompts=[beside, short],
            attribution_scores=scores,
            outputs=seen.append,
        ) as tracer:
            generate(pipeline, family)
        kept = tracer._generations[0].extra.kept
        found.append((tracer.attribution_maps()[1], seen, kept))
    (maps, seen, kept), (alone, seen_alone, own) = found
    assert len(kept) > len(own)
    for word in short.split():
        np.testing.assert_allclose(maps[word], alone[word], rtol=1e-3, atol=1e-4 * alone[word].values.max())
    places = [kept.index(position) for position in own]
    for one, other in zip(seen, seen_alone, strict=True):
        if one.attribution is not None:
            outputs, to_image = one.attribution[1, places], one.to_image[1, places]
            torch.testing.assert_close(outputs, other.attribution[1], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(to_image, other.to_image[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", [name for name in IMAGES if name not in ALONE])
def test_other_texts_on_given_images(family: str) -> None:
    from tests.attribution.test_given_images import photos

    size = (CALLS[family]["width"] // 16 * 16, CALLS[family]["height"] // 16 * 16)
    settings: dict[str, Any] = {"timesteps": (300,), "attribution_prompts": [OTHER, "a dog"]}
    maps = trace_images(build(family), PROMPTS, photos(size=size), **settings)
    assert [one.prompt for one in maps] == PROMPTS


class TestRefusals:
    @pytest.mark.parametrize("family", [family for family in ALONE if family in CALLS])
    def test_blocks_without_a_stream_of_text(self, family: str) -> None:
        with pytest.raises(InputError, match="no other text can ride along"):
            trace(build(family), attribution_prompts=OTHER)

    def test_single_blocks_alone(self) -> None:
        with pytest.raises(InputError, match="double blocks, and none is traced"):
            trace(build("flux"), attribution_prompts=OTHER, blocks="single")

    def test_outputs_of_cross_attention(self) -> None:
        with pytest.raises(InputError, match="outputs are those of joint attention"):
            trace(tiny_sd(), outputs=print)

    def test_other_many_texts_than_prompts(self) -> None:
        with (
            pytest.raises(InputError, match="3 attribution prompts for 1 prompts"),
            trace(pipeline := tiny_sd(), attribution_prompts=["a", "b", "c"]),
        ):
            pipeline(PROMPT, **SIZE)

    def test_embeddings_without_a_prompt(self) -> None:
        with (
            pytest.raises(InputError, match="given prompts, not prompt_embeds"),
            trace(pipeline := tiny_sd(), attribution_prompts=OTHER),
        ):
            pipeline(prompt_embeds=torch.zeros(1, 16, 16), guidance_scale=1.0, **SIZE)

    def test_an_unknown_kind_of_scores_and_an_empty_list(self) -> None:
        with pytest.raises(InputError, match='"raw" or "softmax"'):
            trace(tiny_sd(), attribution_prompts=OTHER, attribution_scores="cosine")
        with pytest.raises(InputError, match="attribution_prompts is empty"):
            trace(tiny_sd(), attribution_prompts=[])

    def test_maps_without_any(self) -> None:
        pipeline = tiny_sd()
        with trace(pipeline) as tracer:
            pipeline(PROMPT, **SIZE)
        with pytest.raises(InputError, match="trace with attribution_prompts"):
            tracer.attribution_maps()
