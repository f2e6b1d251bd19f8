"""What a tracer is to a pipeline: listeners of its text encoders, prompts, denoiser and layers."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from daam_bench.attribution.calls import Reading
from daam_bench.attribution.capture import AttentionHook
from daam_bench.attribution.hooks import BESIDE, CallHook, hear_calls
from daam_bench.attribution.layout import Layer
from daam_bench.attribution.selection import Selection
from daam_bench.attribution.sinks import AttentionSink
from daam_bench.attribution.streams import Encoding


class EncodingListener:
    """Hears of calls of `encode_prompt`: copies the prompt before the pipeline can rewrite it."""

    def __init__(self, reading: Reading, encode: Callable[..., Any]) -> None:
        self._reading, self._encode = reading, encode
        self._signature = inspect.signature(encode)

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note the prompts."""
        bound = self._signature.bind(*args, **kwargs)
        arguments = bound.arguments
        prompts = _as_tuple(arguments.get("prompt"))
        no_words = None
        for name in ("prompt_2", "prompt_3", "prompt_4"):
            if prompts is not None and _as_tuple(arguments.get(name)) not in (None, prompts):
                no_words = f"prompt and {name} differ, so that a position holds a token of each"
        pipeline = self._reading.pipeline
        convert = getattr(pipeline, "maybe_convert_prompt", None)
        tokenizer = getattr(pipeline, "tokenizer", None) or getattr(pipeline, "tokenizer_2", None)
        converted = None
        if prompts is not None and convert is not None and tokenizer is not None:
            converted = tuple(convert(list(prompts), tokenizer))
        if converted is not None and converted != prompts:
            no_words = "the prompt holds a textual inversion of several vectors, which moves its tokens"
        head = arguments.get("complex_human_instruction") or arguments.get("system_prompt") or ""
        head = head if isinstance(head, str) else "\n".join(head)
        asked = Encoding(prompts, (), no_words=no_words, head=head)
        again = None
        if self._reading.selection.attribution_prompts is not None:
            from daam_bench.attribution.other_prompts import attribution_prompts, encoding_of

            texts = attribution_prompts(self._reading.selection.attribution_prompts, prompts)
            again = encoding_of(self._encode, bound, texts)
        self._reading.begin_encoding(asked, again)

    def after(self, result: Any) -> None:
        """Keep the embeddings."""
        self._reading.end_encoding(result)


class EncoderListener:
    """Hears of the ids that a text encoder is fed."""

    def __init__(self, reading: Reading, name: str) -> None:
        self._reading, self._name = reading, name

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note the ids."""
        self._reading.record_ids(self._name, args[0] if args else kwargs.get("input_ids"))

    def after(self, result: Any) -> None:
        """What comes out is read where `encode_prompt` returns it."""


class DenoiserListener:
    """Hears of the denoiser's calls."""

    def __init__(self, reading: Reading, denoiser: Any) -> None:
        self._reading, self._denoiser = reading, denoiser
        self._signature = inspect.signature(type(denoiser).forward)

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Read the call."""
        if BESIDE.owner is not None:
            return
        arguments = self._signature.bind_partial(self._denoiser, *args, **kwargs).arguments
        self._reading.begin_call(self._denoiser, dict(list(arguments.items())[1:]))

    def after(self, result: Any) -> None:
        """Note that it returned."""
        if BESIDE.owner is None:
            self._reading.end_call()


class LayerReader:
    """What a tracer is to one layer.

    Args:
        reading: What has been seen of the pipeline.
        layer: The layer.
        selection: What is added up.
        text: Whether the words' attention is.
        image: Whether the attention among the image's places is.
        extras: Whether attribution prompts are compared here, and outputs handed on.
    """

    def __init__(
        self, reading: Reading, layer: Layer, selection: Selection, *, text: bool, image: bool, extras: bool
    ) -> None:
        self.name = layer.name
        self._reading, self._layer, self._selection = reading, layer, selection
        self._text, self._image, self._extras = text, image, extras
        self._outputs = threading.local()

    def listen(self, states: Tensor, text: Any) -> list[AttentionSink]:
        """Return where the generation of this thread adds the call up."""
        generation = self._reading.counted()
        if generation is None or BESIDE.owner not in (None, self._reading):
            return []
        sinks: list[AttentionSink] = []
        if BESIDE.owner is None:
            if self._text:
                sinks += generation.listen(self._layer, self._selection, states)
            if self._image:
                sinks += generation.listen_to_self(self._layer, self._selection, states)
        wanted = generation.extra or self._selection.outputs or self._selection.queries
        if self._extras and wanted is not None:
            from daam_bench.attribution.extra_sinks import listen_for_extras

            sinks += listen_for_extras(generation, self._layer, self._selection, self._outputs, states)
        return sinks


def _as_tuple(prompt: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (prompt,) if isinstance(prompt, str) else None if prompt is None else tuple(prompt)


class EndListener:
    """Hears that the pipeline has its images."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Wait for the end."""

    def after(self, result: Any) -> None:
        """End the generation."""
        if (generation := self._reading.current()) is not None:
            generation.finish()


def install(hooks: ExitStack, reading: Reading, traced: Sequence[tuple[Any, tuple[Layer, ...]]]) -> None:
    """Install every hook of a trace.

    Args:
        hooks: What removes them.
        reading: What will have been seen of the pipeline.
        traced: Each denoiser with its traced layers.
    """
    pipeline, architecture, selection = reading.pipeline, reading.architecture, reading.selection
    encode = CallHook.of(pipeline, "encode_prompt")
    encode.attach(hooks, EncodingListener(reading, encode.original))
    if hasattr(pipeline, "maybe_free_model_hooks"):
        CallHook.of(pipeline, "maybe_free_model_hooks").attach(hooks, EndListener(reading))
    for name in architecture.encoders:
        if isinstance(encoder := getattr(pipeline, name, None), torch.nn.Module):
            hear_calls(hooks, encoder, EncoderListener(reading, name))
    for denoiser, layers in traced:
        hear_calls(hooks, denoiser, DenoiserListener(reading, denoiser))
        for layer, reader in _readers(reading, denoiser, layers):
            AttentionHook.of(layer.module, "forward").attach(hooks, reader)
        if selection.attribution_prompts is not None:
            from daam_bench.attribution.extra_text import BlockHook, BlockListener, riding_blocks

            for block in riding_blocks(architecture, denoiser):
                BlockHook.of(block, "forward").attach(hooks, BlockListener(reading, reading.riding))


def _readers(reading: Reading, denoiser: Any, layers: Sequence[Layer]) -> Iterator[tuple[Layer, LayerReader]]:
    """Yield the layers to read: those traced, and those of self-attention where the family has them apart."""
    selection, apart = reading.selection, reading.architecture.self_layers
    words, places = "cross" in selection.attention, "self" in selection.attention
    for layer in layers:
        together = places and apart is None
        yield layer, LayerReader(reading, layer, selection, text=words, image=together, extras=True)
    if places and apart is not None:
        for layer in apart(denoiser):
            yield layer, LayerReader(reading, layer, selection, text=False, image=True, extras=False)
