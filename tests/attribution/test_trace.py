"""Selections, words, and what can't be traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, HeunDiscreteScheduler, PNDMScheduler
from diffusers.models.attention_processor import AttnProcessor

from daam_bench import trace
from daam_bench.attribution.selection import layer_size, make_selection
from daam_bench.types.errors import InputError
from tests.attribution.plain_daam import plain_maps, record
from tests.tiny_pipelines import MAX_LENGTH, tiny_sd, tiny_sdxl

PROMPT = "a cat and a dog sitting on the grass"
FINE = "up_blocks.2.attentions.0.transformer_blocks.0.attn2"
COARSE = "up_blocks.1.attentions.1.transformer_blocks.0.attn2"


@pytest.fixture
def pipeline() -> Any:
    return tiny_sd()


def draw(pipeline: Any, prompt: Any = PROMPT, **settings: Any) -> Any:
    settings = {"num_inference_steps": 2, "output_type": "np"} | settings
    return pipeline(prompt, generator=torch.Generator().manual_seed(0), **settings).images


def traced(
    pipeline: Any, prompt: Any = PROMPT, selection: dict[str, Any] | None = None, **settings: Any
) -> Any:
    with trace(pipeline, **(selection or {})) as tracer:
        draw(pipeline, prompt, **settings)
    return tracer


def all_tokens(tracer: Any) -> Any:
    maps = tracer.heat_maps()[0]
    return np.stack([maps.token(position) for position in range(11)])


class TestDefinition:
    @pytest.mark.parametrize("scheduler", [DDIMScheduler, PNDMScheduler, HeunDiscreteScheduler])
    def test_a_place_spends_one_unit_a_step_head_and_layer_on_all_tokens(
        self, pipeline: Any, scheduler: Any
    ) -> None:
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
        embeddings = torch.randn(1, MAX_LENGTH, 16)
        tracer = traced(pipeline, None, prompt_embeds=embeddings, num_inference_steps=5, guidance_scale=1.0)
        for name, maps in tracer.layer_maps()[0].items():
            heads = pipeline.unet.get_submodule(name).heads
            np.testing.assert_allclose(maps.sum(axis=0), 5 * heads, rtol=1e-4)

    def test_blocks_add_up(self, pipeline: Any) -> None:
        whole = all_tokens(traced(pipeline, selection={"blocks": ("down", "mid", "up")}))
        parts = [all_tokens(traced(pipeline, selection={"blocks": block})) for block in ("down", "mid", "up")]
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-4, atol=1e-5)

    def test_the_middle_block_is_left_out_unless_named(self, pipeline: Any) -> None:
        assert not any("mid_block" in name for name in trace(pipeline).layers)
        assert any("mid_block" in name for name in trace(pipeline, blocks=("mid",)).layers)

    def test_layers_add_up(self, pipeline: Any) -> None:
        parts = [
            all_tokens(traced(pipeline, selection={"layers": [name]})) for name in trace(pipeline).layers
        ]
        np.testing.assert_allclose(sum(parts), all_tokens(traced(pipeline)), rtol=1e-4, atol=1e-5)

    def test_steps_add_up(self, pipeline: Any) -> None:
        parts = [traced(pipeline, selection={"steps": steps}) for steps in ([0], range(1, 3))]
        sums = [tracer.layer_maps()[0][COARSE] for tracer in parts]
        pipeline = tiny_sd()
        whole = traced(pipeline)
        np.testing.assert_allclose(sums[0] + sums[1], whole.layer_maps()[0][COARSE], rtol=1e-4)

    def test_heads_add_up(self, pipeline: Any) -> None:
        layers = [FINE, COARSE]
        parts = [
            all_tokens(traced(pipeline, selection={"layers": layers, "heads": (head,)})) for head in (0, 1)
        ]
        whole = all_tokens(traced(pipeline, selection={"layers": layers}))
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-4, atol=1e-5)
        assert not np.allclose(*parts)

    def test_resolutions_add_up(self, pipeline: Any) -> None:
        fine, coarse = (traced(pipeline, selection={"resolutions": {factor}}) for factor in (1, 2))
        assert FINE in fine.layer_maps()[0]
        assert next(iter(coarse.layer_maps()[0].values())).shape[1:] == (4, 4)
        np.testing.assert_allclose(
            all_tokens(fine) + all_tokens(coarse), all_tokens(traced(pipeline)), rtol=1e-4, atol=1e-5
        )

    def test_steps_count_every_call_of_a_second_order_scheduler(self, pipeline: Any) -> None:
        pipeline.scheduler = HeunDiscreteScheduler.from_config(pipeline.scheduler.config)
        tracer = traced(pipeline, selection={"steps": [4]}, num_inference_steps=3)
        assert tracer.layer_maps()
        with pytest.raises(InputError, match="5 denoiser calls"):
            traced(pipeline, selection={"steps": [5]}, num_inference_steps=3).heat_maps()


class TestSelection:
    @pytest.mark.parametrize(
        ("selection", "message"),
        [
            ({"blocks": ("side",)}, "no block 'side'"),
            ({"blocks": ()}, "blocks is empty"),
            ({"layers": [FINE + "x"]}, f"nearest name is '{FINE}'"),
            ({"layers": []}, "layers is empty"),
            ({"heads": (7,)}, "has heads 0 to 1, not 7"),
            ({"heads": ()}, "heads is empty"),
            ({"steps": (-1,)}, "steps must be whole numbers of at least 0"),
            ({"resolutions": (0,)}, "resolutions must be whole numbers of at least 1"),
            ({"upscale": "lanczos"}, "upscale must be"),
        ],
    )
    def test_what_isnt_there_is_refused_at_once(
        self, pipeline: Any, selection: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            trace(pipeline, **selection)

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("blocks", ("mid", "up")),
            ("layers", ("mid", 0)),
            ("streams", ("clip",)),
            ("heads", (1, 0)),
            ("steps", (0, 1)),
            ("resolutions", (1, 2)),
            ("attention", ("cross", "self")),
            ("attribution_prompts", ("a cat", "a dog")),
        ],
    )
    def test_an_iterator_is_as_good_as_a_list(self, name: str, values: tuple[Any, ...]) -> None:
        once, listed = make_selection(**{name: iter(values)}), make_selection(**{name: list(values)})
        assert getattr(once, name) == getattr(listed, name)
        assert len(getattr(once, name)) == len(values)

    def test_a_resolution_without_layers_is_refused_with_those_there_are(self, pipeline: Any) -> None:
        tracer = traced(pipeline, selection={"resolutions": (16,)})
        with pytest.raises(InputError, match=r"resolutions \[1, 2\]"):
            tracer.heat_maps()

    @pytest.mark.parametrize(
        ("latents", "places", "expected"),
        [
            ((64, 64), 4096, (1, (64, 64))),
            ((64, 64), 64, (8, (8, 8))),
            ((65, 33), 33 * 17, (2, (33, 17))),
            ((7, 90), 2 * 23, (4, (2, 23))),
            ((1, 5), 1, (8, (1, 1))),
        ],
    )
    def test_layer_sizes_are_halvings_rounded_up(
        self, latents: tuple[int, int], places: int, expected: Any
    ) -> None:
        assert layer_size(latents, places) == expected

    @pytest.mark.parametrize("places", [5000, 1000, 0])
    def test_other_sizes_are_refused(self, places: int) -> None:
        with pytest.raises(InputError, match="no halving of latents"):
            layer_size((64, 64), places)


class TestWords:
    def test_a_word_is_the_mean_of_its_tokens(self, pipeline: Any) -> None:
        maps = traced(pipeline).heat_maps()[0]
        expected = (np.asarray(maps.token(6)) + np.asarray(maps.token(7))) / 2
        np.testing.assert_allclose(maps["sitting"], expected, rtol=1e-6)
        assert np.array_equal(maps["cat"], maps.token(2))
        assert np.array_equal(maps.word(2, 5), maps["cat"])
        assert [word.text for word in maps.words()] == PROMPT.split()

    def test_a_word_that_occurs_twice(self, pipeline: Any) -> None:
        maps = traced(pipeline, "a cat and a cat").heat_maps()[0]
        first, second = maps.token(2), maps.token(5)
        assert not np.array_equal(first, second)
        assert np.array_equal(maps["cat"], first)
        assert np.array_equal(maps.find("cat", occurrence=1), second)
        assert np.array_equal(maps.word(12, 15), second)
        assert np.array_equal(maps.word(12, 15, occurrence=0), first)
        assert np.array_equal(maps.word(2, 5, occurrence=1), second)

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("zebra", "isn't a word"),
            ("sit", "only a part of 'sitting'"),
            ("", "empty word"),
            (",", "isn't a word"),
        ],
    )
    def test_what_isnt_a_word_of_the_prompt(self, pipeline: Any, word: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            traced(pipeline).heat_maps()[0][word]

    def test_words_past_the_tokenizers_limit_are_named(self, pipeline: Any) -> None:
        maps = traced(pipeline, "a cat and a dog sitting on the grass and a red teddy bear hat").heat_maps()[
            0
        ]
        assert maps["red"].values.max() > 0
        with pytest.raises(InputError, match="'bear hat' lies past"):
            maps["hat"]
        with pytest.raises(InputError, match="0 to 15, not 16"):
            maps.token(16)

    def test_tokens_reach_to_the_end_token(self, pipeline: Any) -> None:
        maps = traced(pipeline, "a cat").heat_maps()[0]
        assert maps.token(0).shape == maps.token(3).shape == (8, 8)
        for position in (-1, 4):
            with pytest.raises(InputError, match="positions 0 to 3"):
                maps.token(position)

    def test_embeddings_have_tokens_but_no_words(self, pipeline: Any) -> None:
        maps = traced(pipeline, None, prompt_embeds=torch.randn(1, MAX_LENGTH, 16)).heat_maps()[0]
        assert maps.token(MAX_LENGTH - 1).shape == (8, 8)
        for ask in (lambda: maps["cat"], lambda: maps.word(0, 1), maps.words):
            with pytest.raises(InputError, match="without a prompt"):
                ask()

    def test_an_unconditional_prompt_has_no_words(self, pipeline: Any) -> None:
        maps = traced(pipeline, "").heat_maps()[0]
        assert maps.words() == ()
        assert maps.token(1).shape == (8, 8)

    def test_each_image_of_a_batch_has_its_own_prompt(self, pipeline: Any) -> None:
        maps = traced(pipeline, ["a cat", "a dog"], num_images_per_prompt=2).heat_maps()
        assert [one.prompt for one in maps] == ["a cat", "a cat", "a dog", "a dog"]
        assert not np.array_equal(maps[0]["cat"], maps[1]["cat"])
        with pytest.raises(InputError, match="isn't a word"):
            maps[2]["cat"]

    def test_sdxl_with_one_prompt_has_words_and_with_two_only_tokens(self) -> None:
        pipeline = tiny_sdxl()
        assert traced(pipeline, "a cat", prompt_2="a cat").heat_maps()[0]["cat"].values.max() > 0
        maps = traced(pipeline, "a cat", prompt_2="a dog").heat_maps()[0]
        assert maps.token(2).values.max() > 0
        with pytest.raises(InputError, match="prompt and prompt_2 differ"):
            maps["cat"]

    def test_sdxl_without_its_first_text_encoder(self) -> None:
        pipeline = tiny_sdxl()
        pipeline.tokenizer = pipeline.text_encoder = None
        pipeline.unet.register_to_config(cross_attention_dim=16)
        for module in pipeline.unet.modules():
            if getattr(module, "is_cross_attention", False):
                module.to_k, module.to_v = (
                    torch.nn.Linear(16, linear.out_features) for linear in (module.to_k, module.to_v)
                )
        assert traced(pipeline, "a cat").heat_maps()[0]["cat"].values.max() > 0

    def test_a_textual_inversion_of_several_vectors_has_only_tokens(
        self, pipeline: Any, tmp_path: Any
    ) -> None:
        torch.save({"<toy>": torch.randn(2, 16)}, tmp_path / "toy.pt")
        pipeline.load_textual_inversion(tmp_path / "toy.pt", token="<toy>")
        maps = traced(pipeline, "a <toy> cat").heat_maps()[0]
        assert maps.token(4).values.max() > 0
        with pytest.raises(InputError, match="textual inversion"):
            maps["cat"]


class TestAttention:
    def test_slicing_switched_inside_the_block(self, pipeline: Any) -> None:
        expected = all_tokens(traced(pipeline))
        with trace(pipeline) as tracer:
            pipeline.enable_attention_slicing(1)
            draw(pipeline)
            pipeline.disable_attention_slicing()
            draw(pipeline)
        for maps in tracer.heat_maps():
            np.testing.assert_allclose(maps.token(2), expected[2], atol=1e-4)

    def test_explicit_attention(self, pipeline: Any) -> None:
        expected = all_tokens(traced(pipeline))
        pipeline.unet.set_attn_processor(AttnProcessor())
        untraced = draw(pipeline)
        with trace(pipeline) as tracer:
            assert np.array_equal(draw(pipeline), untraced)
        np.testing.assert_allclose(all_tokens(tracer), expected, atol=1e-4)

    def test_fused_projections(self, pipeline: Any) -> None:
        expected = all_tokens(traced(pipeline))
        pipeline.unet.fuse_qkv_projections()
        np.testing.assert_allclose(all_tokens(traced(pipeline)), expected, atol=1e-4)

    @pytest.mark.parametrize("explicit", [False, True], ids=["sdpa", "explicit"])
    def test_encoder_attention_masks_in_a_hand_written_loop(self, pipeline: Any, explicit: bool) -> None:
        mask = torch.ones(2, MAX_LENGTH)
        mask[:, 5:] = 0

        def loop(pipeline: Any) -> torch.Tensor:
            prompt, negative = pipeline.encode_prompt(PROMPT, torch.device("cpu"), 1, True)
            latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
            for timestep in (801, 401, 1):
                noise = pipeline.unet(
                    latents.repeat(2, 1, 1, 1),
                    timestep,
                    encoder_hidden_states=torch.cat([negative, prompt]),
                    encoder_attention_mask=mask,
                ).sample
                latents = latents - 0.1 * noise[1:]
            return latents

        if explicit:
            pipeline.unet.set_attn_processor(AttnProcessor())
        with torch.no_grad():
            untraced = loop(pipeline)
            with trace(pipeline) as tracer:
                assert torch.equal(loop(pipeline), untraced)
                tracer.finish()
            records = record(pipeline.unet)
            loop(pipeline)
        expected = plain_maps(records, 1, (8, 8))[0].numpy()
        np.testing.assert_allclose(all_tokens(tracer), expected[:11], atol=1e-4)
        assert all_tokens(tracer)[4].max() > 0.1
        assert all_tokens(tracer)[5:].max() < 1e-6

    def test_autocast_doesnt_reach_the_sums(self, pipeline: Any) -> None:
        embeddings = torch.randn(1, MAX_LENGTH, 16)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            untraced = draw(pipeline, None, prompt_embeds=embeddings)
            with trace(pipeline, layers=[COARSE]) as tracer:
                assert np.array_equal(draw(pipeline, None, prompt_embeds=embeddings), untraced)
            maps = tracer.heat_maps()[0]
        np.testing.assert_allclose(tracer.layer_maps()[0][COARSE].sum(axis=0), 2 * 2, rtol=1e-5)
        with torch.no_grad():
            np.testing.assert_array_equal(maps.token(1), tracer.heat_maps()[0].token(1))

    def test_inference_mode(self, pipeline: Any) -> None:
        expected = all_tokens(traced(pipeline))
        with torch.inference_mode():
            tracer = traced(pipeline)
        assert np.array_equal(all_tokens(tracer), expected)

    def test_gradients_flow_as_ever(self, pipeline: Any) -> None:
        embeddings = torch.randn(1, MAX_LENGTH, 16, requires_grad=True)
        with trace(pipeline) as tracer:
            pipeline.encode_prompt(None, torch.device("cpu"), 1, False, prompt_embeds=embeddings)
            pipeline.unet(
                torch.randn(1, 4, 8, 8), 1, encoder_hidden_states=embeddings
            ).sample.sum().backward()
            tracer.finish()
        assert embeddings.grad is not None
        assert embeddings.grad.abs().sum() > 0
        assert tracer.heat_maps()[0].token(1).values.max() > 0

    def test_attention_that_cant_be_seen_is_named_with_a_remedy(self, pipeline: Any) -> None:
        def unseen(attn: Any, hidden_states: Any, encoder_hidden_states: Any = None, **rest: Any) -> Any:
            return hidden_states

        pipeline.unet.get_submodule(FINE).processor = unseen
        with pytest.raises(InputError, match=rf"{FINE}.*AttnProcessor2_0"), trace(pipeline):
            draw(pipeline)


class TestRefusals:
    def test_a_pipeline_without_a_unet(self) -> None:
        with pytest.raises(InputError, match="object can't be traced"):
            trace(object())

    def test_a_compiled_unet(self, pipeline: Any) -> None:
        pipeline.unet = torch.compile(pipeline.unet)
        with pytest.raises(InputError, match="compiled UNet"):
            trace(pipeline)

    def test_a_compiled_block(self, pipeline: Any) -> None:
        pipeline.unet.down_blocks[0].compile()
        with pytest.raises(InputError, match="compiled UNet"):
            trace(pipeline)

    def test_a_batch_that_isnt_the_images_or_twice_as_many(self, pipeline: Any) -> None:
        with trace(pipeline):
            embeddings, _ = pipeline.encode_prompt("a cat", torch.device("cpu"), 1, False)
            with pytest.raises(InputError, match="3 latents for 1 image"):
                pipeline.unet(torch.randn(3, 4, 8, 8), 1, encoder_hidden_states=embeddings.repeat(3, 1, 1))

    def test_latents_that_change_size_midway(self, pipeline: Any) -> None:
        with trace(pipeline):
            embeddings, _ = pipeline.encode_prompt("a cat", torch.device("cpu"), 1, False)
            pipeline.unet(torch.randn(1, 4, 8, 8), 1, encoder_hidden_states=embeddings)
            with pytest.raises(InputError, match="changed from"):
                pipeline.unet(torch.randn(1, 4, 8, 16), 1, encoder_hidden_states=embeddings)
