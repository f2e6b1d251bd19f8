"""AnchorDiff: a concept's best place, spread over a graph of the image's places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from daam_bench.segmenters.concept_attention import last_double_layers
from daam_bench.segmenters.generator_method import AttentionMethod, NounMaps
from daam_bench.segmenters.traced_image import EVERY_RESOLUTION, TracedImage
from daam_bench.types import Query
from daam_bench.types.errors import InputError


@dataclass(kw_only=True, eq=False)
class AnchorDiff(AttentionMethod):
    """AnchorDiff (arXiv 2605.26460): an anchor by attention, spread where outputs and attention agree.

    Each noun rides along as a concept that nothing of the generation sees. The place that it attends to most
    is its anchor. From there a value spreads over a graph: two places are tied by the cosine of their
    attention outputs, as a mean over layers and steps, where the one attends to the other enough.

    Written from the abstract: anchor, graph, gate and spreading are the paper's; layers, gate's threshold and
    number of steps are ours.

    Args:
        first: Where the layers begin, as a share of the double blocks; that of `concept-attention`.
        gate: A place is tied to those that it attends to at least so many times as much as on average, and
            to itself.
        power: The cosine, where positive, is taken to this power: the larger, the crisper.
        spreads: How often the value is passed on.
    """

    name: ClassVar[str] = "anchor-diff"
    needs: ClassVar[str] = "joint attention (Stable Diffusion 3, FLUX ...)"
    calls: ClassVar[str] = "1 generation, its double blocks twice"
    paper: ClassVar[str] = "arXiv 2605.26460"

    first: float = 15 / 19
    gate: float = 1.0
    power: float = 4.0
    spreads: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.first < 1:
            raise InputError(f"first is a share of the double blocks, in [0, 1), not {self.first!r}")
        if self.gate < 0 or self.power <= 0:
            raise InputError(
                f"gate must be at least 0 and power above 0, not {self.gate!r} and {self.power!r}"
            )
        if not isinstance(self.spreads, int) or self.spreads < 1:
            raise InputError(f"spreads must be a whole number of at least 1, not {self.spreads!r}")
        self._sums: dict[str, Any] = {}

    def traces(self, pipeline: Any, queries: Sequence[Query]) -> Sequence[Mapping[str, Any]]:
        """Trace the last double blocks, with the nouns riding along."""
        sums: dict[str, Any] = {}
        self._sums = sums

        def add(outputs: Any) -> None:
            image = outputs.image.float()
            image = image / image.norm(dim=-1, keepdim=True).clamp_min(1e-12)
            sums["cosines"] = sums.get("cosines", 0) + image @ image.transpose(1, 2)
            sums["concepts"] = sums.get("concepts", 0) + outputs.to_image
            sums["count"] = sums.get("count", 0) + 1

        return [
            {
                "layers": last_double_layers(pipeline, self.first, self.name),
                "attention": ("cross", "self"),
                "resolutions": EVERY_RESOLUTION,
                "attribution_prompts": [" ".join(_concepts(query)) for query in queries],
                "outputs": add,
            }
        ]

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return the spread value of each noun."""
        size, attention = image.finest_self_attention()
        cosines = (self._sums["cosines"][image.row] / self._sums["count"]).cpu().numpy()
        tied = (attention * len(attention) >= self.gate) | np.eye(len(attention), dtype=np.bool_)
        graph = np.where(tied, np.maximum(cosines, 0) ** self.power, 0)
        graph /= np.maximum(graph.sum(axis=-1, keepdims=True), 1e-12)
        concepts = _concepts(image.query)
        attended = self._sums["concepts"][image.row].cpu().numpy()
        by_concept: dict[str, NDArray[np.float32]] = {}
        start = 0
        for concept in concepts:
            end = start + len(concept)
            weights = image.attribution.token_weights(start, end)
            by_concept[concept] = _spread(graph, int(np.argmax(weights @ attended)), self.spreads)
            start = end + 1
        return [by_concept[noun.lemma].reshape(size) for noun in image.query.nouns]


def _spread(graph: NDArray[np.float32], anchor: int, times: int) -> NDArray[np.float32]:
    """Return what places receive of a value at the anchor, passed on so many times; its maximum is 1."""
    values = np.zeros(len(graph), dtype=np.float32)
    values[anchor] = 1
    for _ in range(times):
        values = graph @ values
        values /= max(float(values.max()), 1e-12)
    return values


def _concepts(query: Query) -> list[str]:
    return list(dict.fromkeys(noun.lemma for noun in query.nouns)) or ["thing"]
