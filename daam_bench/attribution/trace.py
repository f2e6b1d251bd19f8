"""Tracing a diffusers pipeline: DAAM, section 2.2 of "What the DAAM" (arXiv 2210.04885)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from daam_bench.attribution.architectures import architecture_of, denoisers_of
from daam_bench.attribution.calls import Reading
from daam_bench.attribution.hooks import INSTALLING
from daam_bench.attribution.listeners import install
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.attribution.selection import LayerChoice, Selection, make_selection, select_layers
from daam_bench.attribution.sums import TracedGeneration
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation

if TYPE_CHECKING:
    from daam_bench.attribution.extra_sinks import ImageQueries
    from daam_bench.attribution.extra_text import AttentionOutputs


def trace(
    pipeline: Any,
    *,
    blocks: str | Iterable[str] | None = None,
    resolutions: Iterable[int] | None = None,
    layers: LayerChoice | Iterable[LayerChoice] | None = None,
    heads: Iterable[int] | None = None,
    steps: Iterable[int] | None = None,
    streams: str | Iterable[str] | None = None,
    normalize_over: str = "all",
    upscale: Interpolation = "bicubic",
    attention: str | Iterable[str] = ("cross",),
    keep_heads: bool = False,
    attribution_prompts: str | Sequence[str] | None = None,
    attribution_scores: str = "raw",
    outputs: Callable[[AttentionOutputs], None] | None = None,
    queries: Callable[[ImageQueries], None] | None = None,
) -> Tracer:
    """Trace the attention of a pipeline to its prompt, for use in a `with` statement.

    Inside the block the pipeline is called as ever, and generates the very same images. Several calls may be
    made; the maps come in the order of the images. Calls of other pipelines that share the denoiser are left
    out.

    Probabilities are summed over steps; each head's map is upscaled to the latents' size, its negatives
    clamped to 0, and added to those of all heads and layers, as in castorini/daam (which takes their
    mean). In joint attention (SD3, FLUX) the definition is the same: image queries, the softmax over
    all keys, the text's columns kept.

    Args:
        pipeline: A diffusers pipeline whose denoiser is of a family that is known here: the UNets of Stable
            Diffusion 1, 2 and XL, and the transformers of `docs/models.md`.
        blocks: Parts of the denoiser. UNet: "down" and "up" by default, and on request "mid". Joint
            attention: "double" and "single", all by default.
        resolutions: Only layers whose maps are this many times smaller than the latents: 1, 2, 4, ...
        layers: Only these layers, whatever their blocks: by their names in the denoiser, by their places in
            its list (`range(15, 19)`, `slice(9, 10)`, 3), or all of a block ("double").
        heads: Only these attention heads.
        steps: Only these denoiser calls of each generation, from 0.
        streams: Look words up only in these runs of the text ("clip", "t5"); by default in all that
            hold them.
        normalize_over: "all" as the model computes it; "text" for a softmax over all text positions alone,
            padding and templates included.
        upscale: "bicubic" (negatives clamped to 0) or "nearest".
        attention: "cross" for words; with "self" also the attention among the image's places.
        keep_heads: Keep each head's sum, for `Tracer.head_maps`; it takes that many times the memory.
        attribution_prompts: Other texts, one a prompt or one for all, each encoded by itself. Their keys are
            compared with the image's queries, and nothing of the generation sees them: see
            `Tracer.attribution_maps`. In joint attention they pass through the "double" blocks.
        attribution_scores: "raw" for sums of scaled products of queries and keys; "softmax" for shares of
            the attribution text's keys.
        outputs: Called with the outputs of each traced layer of joint attention, call by call.
        queries: Called with the image's queries of each traced layer of cross-attention, call by call.

    Returns:
        A tracer, for one `with` block.

    Raises:
        InputError: A pipeline that can't be traced, or a selection that names what isn't there.

    >>> with trace(pipeline) as tracer:                         # doctest: +SKIP
    ...     image = pipeline("a cat on the grass").images[0]
    >>> mask = tracer.heat_maps()[0]["cat"].resize(image.size).threshold(0.4)      # doctest: +SKIP
    """
    selection = make_selection(
        blocks=blocks,
        resolutions=resolutions,
        layers=layers,
        heads=heads,
        steps=steps,
        streams=streams,
        normalize_over=normalize_over,
        upscale=upscale,
        attention=attention,
        keep_heads=keep_heads,
        attribution_prompts=attribution_prompts,
        attribution_scores=attribution_scores,
        outputs=outputs,
        queries=queries,
    )
    return Tracer(pipeline, selection)


class Tracer:
    """Sums up the attention of a pipeline to its prompt while its `with` block runs. Made by `trace`.

    Args:
        pipeline: The pipeline.
        selection: What is added up.
        planned: Whether the pipeline's scheduler says how many calls a generation has.

    Attributes:
        selection: What is added up.
        layers: Names of the traced layers.

    Raises:
        InputError: See `trace`.
    """

    def __init__(self, pipeline: Any, selection: Selection, *, planned: bool = True) -> None:
        self.selection = selection
        architecture = architecture_of(pipeline)
        self._traced = [
            (denoiser, select_layers(architecture.layers(denoiser), selection, architecture.blocks))
            for denoiser in denoisers_of(pipeline)
        ]
        callbacks = selection.outputs or selection.queries
        if selection.attribution_prompts or callbacks or "self" in selection.attention:
            from daam_bench.attribution.other_prompts import check_extras

            check_extras(pipeline, architecture, self._traced[0], selection)
        self.layers = tuple(layer.name for _, layers in self._traced[:1] for layer in layers)
        self._reading: Reading | None = Reading(pipeline, architecture, selection, planned=planned)
        self._generations = self._reading.generations
        self._hooks: ExitStack | None = None
        self._entered = False

    def __enter__(self) -> Self:
        with INSTALLING:
            if self._entered or self._reading is None:
                raise InputError("this trace has been entered already; make a new one with trace(pipeline)")
            self._entered = True
            with ExitStack() as hooks:
                install(hooks, self._reading, self._traced)
                self._hooks = hooks.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._hooks is not None:
            self._hooks.close()
            self._hooks = None
            self._reading = None  # a tracer that is kept for its maps keeps no pipeline alive
            self._traced = []

    def finish(self) -> None:
        """End the generation of a hand-written denoising loop, each of whose denoiser calls was one step.

        Such a loop starts with `pipeline.encode_prompt(...)` and calls `pipeline.unet(...)`. Calls of the
        pipeline itself need nothing of the kind.
        """
        if self._reading is not None and (generation := self._reading.current()) is not None:
            generation.finish(steps_per_call=1.0)

    def heat_maps(self) -> list[ImageHeatMaps]:
        """Return the heat maps of every image generated in the block so far, in the order of the images.

        Raises:
            InputError: No image was generated, or the selection left nothing of it.
        """
        return [
            self._image_maps(generation, row, values)
            for generation in self._complete()
            for row, values in enumerate(generation.maps(self.selection.upscale).cpu().numpy())
        ]

    def layer_maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """Return every image's maps by layer, before upscaling: (tokens, h, w), summed over heads and steps.

        Raises:
            InputError: See `heat_maps`.
        """
        return [
            {name: layer[row].cpu().numpy() for name, layer in layers.items()}
            for generation in self._complete()
            for layers in [generation.layer_maps()]
            for row in range(generation.rows)
        ]

    def attribution_maps(self) -> list[ImageHeatMaps]:
        """Return every image's heat maps by the words of its attribution prompt.

        They are sums over heads, layers and steps. Without the softmax scores have any sign, and each map is
        shifted to begin at 0.

        Raises:
            InputError: No image was generated, or the trace was made without attribution prompts.
        """
        found = []
        for generation in self._complete():
            values = generation.attribution_maps(self.selection.upscale).cpu().numpy()
            extra = generation.extra
            assert extra is not None
            prompts = extra.encodings[0].prompts or ()
            for row, own in enumerate(values):
                place = row * len(prompts) // len(values)
                streams = tuple(stream.prompt for stream in extra.streams[place])
                found.append(ImageHeatMaps(own, prompts[place], streams, positions=extra.kept))
        return found

    def head_maps(self) -> list[dict[str, NDArray[np.float32]]]:
        """Return every image's maps by layer and head, before upscaling: (heads, tokens, h, w), over steps.

        Raises:
            InputError: See `heat_maps`; or the trace was made without `keep_heads`.
        """
        if not self.selection.keep_heads:
            raise InputError("each head's maps were not kept: trace with keep_heads=True")
        return [
            {name: layer[row].cpu().numpy() for name, layer in layers.items()}
            for generation in self._complete()
            for layers in [generation.head_maps()]
            for row in range(generation.rows)
        ]

    def self_attention(self) -> list[dict[tuple[int, ...], NDArray[np.float32]]]:
        """Return every image's attention among its own places, by map size.

        Each is a float32 array (places, places), row-major over the map: how much a place (row) attends to
        each place, as a mean over heads, layers and steps. In joint attention the text has the rest of a row.

        Raises:
            InputError: No image was generated, or the trace was made without attention="self".
        """
        return [
            {size: total[row].cpu().numpy() for size, total in by_size.items()}
            for generation in self._complete()
            for by_size in [generation.self_attention()]
            for row in range(generation.rows)
        ]

    def _complete(self) -> list[TracedGeneration]:
        complete = [generation for generation in self._generations if generation.complete]
        if not complete:
            broken = " to the end" if self._generations else ""
            raise InputError(
                f"no image was generated{broken} inside the trace; call the traced pipeline in its block, "
                "and let it encode the prompt there"
            )
        return complete

    def _image_maps(
        self, generation: TracedGeneration, row: int, values: NDArray[np.float32]
    ) -> ImageHeatMaps:
        prompts = generation.encoding.prompts
        place = row * len(prompts) // generation.rows if prompts else 0
        streams = () if generation.streams is None else tuple(generation.streams[place])
        if self.selection.streams is not None and streams:
            there = [stream.name for stream in streams]
            for name in self.selection.streams:
                if name not in there:
                    raise InputError(f"there is no stream {name!r}; the prompt is in {', '.join(there)}")
            streams = tuple(stream for stream in streams if stream.name in self.selection.streams)
        return ImageHeatMaps(
            values,
            prompts[place] if prompts else None,
            tuple(stream.prompt for stream in streams),
            positions=generation.kept,
            no_words=generation.no_words,
        )
