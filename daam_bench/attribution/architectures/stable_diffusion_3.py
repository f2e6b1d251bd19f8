"""Stable Diffusion 3 and 3.5: joint attention over the image's tokens, then CLIP's and T5's."""

from __future__ import annotations

from typing import Any

from daam_bench.attribution.layout import (
    Architecture,
    AttentionLayout,
    DenoiserCall,
    joint_layers,
    patch_grid,
)
from daam_bench.attribution.streams import Encoding, Stream, as_written, read_stream, side_by_side


def _layout(call: DenoiserCall) -> AttentionLayout:
    grid = patch_grid(call)
    image = slice(0, grid[0] * grid[1])
    text = slice(image.stop, image.stop + call.length)
    count = len(call.rows)
    return AttentionLayout(grid, call.rows, (text,) * count, image=(image,) * count, joint=True)


def _streams(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    """Read CLIP's stream, whose two encoders lie side by side in the channels, and T5's behind it."""
    clip = [
        read_stream("clip", tokenizer, prompt, encoding.ids(encoder, row), as_written(prompt))
        for tokenizer, encoder in (
            (pipeline.tokenizer, "text_encoder"),
            (pipeline.tokenizer_2, "text_encoder_2"),
        )
        if tokenizer is not None and encoding.ids(encoder, row)
    ]
    streams = [side_by_side(clip)] if clip else []
    if pipeline.tokenizer_3 is not None and pipeline.text_encoder_3 is not None:
        rows = encoding.ids("text_encoder_3", row)
        start = encoding.length - max(map(len, rows), default=0)

        def place(position: int) -> int:
            return start + position

        streams.append(read_stream("t5", pipeline.tokenizer_3, prompt, rows, as_written(prompt), place))
    return streams


FAMILIES = (
    Architecture(
        denoisers=("SD3Transformer2DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"transformer_blocks": "double"}, "attn"),
        layout=_layout,
        streams=_streams,
        blocks=("double",),
        models="Stable Diffusion 3 and 3.5",
    ),
)
