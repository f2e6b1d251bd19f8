"""Tiny pipelines with random weights in the real formats, built without any download.

Their VAE has factor 2, so 16x16 pixels are 8x8 latents. Cross-attention sits at latent size, at half of it,
and in the middle block at a quarter; its queries and keys are scaled up, so that words attend to different
places.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedTokenizerBase,
)

from daam_bench.attribution.streams import as_written, read_stream
from daam_bench.attribution.tokens import TokenizedPrompt

WORDS = ("a", "and", "cat", "dog", "grass", "hat", "on", "pizza", "red", "the", "teddy", "bear", "two")
MAX_LENGTH = 16
"""Tokens of the text encoders, start and end token included."""

VAE_FACTOR = 2
_START, _END, _PAD = "<|startoftext|>", "<|endoftext|>", "!"


def tiny_tokenizer(pad_token: str = _END, max_length: int = MAX_LENGTH) -> CLIPTokenizer:
    """A CLIP tokenizer: every word of `WORDS` is one token, "sitting" is "sit" + "ting", the rest bytes."""
    merges = list(dict.fromkeys(merge for word in WORDS for merge in _merges(word)))
    merges += [("s", "i"), ("si", "t"), ("t", "i"), ("ti", "n"), ("tin", "g</w>")]
    alphabet = _byte_alphabet()
    merged = (left + right for left, right in merges)
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *merged]
    vocabulary = {token: index for index, token in enumerate([*tokens, _START, _END])}
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": max_length,
        "bos_token": _START,
        "eos_token": _END,
        "unk_token": _END,
        "pad_token": pad_token,
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        return CLIPTokenizer.from_pretrained(folder)


def tokenize(tokenizer: PreTrainedTokenizerBase, prompt: str) -> TokenizedPrompt:
    """Return a prompt with its tokens where a text encoder behind this tokenizer gets them."""
    row = tokenizer(prompt, padding="max_length", truncation=True).input_ids
    return read_stream("text", tokenizer, prompt, [row], as_written(prompt)).prompt


def tiny_sd(seed: int = 0, threshold: float | None = None) -> StableDiffusionPipeline:
    """A tiny Stable Diffusion 1 pipeline with a DDIM scheduler.

    With a threshold it has a safety checker, which blanks the images that `likeness` puts above it.
    """
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    checked = threshold is not None
    pipeline = StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=16),
        scheduler=_scheduler(),
        safety_checker=_safety_checker(threshold) if checked else None,
        feature_extractor=_feature_extractor() if checked else None,
        requires_safety_checker=checked,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def likeness(image: Image.Image) -> float:
    """How much an image is like what the safety checker looks for: the cosine, in [-1, 1]."""
    checker = _safety_checker(0.0)
    with torch.no_grad():
        pixels = _feature_extractor()(image, return_tensors="pt").pixel_values
        embedding = checker.visual_projection(checker.vision_model(pixels)[1])
        return torch.cosine_similarity(embedding, checker.concept_embeds[:1]).item()


def tiny_sdxl(seed: int = 0) -> StableDiffusionXLPipeline:
    """A tiny SDXL pipeline: two tokenizers that differ in padding, two text encoders, pooled conditions."""
    torch.manual_seed(seed)
    first, second = tiny_tokenizer(), tiny_tokenizer(pad_token=_PAD)
    unet = _unet(
        cross_attention_dim=32,
        transformer_layers_per_block=(1, 2, 1),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    pipeline = StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(first)).eval(),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(second)).eval(),
        tokenizer=first,
        tokenizer_2=second,
        unet=unet,
        scheduler=_scheduler(),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _safety_checker(threshold: float) -> StableDiffusionSafetyChecker:
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**text, "image_size": 16, "patch_size": 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
        checker = StableDiffusionSafetyChecker(config).eval()
    checker.concept_embeds_weights.data.fill_(threshold)
    return checker


def _feature_extractor() -> CLIPImageProcessor:
    return CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})


def _unet(**settings: object) -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 16, 32),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=(2, 2, 4),
        norm_num_groups=8,
        **settings,
    )
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2.to_q" in name or "attn2.to_k" in name:
                parameter *= 6
    return unet.eval()


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
    ).eval()


def _text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )


def _merges(word: str) -> list[tuple[str, str]]:
    pieces = [*word[:-1], word[-1] + "</w>"]
    merges = []
    while len(pieces) > 1:
        merges.append((pieces[0], pieces[1]))
        pieces[:2] = [pieces[0] + pieces[1]]
    return merges


def _byte_alphabet() -> list[str]:
    """Return the 256 printable characters that byte-level BPE writes bytes with."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
