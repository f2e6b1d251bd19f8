"""What a traced image asked the text, kept so that any embedding can be compared with it, with gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from daam_bench.attribution.architectures import traced_layers
from daam_bench.attribution.extra_sinks import ImageQueries
from daam_bench.attribution.layout import upscale
from daam_bench.types.errors import InputError


class QuerySums:
    """The queries of a trace's images, summed over calls.

    A score is linear in the query, so that these sums hold all that raw scores over many steps depend on.

    Args:
        pipeline: The pipeline; to be traced with `queries=sums.add`.

    Raises:
        InputError: The pipeline can't be traced, or its keys are no function of the text alone.
    """

    def __init__(self, pipeline: Any) -> None:
        self._layers = traced_layers(pipeline)
        self._sums: dict[str, Any] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}
        if any(
            layer.block in ("double", "single")
            or getattr(layer.module, "to_k", None) is None
            or getattr(layer.module, "norm_k", None) is not None
            for layer in self._layers.values()
        ):
            raise InputError(
                "embeddings are compared in plain cross-attention, whose keys are to_k of the text alone; "
                f"{type(pipeline).__name__} has another"
            )

    def add(self, given: ImageQueries) -> None:
        """Take one call of one layer."""
        self._sums[given.layer] = self._sums.get(given.layer, 0) + given.queries
        self._sizes[given.layer] = given.size

    def maps(self, row: int, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the scores of embeddings in an image, summed over heads, layers and calls.

        Args:
            row: Number of the image in the trace.
            tokens: (tokens, channels), as the layers' keys get them; gradients reach them.
            size: (height, width) that layers are upscaled to, bicubically.

        Returns:
            float32 (tokens, height, width), of any sign.
        """
        total = tokens.new_zeros((len(tokens), *size), dtype=torch.float32)
        for name, queries in self._sums.items():
            layer = self._layers[name]
            like = next(layer.module.to_k.parameters())
            given = tokens.to(like.dtype)
            # Offloaded weights lie elsewhere than the queries: on the CPU, or nowhere until they run.
            given = given if like.is_meta else given.to(like.device)
            keys = layer.module.to_k(given).to(queries).unflatten(-1, (layer.heads, -1))
            scores = (queries[row] @ keys.permute(1, 2, 0)).sum(dim=0)
            maps = scores.T.unflatten(-1, self._sizes[name])
            total = total + upscale(maps, size, "bicubic", clamp=False).to(total)
        return total

    @contextmanager
    def texts(self) -> Iterator[list[Tensor]]:
        """Yield the texts (rows, positions, channels) that layers make keys of in the block, call by call."""
        seen: list[Tensor] = []
        with ExitStack() as hooks:
            for layer in self._layers.values():
                hook = layer.module.to_k.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
                hooks.callback(hook.remove)
            yield seen
