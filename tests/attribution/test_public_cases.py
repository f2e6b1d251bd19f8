"""Cases from public reports, each right or refused in one line; the reference records keys and queries."""

from __future__ import annotations

import copy
import gc
import io
import string
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from daam_bench import trace
from daam_bench.attribution.architectures import traced_layers
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import _unet, tiny_sd, tiny_sdxl, tokenize

PROMPT = "a cat and a dog on the grass"
CAT, DOG = 2, 5
"""Positions of the words behind the start token."""


class Recorder:
    """Every call of a UNet, recorded with plain forward hooks on `to_q` and `to_k`."""

    def __init__(self, unet: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self.queries: dict[str, torch.Tensor] = {}
        self.handles = [unet.register_forward_pre_hook(self.begin, with_kwargs=True)]
        for name, module in unet.named_modules():
            if name.endswith("attn2") and not name.startswith("mid"):
                query = module.to_q.register_forward_hook(
                    lambda _, args, out, name=name: self.queries.__setitem__(name, out)
                )
                key = module.to_k.register_forward_hook(
                    lambda _, args, out, name=name, module=module: self.keep(name, module, out)
                )
                self.handles += [query, key]

    def begin(self, unet: Any, args: Any, kwargs: Any) -> None:
        text = kwargs["encoder_hidden_states"] if "encoder_hidden_states" in kwargs else args[2]
        sample = args[0] if args else kwargs["sample"]
        self.calls.append({"text": text.clone(), "size": tuple(sample.shape[-2:]), "layers": {}})

    def keep(self, name: str, module: Any, key: torch.Tensor) -> None:
        def by_head(states: torch.Tensor) -> torch.Tensor:
            return states.unflatten(-1, (module.heads, -1)).transpose(1, 2).double()

        scores = by_head(self.queries[name]) @ by_head(key).transpose(-1, -2) * module.scale
        self.calls[-1]["layers"][name] = scores.softmax(dim=-1)


def recorded(pipeline: Any, call: Any) -> list[dict[str, Any]]:
    recorder = Recorder(pipeline.unet)
    call()
    for handle in recorder.handles:
        handle.remove()
    return recorder.calls


def summed(calls: list[dict[str, Any]], row: Any) -> torch.Tensor:
    """Return the maps (tokens, h, w): over calls, one row each, upscaled, clamped, over heads and layers."""
    sums: dict[str, torch.Tensor] = {}
    for call in calls:
        if (index := row(call)) is not None:
            for name, probabilities in call["layers"].items():
                sums[name] = sums.get(name, 0) + probabilities[index]
    size, total = calls[0]["size"], torch.zeros(1)
    for probabilities in sums.values():
        height, width = size
        while height * width > probabilities.shape[1]:
            height, width = (height + 1) // 2, (width + 1) // 2
        maps = probabilities.permute(0, 2, 1).unflatten(-1, (height, width))
        total = total + functional.interpolate(maps, size=size, mode="bicubic").clamp(min=0).sum(dim=0)
    return total


def carrying(text: torch.Tensor) -> Any:
    def row(call: dict[str, Any]) -> int | None:
        hits = [i for i, one in enumerate(call["text"]) if torch.allclose(one, text, atol=1e-5)]
        return hits[0] if hits else None

    return row


def text_of(pipeline: Any, prompt: str = PROMPT) -> torch.Tensor:
    return pipeline.encode_prompt(prompt, "cpu", 1, False)[0][0]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def check(pipeline: Any, call: Any, row: Any, of: Any = lambda calls: calls) -> None:
    """Assert that the maps of a call are those of the reference."""
    calls = of(recorded(pipeline, call))
    with trace(pipeline) as tracer:
        call()
        tracer.finish()
    expected = summed(calls, row).numpy()
    for position in (CAT, DOG):
        found = tracer.heat_maps()[0].token(position).values
        np.testing.assert_allclose(found, expected[position], atol=1e-5 * expected[position].max(), rtol=1e-5)


def refused(pipeline: Any, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught, trace(pipeline):
        call()
    assert "\n" not in str(caught.value)


SIZE = {"height": 16, "width": 16, "output_type": "latent", "num_inference_steps": 3}


@pytest.mark.parametrize("guidance", [0.0, 5.0])
def test_perturbed_attention_guidance(guidance: float) -> None:
    """The diffusers pull request 7944: rows are [negative,] conditional, perturbed."""
    from diffusers import StableDiffusionPAGPipeline

    layers = ["down_blocks", "mid", "up_blocks"]
    pipeline = StableDiffusionPAGPipeline(
        **tiny_sd().components, requires_safety_checker=False, pag_applied_layers=layers
    )
    pipeline.set_progress_bar_config(disable=True)

    def call() -> None:
        pipeline(PROMPT, guidance_scale=guidance, pag_scale=5.0, generator=seeded(), **SIZE)

    check(pipeline, call, lambda call: 0 if guidance == 0 else 1)


def self_attention_guided() -> Any:
    from diffusers import StableDiffusionSAGPipeline

    parts = {name: part for name, part in tiny_sd().components.items() if name != "image_encoder"}
    torch.manual_seed(0)
    parts["unet"] = type(parts["unet"])(
        sample_size=8,
        block_out_channels=(16, 16, 32),
        layers_per_block=1,
        attention_head_dim=2,
        norm_num_groups=8,
        cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()
    pipeline = StableDiffusionSAGPipeline(**parts, image_encoder=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_self_attention_guidance_with_a_negative_pass_a_step() -> None:
    """The diffusers pull request 2193: a second call a step, on degraded latents, without the prompt."""
    pipeline = self_attention_guided()

    def call() -> None:
        size = SIZE | {"height": 32, "width": 32}
        pipeline(PROMPT, guidance_scale=7.5, sag_scale=0.75, generator=seeded(), **size)

    check(pipeline, call, carrying(text_of(pipeline)), lambda calls: calls[::2])


def test_a_second_pass_with_the_prompt_is_refused() -> None:
    pipeline = self_attention_guided()

    def call() -> None:
        size = SIZE | {"height": 32, "width": 32}
        pipeline(PROMPT, guidance_scale=1.0, sag_scale=0.75, generator=seeded(), **size)

    refused(pipeline, call, "more often than the scheduler's 3 steps")


@pytest.mark.parametrize("windows_at_once", [1, 4])
def test_windows_of_a_wide_image_are_refused(windows_at_once: int) -> None:
    """The diffusers pull request 3632 (MultiDiffusion)."""
    from diffusers import AutoencoderKL, StableDiffusionPanoramaPipeline

    vae = AutoencoderKL(
        block_out_channels=(4,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=2,
    )
    parts = tiny_sd().components | {"vae": vae.eval()}
    pipeline = StableDiffusionPanoramaPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)

    def call() -> None:
        size = SIZE | {"height": 512, "width": 768, "num_inference_steps": 1}
        pipeline(PROMPT, view_batch_size=windows_at_once, generator=seeded(), **size)

    refused(pipeline, call, "windows of a")


def test_guidance_in_two_calls_a_step() -> None:
    pipeline = tiny_sd()

    def call() -> None:
        text, negative = pipeline.encode_prompt(PROMPT, "cpu", 1, True, "a red hat")
        pipeline.scheduler.set_timesteps(3)
        latents = torch.randn(1, 4, 8, 8, generator=seeded())
        with torch.no_grad():
            for timestep in pipeline.scheduler.timesteps:
                without = pipeline.unet(latents, timestep, encoder_hidden_states=negative).sample
                noise = pipeline.unet(latents, timestep, encoder_hidden_states=text).sample
                noise = without + 7.5 * (noise - without)
                latents = pipeline.scheduler.step(noise, timestep, latents).prev_sample

    check(pipeline, call, carrying(text_of(pipeline)))


def test_two_prompts_that_cannot_be_told_apart_are_refused() -> None:
    """A loop that encodes the prompt first, but calls the denoiser with another encoding first."""
    pipeline = tiny_sd()

    def call() -> None:
        text = pipeline.encode_prompt(PROMPT, "cpu", 1, False)[0]
        negative = pipeline.encode_prompt("a red hat", "cpu", 1, False)[0]
        latents = torch.randn(1, 4, 8, 8, generator=seeded())
        for embeddings in (negative, text):
            pipeline.unet(latents, 1, encoder_hidden_states=embeddings)

    refused(pipeline, call, "two prompts in turn")


def test_source_and_target_in_one_call_are_refused() -> None:
    pipeline = tiny_sd()

    def call() -> None:
        both = [pipeline.encode_prompt(text, "cpu", 1, False)[0] for text in (PROMPT, "a red hat")]
        pipeline.unet(torch.randn(2, 4, 8, 8), 1, encoder_hidden_states=torch.cat(both))

    refused(pipeline, call, "two prompts at once")


@pytest.mark.parametrize("inside", [True, False])
def test_a_prompt_changed_by_a_callback_is_refused(inside: bool) -> None:
    """The diffusers issue 9470 (prompt scheduling)."""
    pipeline = tiny_sd()

    def both() -> torch.Tensor:
        return torch.cat([*pipeline.encode_prompt("a red hat on the grass", "cpu", 1, True, "")][::-1])

    earlier = both()

    def switch(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        return {"prompt_embeds": both() if inside else earlier} if step == 1 else {}

    def call() -> None:
        pipeline(
            PROMPT,
            generator=seeded(),
            callback_on_step_end=switch,
            callback_on_step_end_tensor_inputs=["prompt_embeds"],
            **SIZE,
        )

    refused(pipeline, call, "another text than the prompt's midway")


def test_a_negative_prompt_changed_by_a_callback_changes_no_words() -> None:
    pipeline = tiny_sd()

    def switch(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step != 0:
            return {}
        other = pipeline.encode_prompt("a red hat", "cpu", 1, False)[0]
        return {"prompt_embeds": torch.cat([other, tensors["prompt_embeds"].chunk(2)[1]])}

    def call() -> None:
        pipeline(
            PROMPT,
            generator=seeded(),
            callback_on_step_end=switch,
            callback_on_step_end_tensor_inputs=["prompt_embeds"],
            **SIZE,
        )

    check(pipeline, call, carrying(text_of(pipeline)))
    with trace(pipeline) as tracer:
        call()
    assert [maps.prompt for maps in tracer.heat_maps()] == [PROMPT]


def test_a_generation_given_up_and_begun_again_is_traced() -> None:
    pipeline = tiny_sd()

    def give_up(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("on purpose")

    with trace(pipeline) as tracer:
        with pytest.raises(RuntimeError, match="on purpose"):
            pipeline(PROMPT, generator=seeded(), callback_on_step_end=give_up, **SIZE)
        pipeline("a red hat", generator=seeded(), **SIZE)
    assert [maps.prompt for maps in tracer.heat_maps()] == ["a red hat"]


class TestTokens:
    def tiny_if(self) -> Any:
        from diffusers import DDPMScheduler, IFPipeline, UNet2DConditionModel
        from transformers import T5Config, T5EncoderModel, T5Tokenizer

        torch.manual_seed(0)
        words = ["a", "and", "cat", "dog", "on", "the", "grass"]
        pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -3.0)]
        pieces += [(letter, -10.0) for letter in string.ascii_letters + string.punctuation]
        pieces += [("\u2581" + word, -2.0) for word in words]
        try:
            tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)
        except TypeError:
            pytest.skip("needs transformers 5, whose T5 tokenizer takes a vocabulary")
        encoder = T5EncoderModel(
            T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2)
        )
        unet = UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            in_channels=3,
            out_channels=6,
            cross_attention_dim=32,
            encoder_hid_dim=32,
            attention_head_dim=8,
            addition_embed_type="text",
            addition_embed_type_num_heads=2,
            cross_attention_norm="group_norm",
            resnet_time_scale_shift="scale_shift",
            act_fn="gelu",
            norm_num_groups=32,
        )
        pipeline = IFPipeline(
            tokenizer=tokenizer,
            text_encoder=encoder.eval(),
            unet=unet.eval(),
            scheduler=DDPMScheduler(variance_type="learned_range", beta_schedule="squaredcos_cap_v2"),
            safety_checker=None,
            feature_extractor=None,
            watermarker=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @pytest.mark.parametrize("prompt", ["a cat and a dog on the grass", "  A Cat and a DOG on the grass "])
    def test_a_prompt_that_the_pipeline_lower_cases(self, prompt: str) -> None:
        """DeepFloyd IF lower-cases and strips a prompt before its tokenizer; words keep their spelling."""
        pipeline = self.tiny_if()
        with trace(pipeline) as tracer:
            pipeline(prompt, num_inference_steps=2, height=16, width=16, output_type="np")
        maps = tracer.heat_maps()[0]
        positions = {word.text: word.positions for word in maps.words()}
        ids = pipeline.tokenizer("a cat and a dog on the grass").input_ids
        dog = pipeline.tokenizer.convert_tokens_to_ids("\u2581dog")
        spelled = "dog" if prompt.islower() else "DOG"
        assert positions[spelled] == (ids.index(dog),)
        assert maps["dog"].values.max() > 0

    def test_over_the_text_a_place_shares_itself_among_the_tokens_alone(self) -> None:
        """DeepFloyd IF's layers attend to the image's own keys beside the text's."""
        pipeline, totals = self.tiny_if(), {}
        text, negative = pipeline.encode_prompt("a cat")
        given = {"prompt_embeds": text, "negative_prompt_embeds": negative}
        for over in ("all", "text"):
            with trace(pipeline, normalize_over=over) as tracer:
                pipeline(**given, num_inference_steps=1, height=16, width=16, output_type="np")
            totals[over] = {name: maps.sum(axis=0) for name, maps in tracer.layer_maps()[0].items()}
        heads = {layer.name: layer.heads for layer in traced_layers(pipeline).values()}
        for name, total in totals["text"].items():
            np.testing.assert_allclose(total, heads[name], rtol=1e-4)
            assert (totals["all"][name] < 0.99 * heads[name]).all()

    def test_a_prompt_that_the_pipeline_rewrites_has_tokens_and_no_words(self) -> None:
        pipeline = tiny_sd()
        tokenize = type(pipeline.tokenizer).__call__

        class Rewriting(type(pipeline.tokenizer)):  # type: ignore[misc]
            def __call__(self, text: Any, *args: Any, **kwargs: Any) -> Any:
                if kwargs.get("padding") == "max_length":
                    text = text.replace("cat", "dog") if isinstance(text, str) else ["a dog"] * len(text)
                return tokenize(self, text, *args, **kwargs)

        pipeline.tokenizer.__class__ = Rewriting
        with trace(pipeline) as tracer:
            pipeline("a cat", generator=seeded(), **SIZE)
        maps = tracer.heat_maps()[0]
        assert maps.token(2).values.max() > 0
        with pytest.raises(
            InputError, match=r"fed other tokens than those of 'a cat'|can't tell which characters"
        ):
            maps["cat"]

    def test_a_tokenizer_that_pads_on_the_left(self, tmp_path: Path) -> None:
        """Kolors: the prompt's tokens are the last ones, and its tokenizer tells no offsets."""
        sentencepiece = pytest.importorskip("sentencepiece")
        from diffusers import KolorsPipeline
        from diffusers.pipelines.kolors import ChatGLMModel, ChatGLMTokenizer
        from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig

        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([PROMPT + " with a red hat"] * 50),
            model_writer=model,
            vocab_size=45,
            pad_id=3,
            hard_vocab_limit=False,
            minloglevel=3,
        )
        (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
        torch.manual_seed(0)
        config = ChatGLMConfig(
            num_layers=1,
            padded_vocab_size=128,
            hidden_size=16,
            ffn_hidden_size=32,
            kv_channels=8,
            num_attention_heads=2,
            seq_length=512,
            multi_query_attention=False,
            rmsnorm=True,
            original_rope=True,
        )
        config.use_cache = True  # transformers 4 asks for it
        unet = _unet(
            cross_attention_dim=16,
            encoder_hid_dim=16,
            encoder_hid_dim_type="text_proj",
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 16,
        )
        parts = tiny_sdxl().components
        text_encoder = ChatGLMModel(config).eval()
        for weight in text_encoder.parameters():  # diffusers leaves them uninitialised, at times NaN
            torch.nn.init.normal_(weight, std=0.2)
        pipeline = KolorsPipeline(
            vae=parts["vae"],
            text_encoder=text_encoder,
            tokenizer=ChatGLMTokenizer(str(tmp_path / "tokenizer.model")),
            unet=unet,
            scheduler=parts["scheduler"],
        )
        pipeline.set_progress_bar_config(disable=True)
        with trace(pipeline) as tracer:
            pipeline(PROMPT, generator=seeded(), **SIZE)
        maps = tracer.heat_maps()[0]
        with pytest.raises(InputError, match="token"):
            maps["cat"]
        last = max(maps._index)
        assert last == 255  # of 256 positions the last ones are the prompt's, and they are kept

    def test_offsets_that_take_in_the_blank_before_a_word(self) -> None:
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
        pieces += [(letter, -10.0) for letter in string.ascii_letters + "\u2581"]
        pieces += [("\u2581" + word, -2.0) for word in dict.fromkeys(PROMPT.split())]
        raw = Tokenizer(models.Unigram(pieces, unk_id=2))
        raw.pre_tokenizer = pre_tokenizers.Metaspace()
        raw.post_processor = processors.TemplateProcessing(
            single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
        )
        special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=77, **special)
        word = tokenize(tokenizer, PROMPT).find("cat")
        assert (word.start, word.end, word.positions) == (2, 5, (1,))


class TestLifetimes:
    def test_a_deep_copy_made_inside_a_trace_is_a_pipeline_of_its_own(self) -> None:
        pipeline = tiny_sd()
        with trace(pipeline) as tracer:
            copied = copy.deepcopy(pipeline.unet)
            other = tiny_sd()
            other.unet = copied
            alone = other("a red hat", generator=seeded(), **SIZE).images
            pipeline(PROMPT, generator=seeded(), **SIZE)
        assert [maps.prompt for maps in tracer.heat_maps()] == [PROMPT]
        assert torch.equal(alone, tiny_sd()("a red hat", generator=seeded(), **SIZE).images)
        for _, module in copied.named_modules():
            forward = vars(module).get("forward")
            assert forward is None or (
                forward.__self__ is module and forward.__func__ is type(module).forward
            )

    def test_a_finished_tracer_keeps_no_pipeline_alive(self) -> None:
        pipeline = tiny_sd()
        with trace(pipeline) as tracer:
            pipeline(PROMPT, generator=seeded(), **SIZE)
        unet = weakref.ref(pipeline.unet)
        del pipeline
        gc.collect()
        assert unet() is None
        assert tracer.heat_maps()[0]["cat"].values.max() > 0
