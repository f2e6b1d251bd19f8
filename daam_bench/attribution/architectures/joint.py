"""More transformers with joint attention: Qwen-Image, AuraFlow, CogView4, Lumina 2 and Z-Image."""

from __future__ import annotations

from typing import Any

from daam_bench.attribution.layout import (
    Architecture,
    AttentionLayout,
    DenoiserCall,
    joint_layers,
    patch_grid,
    text_first,
)
from daam_bench.attribution.streams import Encoding, Stream, as_written, inside, read_stream, rendered

_REGISTERS = 8
"""Positions that AuraFlow puts before the text."""

_PAD_TO = 32
"""Z-Image pads image and text to a multiple of this."""


def _qwen_layout(call: DenoiserCall) -> AttentionLayout:
    _, height, width = call.arguments["img_shapes"][0][0]
    return text_first(call, (int(height), int(width)))


def _qwen(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    """Read the prompt inside the template, whose first positions are dropped."""
    head, tail = pipeline.prompt_template_encode.split("{}")
    dropped = pipeline.prompt_template_encode_start_idx

    def place(position: int) -> int | None:
        return position - dropped if 0 <= position - dropped < encoding.length else None

    forms = (inside(head, form, tail) for form in as_written(prompt))
    rows = encoding.ids("text_encoder", row)
    return [read_stream("text", pipeline.tokenizer, prompt, rows, forms, place)]


def _aura_layout(call: DenoiserCall) -> AttentionLayout:
    return text_first(call, patch_grid(call), before=_REGISTERS)


def _plain(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    """Read a prompt whose encoder's positions are the denoiser's: left padding included."""
    rows = encoding.ids("text_encoder", row)
    return [read_stream("text", pipeline.tokenizer, prompt, rows, as_written(prompt))]


def _lumina_layout(call: DenoiserCall) -> AttentionLayout:
    """Find each row's image behind its own text, whose length is the sum of its mask."""
    grid = patch_grid(call)
    lengths = [int(call.arguments["encoder_attention_mask"][row].sum()) for row in call.rows]
    places = grid[0] * grid[1]
    text = tuple(slice(0, length) for length in lengths)
    image = tuple(slice(length, length + places) for length in lengths)
    return AttentionLayout(grid, call.rows, text, image=image, joint=True)


def _lumina(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    head = f"{encoding.head or pipeline.system_prompt} <Prompt Start> "
    forms = (inside(head, form) for form in as_written(prompt))
    return [read_stream("text", pipeline.tokenizer, prompt, encoding.ids("text_encoder", row), forms)]


def _z_image_layout(call: DenoiserCall) -> AttentionLayout:
    """Lay the text behind the image, each padded to a multiple of 32 positions."""
    _, _, height, width = call.sample[call.rows[0]].shape
    grid = height // 2, width // 2
    places = grid[0] * grid[1]
    start = places + -places % _PAD_TO
    text = tuple(slice(start, start + len(call.text[row])) for row in call.rows)
    return AttentionLayout(grid, call.rows, text, image=(slice(0, places),) * len(call.rows), joint=True)


def _z_image(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    text = pipeline.tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=True,
    )
    rows = encoding.ids("text_encoder", row)
    return [read_stream("text", pipeline.tokenizer, prompt, rows, rendered(text, prompt))]


FAMILIES = (
    Architecture(
        denoisers=("QwenImageTransformer2DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"transformer_blocks": "double"}, "attn"),
        layout=_qwen_layout,
        streams=_qwen,
        blocks=("double",),
        models="Qwen-Image",
    ),
    Architecture(
        denoisers=("AuraFlowTransformer2DModel",),
        layers=lambda denoiser: joint_layers(
            denoiser,
            {"joint_transformer_blocks": "double", "single_transformer_blocks": "single"},
            "attn",
        ),
        layout=_aura_layout,
        streams=_plain,
        blocks=("double", "single"),
        models="AuraFlow",
    ),
    Architecture(
        denoisers=("CogView4Transformer2DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"transformer_blocks": "double"}, "attn1"),
        layout=lambda call: text_first(call, patch_grid(call)),
        streams=_plain,
        blocks=("double",),
        models="CogView4",
    ),
    Architecture(
        denoisers=("Lumina2Transformer2DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"layers": "single"}, "attn"),
        layout=_lumina_layout,
        streams=_lumina,
        blocks=("single",),
        models="Lumina 2",
    ),
    Architecture(
        denoisers=("ZImageTransformer2DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"layers": "single"}, "attention"),
        layout=_z_image_layout,
        streams=_z_image,
        text=("cap_feats",),
        sample="x",
        blocks=("single",),
        repeats=True,
        since="0.36",
        models="Z-Image",
    ),
)
