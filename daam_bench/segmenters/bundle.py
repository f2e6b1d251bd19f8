"""Several methods run together, so that those on attention share what is traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daam_bench.segmenters.attention_method import AttentionMethod, segment_together
from daam_bench.segmenters.base import Segmenter
from daam_bench.types import Query
from daam_bench.types.segmentations import Segmentation


class Bundle:
    """Methods that segment the same batches: one generation of an image serves all that trace it.

    Each method's `drift` is that of the last batch, as ever. Methods that are not on attention run one after
    the other. Pipelines are loaded once for methods with the same model, device and dtype.

    Args:
        methods: The methods.

    Attributes:
        methods: The methods.
    """

    def __init__(self, methods: Sequence[Segmenter]) -> None:
        self.methods = tuple(methods)
        self._groups: dict[Any, list[int]] = {}
        for index, method in enumerate(self.methods):
            key = method.pipeline_key() if isinstance(method, AttentionMethod) else index
            self._groups.setdefault(key, []).append(index)
        for members in self._groups.values():
            together = [one for index in members if isinstance(one := self.methods[index], AttentionMethod)]
            for method in together[1:]:
                method.pipelines = together[0].pipelines

    def segment(self, queries: Sequence[Query]) -> list[Sequence[Sequence[Segmentation]]]:
        """Return for each method what its `segment` returns."""
        found: dict[int, Sequence[Sequence[Segmentation]]] = {}
        for members in self._groups.values():
            methods = [self.methods[index] for index in members]
            together = [method for method in methods if isinstance(method, AttentionMethod)]
            if together:
                found |= dict(zip(members, segment_together(together, queries), strict=True))
            else:
                found[members[0]] = methods[0].segment(queries)
        return [found[index] for index in range(len(self.methods))]
