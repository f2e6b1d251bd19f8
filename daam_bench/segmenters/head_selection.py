"""DAAM over the heads that are most about a word."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from daam_bench.segmenters.daam import Daam
from daam_bench.segmenters.generator_method import NounMaps
from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types import FloatMap
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


@dataclass(kw_only=True, eq=False)
class HeadSelection(Daam):
    """DAAM summed over the heads most relevant to a noun, after selective aggregation (arXiv 2604.05906).

    That work ranks heads by head relevance vectors (arXiv 2412.02237), counted over thousands of generations
    with lists of concept words. Here a head's relevance to a noun is read from the image's own prompt: of the
    head's attention to the prompt's words, the share that the noun gets. The `share` most relevant heads of
    all layers are added up. With `heads` they are the same for every noun, and are the user's choice: say
    with `tuned_on` if masks were looked at for it.

    Args:
        share: Share of the heads to take, in (0, 1]; the paper takes 20 to 25 %.
        heads: The heads to take instead, as pairs of a layer's name and a head's number.
        tuned_on: The split whose masks `heads` were chosen on.
    """

    name: ClassVar[str] = "head-selection"
    paper: ClassVar[str] = "arXiv 2604.05906, 2412.02237"

    share: float = 0.25
    heads: Sequence[tuple[str, int]] | None = None
    tuned_on: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise InputError(f"share is the part of the heads to take, in (0, 1], not {self.share!r}")
        if self.heads is not None and (
            not self.heads or any(isinstance(pair, str) or len(pair) != 2 for pair in self.heads)
        ):
            raise InputError(f'heads are pairs such as ["up_blocks.1...attn2", 0], not {self.heads!r}')
        if self.tuned_on is not None:
            self.track = "tuned on masks"  # type: ignore[misc]

    def traced(self) -> Mapping[str, Any]:
        """Trace the blocks, head by head."""
        return {"blocks": self.blocks, "keep_heads": True}

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return each noun's sum over its heads."""
        height, width = image.size
        words = np.stack([image.words.token_weights(one.start, one.end) for one in image.words.words()])
        names = [(layer, head) for layer, maps in image.head_maps.items() for head in range(len(maps))]
        mass = np.concatenate([maps.mean(axis=(-2, -1)) for maps in image.head_maps.values()])
        per_word = mass @ words.T  # (heads, words)
        by_layer = {layer: image.nouns_of(maps) for layer, maps in image.head_maps.items()}
        found: list[HeatMap | None] = []
        for noun, weights in enumerate(image.noun_weights()):
            if weights is None:
                found.append(None)
                continue
            relevance = (mass @ weights) / np.maximum(per_word.sum(axis=1), 1e-12)
            total: FloatMap = np.zeros((height, width), dtype=np.float32)
            for layer, head in self._chosen(names, relevance):
                maps = by_layer[layer][noun]
                assert maps is not None
                total += HeatMap(maps[head]).resize((width, height)).values
            found.append(self.normalized(HeatMap(total), image))
        return found

    def _chosen(self, names: list[tuple[str, int]], relevance: np.ndarray[Any, Any]) -> list[tuple[str, int]]:
        if self.heads is None:
            count = math.ceil(self.share * len(names))
            return [names[index] for index in np.argsort(-relevance, kind="stable")[:count]]
        chosen = [(layer, int(head)) for layer, head in self.heads]
        if missing := [pair for pair in chosen if pair not in names]:
            raise InputError(
                f"the denoiser has no head {missing[0][1]} of a traced layer {missing[0][0]!r}; its layers: "
                f"{', '.join(dict.fromkeys(layer for layer, _ in names))}"
            )
        return chosen
