"""The heat maps of a model whose cross-attention knows nothing: a control for attribution by attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from daam_bench.attribution.layout import Layer
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.attribution.selection import make_selection
from daam_bench.attribution.trace import Tracer
from daam_bench.attribution.trajectory import Trajectory, batch_of


@torch.no_grad()
def shuffled_maps(trajectory: Trajectory, *, seed: int = 0) -> ImageHeatMaps:
    """Trace a recorded generation's calls again with the weights of the traced layers shuffled.

    DAAM from weights that are shuffled within each matrix (Adebayo et al., "Sanity checks for saliency maps",
    2018, section 3.3): a map that looks like the trained model's doesn't depend on what attention learned.
    The weights are the old ones again afterwards.

    Args:
        trajectory: The recorded calls.
        seed: Seed of the permutations.
    """
    pipeline = trajectory.pipeline
    layers = trajectory.architecture.layers(trajectory.denoiser)
    with _shuffled(layers, seed), Tracer(pipeline, make_selection(), planned=False) as tracer:
        for encoding in trajectory.encodings:
            pipeline.encode_prompt(*encoding.args, **encoding.kwargs)
        for call in trajectory.calls:
            trajectory.denoiser(**batch_of([call]))
        tracer.finish()
    return tracer.heat_maps()[0]


@contextmanager
def _shuffled(layers: Sequence[Layer], seed: int) -> Iterator[None]:
    generator = torch.Generator("cpu").manual_seed(seed)
    kept: list[tuple[Any, torch.Tensor]] = []
    try:
        for layer in layers:
            for weight in layer.module.parameters():
                if weight.ndim < 2:
                    continue
                kept.append((weight, weight.detach().clone()))
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.detach().flatten()[order].view_as(weight))
        yield
    finally:
        for weight, value in kept:
            weight.data.copy_(value)
