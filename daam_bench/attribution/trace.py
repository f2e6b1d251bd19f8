"""Tracing a diffusers pipeline: DAAM, section 2.2 of "What the DAAM" (arXiv 2210.04885)."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from daam_bench.attribution.capture import AttentionHook, LayerSum
from daam_bench.attribution.hooks import INSTALLING, ReturnHook, SharedHook
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.attribution.selection import Layer, Selection, make_selection, select_layers
from daam_bench.attribution.sums import GenerationSums
from daam_bench.attribution.tokens import count_tokens
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation

T = TypeVar("T")


def trace(
    pipeline: Any,
    *,
    blocks: Iterable[str] = ("down", "up"),
    resolutions: Collection[int] | None = None,
    layers: Iterable[str] | None = None,
    heads: Collection[int] | None = None,
    steps: Collection[int] | None = None,
    upscale: Interpolation = "bicubic",
) -> Tracer:
    """Trace the cross-attention of a pipeline, for use in a `with` statement.

    Inside the block the pipeline is called as ever, and generates the very same images. Several calls may be
    made; the maps come in the order of the images. Calls of other pipelines that share the UNet are left out.

    Probabilities are summed over steps; each head's map is upscaled to the latents' size, its negatives
    clamped to 0, and added to those of all heads and layers, as in castorini/daam (which takes their mean).

    Args:
        pipeline: A diffusers pipeline with a `UNet2DConditionModel`: Stable Diffusion 1 and 2, SDXL and their
            image-to-image, inpainting and ControlNet kin.
        blocks: "down", "up" and, on request, "mid".
        resolutions: Only layers whose maps are this many times smaller than the latents: 1, 2, 4, ...
        layers: Only these layers, by their names in the UNet, whatever their blocks; for one,
            "up_blocks.1.attentions.0.transformer_blocks.0.attn2".
        heads: Only these attention heads.
        steps: Only these UNet calls of each generation, from 0.
        upscale: "bicubic" (negatives clamped to 0) or "nearest".

    Returns:
        A tracer, for one `with` block.

    Raises:
        InputError: A pipeline that can't be traced, or a selection that names what isn't there.

    >>> with trace(pipeline) as tracer:                         # doctest: +SKIP
    ...     image = pipeline("a cat on the grass").images[0]
    >>> mask = tracer.heat_maps()[0]["cat"].resize(image.size).threshold(0.4)      # doctest: +SKIP
    """
    unet = getattr(pipeline, "unet", None)
    if unet is None or not hasattr(pipeline, "encode_prompt"):
        raise InputError(
            f"{type(pipeline).__name__} can't be traced: it has no UNet fed by a prompt; "
            "Stable Diffusion 1 and 2 and SDXL pipelines can"
        )
    if any(hasattr(module, "_orig_mod") or module._compiled_call_impl for module in unet.modules()):
        raise InputError(
            "a compiled UNet can't be traced: its attention is out of sight; trace it uncompiled"
        )
    selection = make_selection(
        blocks=blocks, resolutions=resolutions, layers=layers, heads=heads, steps=steps, upscale=upscale
    )
    return Tracer(pipeline, selection, select_layers(unet, selection))


class Tracer:
    """Sums up the cross-attention of a pipeline while its `with` block runs. Made by `trace`.

    Attributes:
        selection: What is added up.
        layers: Names of the traced layers.
    """

    def __init__(self, pipeline: Any, selection: Selection, layers: tuple[Layer, ...]) -> None:
        self.selection = selection
        self.layers = tuple(layer.name for layer in layers)
        self._pipeline = pipeline
        self._layers = layers
        self._generations: list[GenerationSums] = []
        self._hooks: ExitStack | None = None
        self._entered = False

    def __enter__(self) -> Self:
        with INSTALLING:
            if self._entered:
                raise InputError("this trace has been entered already; make a new one with trace(pipeline)")
            self._entered = True
            with ExitStack() as hooks:
                self._install(hooks)
                self._hooks = hooks.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._hooks is not None:
            self._hooks.close()
            self._hooks = None

    def finish(self) -> None:
        """End the generation of a hand-written denoising loop, each of whose UNet calls was one step.

        Such a loop starts with `pipeline.encode_prompt(...)` and calls `pipeline.unet(...)`. Calls of the
        pipeline itself need nothing of the kind.
        """
        if (generation := self._current()) is not None:
            generation.finish(steps_per_call=1.0)

    def heat_maps(self) -> list[ImageHeatMaps]:
        """Return the heat maps of every image generated in the block so far, in order.

        Raises:
            InputError: No image was generated, or the selection left nothing of it.
        """
        return [
            self._image_maps(generation, row, values)
            for generation in self._generated()
            for row, values in enumerate(generation.maps(self.selection.upscale).cpu().numpy())
        ]

    def layer_maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """Return every image's maps by layer, before upscaling: (tokens, h, w), summed over heads and steps.

        Raises:
            InputError: See `heat_maps`.
        """
        return [
            {name: layer[row].cpu().numpy() for name, layer in layers.items()}
            for generation in self._generated()
            for layers in [generation.layer_maps()]
            for row in range(generation.rows)
        ]

    def _generated(self) -> list[GenerationSums]:
        generated = [generation for generation in self._generations if generation.complete]
        if not generated:
            broken = " to the end" if self._generations else ""
            raise InputError(
                f"no image was generated{broken} inside the trace; call the traced pipeline in its block"
            )
        return generated

    def _image_maps(self, generation: GenerationSums, row: int, values: NDArray[np.float32]) -> ImageHeatMaps:
        prompts = generation.prompts
        prompt = prompts[row * len(prompts) // generation.rows] if prompts else None
        return ImageHeatMaps(values, prompt, self._tokenizers(), no_words=generation.no_words)

    def _tokenizers(self) -> tuple[Any, ...]:
        present = (getattr(self._pipeline, name, None) for name in ("tokenizer", "tokenizer_2"))
        return tuple(tokenizer for tokenizer in present if tokenizer is not None)

    def _install(self, hooks: ExitStack) -> None:
        """Install every hook, each with its removal registered first."""
        pipeline, unet = self._pipeline, self._pipeline.unet
        encode = ReturnHook.of(pipeline, "encode_prompt")
        signature = inspect.signature(encode.original)

        def begin(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._begin(result, signature.bind(*args, **kwargs).arguments)

        def finish(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if (generation := self._current()) is not None:
                generation.finish()

        _listen(hooks, encode, begin)
        if hasattr(pipeline, "maybe_free_model_hooks"):
            _listen(hooks, ReturnHook.of(pipeline, "maybe_free_model_hooks"), finish)
        hooks.callback(unet.register_forward_pre_hook(self._before_unet, with_kwargs=True).remove)
        hooks.callback(unet.register_forward_hook(self._after_unet).remove)
        for layer in self._layers:
            _listen(hooks, AttentionHook.of(layer.module, "forward"), _LayerOfTracer(self, layer))

    def _current(self) -> GenerationSums | None:
        """Return the open generation of the current thread, if there is one."""
        here = threading.get_ident()
        latest = next((one for one in reversed(self._generations) if one.thread == here), None)
        return None if latest is None or latest.finished else latest

    def _begin(self, result: Any, arguments: dict[str, Any]) -> None:
        embeddings = result[0] if isinstance(result, tuple) else result
        prompts, tokens, no_words = _as_list(arguments.get("prompt")), None, None
        if prompts is not None:
            tokenizers, convert = self._tokenizers(), getattr(self._pipeline, "maybe_convert_prompt", None)
            if _as_list(arguments.get("prompt_2")) not in (None, prompts):
                no_words = "prompt and prompt_2 differ, so that a position holds a token of each"
            elif convert is not None and convert(prompts, tokenizers[0]) != prompts:
                no_words = "the prompt holds a textual inversion of several vectors, which moves its tokens"
            else:
                tokens = max(count_tokens(tokenizer, prompts) for tokenizer in tokenizers)
        self._generations.append(GenerationSums(prompts, embeddings.shape[0], tokens, no_words))

    def _before_unet(self, unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if (generation := self._current()) is not None:
            generation.begin_call(args[0] if args else kwargs["sample"], self._pipeline.scheduler)

    def _after_unet(self, unet: Any, args: tuple[Any, ...], result: Any) -> None:
        if (generation := self._current()) is not None:
            generation.end_call()

    def _listen(self, layer: Layer, image: Tensor, text: Any) -> LayerSum | None:
        generation = self._current()
        return None if generation is None else generation.listen(layer, self.selection, image, text)


class _LayerOfTracer:
    """What a tracer is to one layer: the listener of its hook."""

    def __init__(self, tracer: Tracer, layer: Layer) -> None:
        self.name = layer.name
        self._tracer = tracer
        self._layer = layer

    def listen(self, image: Tensor, text: Any) -> LayerSum | None:
        """Pass the question on to the tracer."""
        return self._tracer._listen(self._layer, image, text)


def _listen(hooks: ExitStack, hook: SharedHook[T], listener: T) -> None:
    hooks.callback(hook.stop, listener)
    hook.start(listener)


def _as_list(prompt: str | list[str] | None) -> list[str] | None:
    return [prompt] if isinstance(prompt, str) else prompt
