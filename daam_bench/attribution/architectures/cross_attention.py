"""Transformers with cross-attention to the text: PixArt, Sana and HunyuanDiT."""

from __future__ import annotations

from typing import Any

from daam_bench.attribution.layout import (
    Architecture,
    AttentionLayout,
    DenoiserCall,
    Layer,
    joint_layers,
    patch_grid,
)
from daam_bench.attribution.streams import (
    Encoding,
    FedText,
    Stream,
    as_written,
    inside,
    read_stream,
)


def _layers(*lists: str) -> Any:
    def layers(denoiser: Any) -> list[Layer]:
        return joint_layers(denoiser, dict.fromkeys(lists, "cross"), "attn2")

    return layers


def _layout(call: DenoiserCall) -> AttentionLayout:
    grid = patch_grid(call)
    count = len(call.rows)
    image = (slice(0, grid[0] * grid[1]),) * count
    return AttentionLayout(grid, call.rows, (slice(0, call.length),) * count, image=image)


def _pixart(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    return [
        read_stream("t5", pipeline.tokenizer, prompt, encoding.ids("text_encoder", row), as_written(prompt))
    ]


def _sana(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    """Read the prompt behind the instruction that Sana puts before it.

    The denoiser sees the encoder's first position, and then only its last ones.
    """
    rows = encoding.ids("text_encoder", row)
    cut = max(map(len, rows), default=0) - encoding.length

    def place(position: int) -> int | None:
        if position == 0:
            return 0
        return position - cut if position > cut else None

    return [read_stream("text", pipeline.tokenizer, prompt, rows, _instructed(encoding.head, prompt), place)]


def _instructed(head: str, prompt: str) -> Any:
    for form in as_written(prompt):
        yield inside(head, form) if head else FedText(form.text, form.origin)


def _hunyuan_layout(call: DenoiserCall) -> AttentionLayout:
    """Lay BERT's and T5's texts one behind the other along the keys."""
    plain = _layout(call)
    length = call.length + call.arguments["encoder_hidden_states_t5"].shape[1]
    text = (slice(0, length),) * len(call.rows)
    return AttentionLayout(plain.grid, plain.rows, text, image=plain.image)


def _hunyuan(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    start = encoding.length

    def place(position: int) -> int:
        return start + position

    first, second = encoding.ids("text_encoder", row), encoding.ids("text_encoder_2", row)
    return [
        read_stream("clip", pipeline.tokenizer, prompt, first, as_written(prompt)),
        read_stream("t5", pipeline.tokenizer_2, prompt, second, as_written(prompt), place),
    ]


FAMILIES = (
    Architecture(
        denoisers=("PixArtTransformer2DModel",),
        layers=_layers("transformer_blocks"),
        self_layers=lambda denoiser: joint_layers(denoiser, {"transformer_blocks": "cross"}, "attn1"),
        layout=_layout,
        streams=_pixart,
        blocks=("cross",),
        models="PixArt-alpha and PixArt-Sigma",
    ),
    Architecture(
        denoisers=("SanaTransformer2DModel",),
        layers=_layers("transformer_blocks"),
        self_layers=lambda denoiser: [],  # linear: without a softmax
        layout=_layout,
        streams=_sana,
        blocks=("cross",),
        models="Sana",
    ),
    Architecture(
        denoisers=("HunyuanDiT2DModel",),
        layers=_layers("blocks"),
        self_layers=lambda denoiser: joint_layers(denoiser, {"blocks": "cross"}, "attn1"),
        layout=_hunyuan_layout,
        streams=_hunyuan,
        text=("encoder_hidden_states", "encoder_hidden_states_t5"),
        blocks=("cross",),
        models="HunyuanDiT",
    ),
)
