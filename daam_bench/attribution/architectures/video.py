"""Video transformers: CogVideoX with joint attention, Wan and LTX with cross-attention. Maps have frames."""

from __future__ import annotations

import math
from typing import Any

from daam_bench.attribution.layout import (
    Architecture,
    AttentionLayout,
    DenoiserCall,
    joint_layers,
    text_first,
)
from daam_bench.attribution.streams import Encoding, Stream, as_written, read_stream


def _cogvideox_layout(call: DenoiserCall) -> AttentionLayout:
    patch = call.denoiser.config.patch_size
    frames, (height, width) = call.sample.shape[1], call.sample.shape[-2:]
    in_time = call.denoiser.config.patch_size_t or 1
    return text_first(call, (frames // in_time, height // patch, width // patch))


def _cross(call: DenoiserCall, grid: tuple[int, ...]) -> AttentionLayout:
    count = len(call.rows)
    image = (slice(0, math.prod(grid)),) * count
    return AttentionLayout(grid, call.rows, (slice(0, call.length),) * count, image=image)


def _wan_layout(call: DenoiserCall) -> AttentionLayout:
    patch, size = call.denoiser.config.patch_size, call.sample.shape[-3:]
    return _cross(call, tuple(side // step for side, step in zip(size, patch, strict=True)))


def _ltx_layout(call: DenoiserCall) -> AttentionLayout:
    return _cross(call, tuple(int(call.arguments[name]) for name in ("num_frames", "height", "width")))


def _t5(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    rows = encoding.ids("text_encoder", row)
    return [read_stream("t5", pipeline.tokenizer, prompt, rows, as_written(prompt))]


FAMILIES = (
    Architecture(
        denoisers=("CogVideoXTransformer3DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"transformer_blocks": "double"}, "attn1"),
        layout=_cogvideox_layout,
        streams=_t5,
        blocks=("double",),
        rides=False,  # its positions are laid for one length of text
        models="CogVideoX",
    ),
    Architecture(
        denoisers=("WanTransformer3DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"blocks": "cross"}, "attn2"),
        self_layers=lambda denoiser: joint_layers(denoiser, {"blocks": "cross"}, "attn1"),
        layout=_wan_layout,
        streams=_t5,
        blocks=("cross",),
        models="Wan 2.1 and 2.2",
    ),
    Architecture(
        denoisers=("LTXVideoTransformer3DModel",),
        layers=lambda denoiser: joint_layers(denoiser, {"transformer_blocks": "cross"}, "attn2"),
        self_layers=lambda denoiser: joint_layers(denoiser, {"transformer_blocks": "cross"}, "attn1"),
        layout=_ltx_layout,
        streams=_t5,
        blocks=("cross",),
        models="LTX-Video",
    ),
)
