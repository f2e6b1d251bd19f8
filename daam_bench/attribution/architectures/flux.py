"""FLUX.1 with its variants, FLUX.2 and Chroma: text, then the image, in double and single blocks."""

from __future__ import annotations

from typing import Any

from daam_bench.attribution.layout import (
    Architecture,
    AttentionLayout,
    DenoiserCall,
    Layer,
    joint_layers,
    text_first,
)
from daam_bench.attribution.streams import Encoding, Stream, as_written, read_stream, rendered


def _layers(denoiser: Any) -> list[Layer]:
    blocks = {"transformer_blocks": "double", "single_transformer_blocks": "single"}
    return joint_layers(denoiser, blocks, "attn")


def _layout(call: DenoiserCall) -> AttentionLayout:
    """Find the generated image among the image tokens: `img_ids` hold (t, row, column), and t is 0 for it."""
    ids = call.arguments["img_ids"]
    ids = ids[0] if ids.ndim == 3 else ids
    own = ids[ids[:, 0] == 0]
    grid = int(own[:, 1].max()) + 1, int(own[:, 2].max()) + 1
    return text_first(call, grid)


def _t5(tokenizer: str, encoder: str) -> Any:
    def streams(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
        rows = encoding.ids(encoder, row)
        return [read_stream("t5", getattr(pipeline, tokenizer), prompt, rows, as_written(prompt))]

    return streams


def _chat(pipeline: Any, prompt: str, row: int, encoding: Encoding) -> list[Stream]:
    """Read the prompt inside FLUX.2's chat template: Qwen3's, or Mistral's with a system message."""
    tokenizer = getattr(pipeline.tokenizer, "tokenizer", pipeline.tokenizer)
    system = getattr(pipeline, "system_message", None)
    if system is None:
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    else:
        messages = [
            {"role": "system", "content": [{"type": "text", "text": system}]},
            {"role": "user", "content": [{"type": "text", "text": prompt.replace("[IMG]", "")}]},
        ]
        text = pipeline.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    rows = encoding.ids("text_encoder", row)
    return [read_stream("text", tokenizer, prompt, rows, rendered(text, prompt))]


_BLOCKS = ("double", "single")

FAMILIES = (
    Architecture(
        denoisers=("FluxTransformer2DModel",),
        layers=_layers,
        layout=_layout,
        streams=_t5("tokenizer_2", "text_encoder_2"),
        blocks=_BLOCKS,
        models="FLUX.1 (dev, schnell, Fill, Kontext)",
    ),
    Architecture(
        denoisers=("Flux2Transformer2DModel",),
        layers=_layers,
        layout=_layout,
        streams=_chat,
        blocks=_BLOCKS,
        since="0.36",
        models="FLUX.2",
    ),
    Architecture(
        denoisers=("ChromaTransformer2DModel",),
        layers=_layers,
        layout=_layout,
        streams=_t5("tokenizer", "text_encoder"),
        blocks=_BLOCKS,
        models="Chroma",
    ),
)
