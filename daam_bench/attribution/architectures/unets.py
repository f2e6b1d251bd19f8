"""The UNets of Stable Diffusion 1, 2 and XL, of Kolors and of DeepFloyd IF."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from daam_bench.attribution.layout import Architecture, AttentionLayout, DenoiserCall, Layer
from daam_bench.attribution.streams import Encoding, Stream, as_written, read_stream, side_by_side


def cross_attention_layers(unet: Any) -> list[Layer]:
    """Return the cross-attention layers of the down, mid and up blocks, in the order of the modules."""
    return [Layer(name, module, module.heads, block) for block, name, module in _attentions(unet, "attn2")]


def self_attention_layers(unet: Any) -> list[Layer]:
    """Return the self-attention layers beside them."""
    return [Layer(name, module, module.heads, block) for block, name, module in _attentions(unet, "attn1")]


def _attentions(unet: Any, attention: str) -> Iterator[tuple[str, str, Any]]:
    """Yield block, name and module of the attention that the UNet itself has, not what adapters put in."""
    blocks = chain(
        (("down", f"down_blocks.{index}", block) for index, block in enumerate(unet.down_blocks)),
        (("mid", "mid_block", block) for block in (unet.mid_block,) if block is not None),
        (("up", f"up_blocks.{index}", block) for index, block in enumerate(unet.up_blocks)),
    )
    for part, name, block in blocks:
        for index, transformer in enumerate(getattr(block, "attentions", None) or ()):
            place = f"{name}.attentions.{index}"
            layers = getattr(transformer, "transformer_blocks", None)
            if layers is None:
                # DeepFloyd IF: one attention over the text's keys and the image's own.
                if attention == "attn2" and getattr(transformer, "added_kv_proj_dim", None) is not None:
                    yield part, place, transformer
                continue
            for depth, layer in enumerate(layers):
                module = getattr(layer, attention, None)
                if module is not None and (attention == "attn1" or _is_cross(module)):
                    yield part, f"{place}.transformer_blocks.{depth}.{attention}", module


def _is_cross(module: Any) -> bool:
    return bool(getattr(module, "is_cross_attention", False))


def _layout(call: DenoiserCall) -> AttentionLayout:
    height, width = call.sample.shape[-2:]
    text = (slice(0, call.length),) * len(call.rows)
    return AttentionLayout((int(height), int(width)), call.rows, text, halved=True)


def _streams(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    """Read the one stream of positions; the text encoders of SDXL lie side by side in its channels."""
    streams = []
    for number in ("", "_2"):
        tokenizer = getattr(pipeline, f"tokenizer{number}", None)
        if tokenizer is not None and getattr(pipeline, f"text_encoder{number}", None) is not None:
            rows = encoding.ids(f"text_encoder{number}", row)
            streams.append(read_stream("text", tokenizer, prompt, rows, as_written(prompt)))
    return [side_by_side(streams)]


FAMILIES = (
    Architecture(
        denoisers=("UNet2DConditionModel",),
        layers=cross_attention_layers,
        self_layers=self_attention_layers,
        layout=_layout,
        streams=_streams,
        sample="sample",
        blocks=("down", "up"),
        models="Stable Diffusion 1, 2 and XL",
    ),
)
