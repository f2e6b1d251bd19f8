"""Tracing each layer and each part of the steps alone: what `layers` generates, batch by batch. Resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daam_bench.analysis.layer_parts import Part, generated_parts, given_parts
from daam_bench.attribution.architectures import architecture_of, traced_layers
from daam_bench.diffusion.generate import DRIFT_TOLERANCE, scheduled_calls
from daam_bench.diffusion.pipelines import Pipelines, device_name
from daam_bench.engine import Pool, WholeJob, work_through
from daam_bench.files.json_lines import Line, LinesWriter
from daam_bench.files.outside import parse_record
from daam_bench.segmenters.traced_image import noun_maps, trace_queries
from daam_bench.types import RLE, Generation, PredictionsHeader, Query
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode

PARTS = "parts.jsonl"
"""In the folder of each split: what its parts attribute."""


@dataclass(frozen=True, slots=True)
class TracedPart:
    """What a part alone attributes in an image.

    Attributes:
        resolution: (height, width) of its maps, those of several layers upscaled.
        masks: One for each noun; None for a noun past the tokenizer's limit.
        share: Share in [0, 1] of its attention that goes to the start token; None for a text encoder that
            begins without one.
    """

    part: Part
    resolution: tuple[int, int]
    masks: tuple[RLE | None, ...]
    share: float | None


@dataclass(frozen=True, slots=True)
class ImageParts:
    """A line of the file: what all parts attribute in an image; whether it came out unlike the dataset's."""

    id: str
    drifted: bool
    parts: tuple[TracedPart, ...]


def trace_parts(
    pool: Pool,
    model: tuple[str, str | None, str, str | None],
    batches: Sequence[list[Query]],
    path: Path,
    header: PredictionsHeader,
    *,
    part: WholeJob,
    progress: bool,
    restart: bool,
) -> list[ImageParts]:
    """Trace the parts of a split's images, into the file at `path`, and return those that it holds.

    Args:
        pool: Workers that are a `PartsWorker`.
        model: Model, revision and dtype to generate with.
        batches: All batches of the split.
        path: The file.
        header: Its header.
        part: Which of the batches are done here.
        progress: Show a bar.
        restart: Overwrite the file.
    """
    images: dict[str, ImageParts] = {}

    def note(lines: Iterator[Line]) -> None:
        for line in lines:
            image = _parse(line.record, f"{path}, line {line.number}")
            images[image.id] = image

    with LinesWriter(path, header, restart=restart, existing=note) as lines:
        elsewhere = part.records(lines.header, header.split, PARTS)

        def read(batch: Sequence[Query]) -> list[ImageParts]:
            return [_parse(record, path) for query in batch for record in elsewhere[query.id].read()]

        results = work_through(
            pool,
            batches,
            name=header.split,
            part=part,
            done=lambda batch: all(query.id in images for query in batch),
            elsewhere=lambda batch: (
                partial(read, batch) if all(query.id in elsewhere for query in batch) else None
            ),
            first=model,
            progress=progress,
        )
        for _, traced in results:
            new = [image for image in traced if image.id not in images]
            lines.write(map(asdict, new))
            images |= {image.id: image for image in new}
    return [images[query.id] for batch in batches for query in batch if query.id in images]


def _parse(record: Mapping[str, Any], place: Path | str) -> ImageParts:
    try:
        return parse_record(ImageParts, record)
    except InputError as error:
        raise InputError(
            f"{place} is no record of `layers` ({error}); use --restart to make it again"
        ) from None


class PartsWorker:
    """A worker that traces all parts over batches of queries; it hears of their model first."""

    def __init__(self, tau: float, bins: int, device: str, dtype: str | None, offload: str | None) -> None:
        self._tau, self._bins, self._pipelines = tau, bins, Pipelines(device, dtype, offload)
        self._model: tuple[str, str | None, str, str | None] | None = None
        self.about: Mapping[str, Any] = {
            "dtype": self._pipelines.dtype,
            "device": device_name(self._pipelines.device),
        }

    def __call__(self, item: tuple[str, str | None, str, str | None] | list[Query]) -> list[ImageParts]:
        """Trace a batch, a list; or hear of the model of those that follow."""
        if isinstance(item, tuple):
            self._model = item
            return []
        assert self._model is not None
        return _trace(self._pipelines.get(*self._model), item, bins=self._bins, tau=self._tau)


def prepare(pipeline: Any, generation: Generation | None, bins: int) -> list[Part]:
    """Return the parts of a generation, whose scheduler the pipeline gets, or (None) of given images.

    Raises:
        InputError: There are more bins than steps, or diffusers has no such scheduler.
    """
    layers, usual = traced_layers(pipeline), architecture_of(pipeline).blocks
    if generation is None:
        from daam_bench.diffusion.noise import TIMESTEPS

        return given_parts(layers, usual, TIMESTEPS)
    calls = scheduled_calls(pipeline, generation)
    return generated_parts(layers, usual, steps=generation.steps, calls=calls, bins=bins)


def start_token_share(
    layer_maps: Mapping[str, NDArray[np.float32]], heads: Mapping[str, int], steps: float
) -> float:
    """Return the share of the attention that goes to the start token, each head of each layer alike.

    The probabilities of one head at one place add up to 1 over all keys (tokens that no word of the prompt
    has included, and in joint attention the image's), so the whole is the number of heads times that of
    steps.

    Args:
        layer_maps: Layer -> its maps (tokens, h, w), summed over heads and steps; the start token's is first.
        heads: Layer -> its number of heads.
        steps: How many inference steps the maps are sums over.

    >>> start_token_share({"a": np.full((3, 2, 2), 1.5), "b": np.full((3, 1, 1), 0.5)}, {"a": 2, "b": 2}, 2)
    0.25
    """
    to_start = sum(float(maps[0].mean()) for maps in layer_maps.values())
    return to_start / (steps * sum(heads[layer] for layer in layer_maps))


def _trace(pipeline: Any, queries: Sequence[Query], *, bins: int, tau: float) -> list[ImageParts]:
    """Trace each part over a batch."""
    from daam_bench.attribution.selection import make_selection

    parts = prepare(pipeline, queries[0].generation, bins)
    heads = {name: layer.heads for name, layer in traced_layers(pipeline).items()}
    selections = [make_selection(**part.selection) for part in parts]
    tracers, drift = trace_queries(pipeline, queries, selections, again=True)
    traced: list[list[TracedPart]] = [[] for _ in queries]
    for part, tracer in zip(parts, tracers, strict=True):
        image_maps, layer_maps = tracer.heat_maps(), tracer.layer_maps()
        shape = (layer_maps[0][part.name][0] if part.kind == "layer" else image_maps[0].token(0)).shape
        resolution = (int(shape[0]), int(shape[1]))
        for found, query, maps, by_layer in zip(traced, queries, image_maps, layer_maps, strict=True):
            masks = tuple(
                None if one is None else encode(one.resize(query.image.size).threshold(tau))
                for one in noun_maps(query, maps)
            )
            starts = maps.begins_with_special
            share = start_token_share(by_layer, heads, part.steps) if starts else None
            found.append(TracedPart(replace(part, selection={}), resolution, masks, share))
    return [
        ImageParts(query.id, drift.get(query.id, 0.0) > DRIFT_TOLERANCE, tuple(found))
        for query, found in zip(queries, traced, strict=True)
    ]
