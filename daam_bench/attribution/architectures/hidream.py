"""HiDream: the image, T5's text, then Llama's twice: of its last chosen layer and of each block's own."""

from __future__ import annotations

from typing import Any

from daam_bench.attribution.layout import (
    Architecture,
    AttentionLayout,
    DenoiserCall,
    joint_layers,
    patch_grid,
)
from daam_bench.attribution.streams import Encoding, Stream, as_written, read_stream


def _layout(call: DenoiserCall) -> AttentionLayout:
    """Lay the texts behind the image, which is padded to the longest sequence unless it is square."""
    height, width = grid = patch_grid(call)
    start = height * width if height == width else int(call.denoiser.max_seq)
    llama = int(call.arguments["encoder_hidden_states_llama3"].shape[2])
    text, image = slice(start, start + call.length + 2 * llama), slice(0, height * width)
    count = len(call.rows)
    return AttentionLayout(grid, call.rows, (text,) * count, image=(image,) * count, joint=True)


def _streams(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    t5, llama = encoding.ids("text_encoder_3", row), encoding.ids("text_encoder_4", row)
    first, length = encoding.length, max(map(len, llama), default=0)
    return [
        read_stream("t5", pipeline.tokenizer_3, prompt, t5, as_written(prompt)),
        *(
            read_stream(name, pipeline.tokenizer_4, prompt, llama, as_written(prompt), start.__add__)
            for name, start in (("llama", first), ("llama_by_block", first + length))
        ),
    ]


FAMILIES = (
    Architecture(
        denoisers=("HiDreamImageTransformer2DModel",),
        layers=lambda denoiser: joint_layers(
            denoiser, {"double_stream_blocks": "double", "single_stream_blocks": "single"}, "block.attn1"
        ),
        layout=_layout,
        streams=_streams,
        encoders=("text_encoder_3", "text_encoder_4"),
        text=("encoder_hidden_states_t5",),
        blocks=("double", "single"),
        rides=False,  # each block adds a text of its own
        models="HiDream",
    ),
)
