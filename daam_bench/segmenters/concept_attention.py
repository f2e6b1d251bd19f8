"""ConceptAttention: the outputs of joint attention for the image and for concepts that ride along."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from daam_bench.segmenters.generator_method import AttentionMethod, NounMaps
from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types import FloatMap, Query
from daam_bench.types.errors import InputError


@dataclass(kw_only=True, eq=False)
class ConceptAttention(AttentionMethod):
    """ConceptAttention (arXiv 2502.04320): the image's attention outputs times the concepts'.

    Concepts ride along as a text that sees itself and the image, and that nothing of the generation sees. A
    concept's score at a place is the dot product of the two outputs of attention there, as a mean over
    layers and steps; its map is the softmax of the scores over concepts.

    Not done: the method encodes each concept by itself and takes its first T5 token; here the concepts are
    the words of one text, and each is the mean over its tokens.

    Args:
        others: Concepts beside the image's nouns, for the softmax to tell them from; ours, for a lone noun's
            map would be 1 everywhere.
        first: Where the layers begin, as a share of the double blocks: the method's code takes the last 4 of
            FLUX's 19.
    """

    name: ClassVar[str] = "concept-attention"
    needs: ClassVar[str] = "joint attention (Stable Diffusion 3, FLUX ...)"
    calls: ClassVar[str] = "1 generation, its double blocks twice"
    paper: ClassVar[str] = "arXiv 2502.04320"

    others: Sequence[str] = ("background",)
    first: float = 15 / 19

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.others, str) or not self.others:
            raise InputError(f"others must be one or more concepts in a list, not {self.others!r}")
        if not 0 <= self.first < 1:
            raise InputError(f"first is a share of the double blocks, in [0, 1), not {self.first!r}")
        self._scores: dict[str, Any] = {}

    def traces(self, pipeline: Any, queries: Sequence[Query]) -> Sequence[Mapping[str, Any]]:
        """Trace the last double blocks, with the concepts riding along."""
        sums: dict[str, Any] = {}
        self._scores = sums

        def add(outputs: Any) -> None:
            scores = outputs.image.float() @ outputs.attribution.float().transpose(1, 2)
            sums["scores"] = sums.get("scores", 0) + scores
            sums["count"] = sums.get("count", 0) + 1

        return [
            {
                "layers": last_double_layers(pipeline, self.first, self.name),
                "attribution_prompts": [self._text(query) for query in queries],
                "outputs": add,
            }
        ]

    def noun_maps(self, image: TracedImage) -> NounMaps:
        """Return the nouns' rows of the softmax over concepts."""
        tokens = (self._scores["scores"][image.row] / self._scores["count"]).cpu().numpy()
        height, width = image.size
        concepts = self._concepts(image.query)
        starts = np.cumsum([0, *(len(concept) + 1 for concept in concepts[:-1])])
        scores = np.stack(
            [
                tokens @ image.attribution.token_weights(int(start), int(start) + len(concept))
                for start, concept in zip(starts, concepts, strict=True)
            ]
        )
        maps: NDArray[np.float32] = _softmax(scores).reshape(-1, height, width)
        found: list[FloatMap] = list(maps)
        return [found[concepts.index(noun.lemma)] for noun in image.query.nouns]

    def _concepts(self, query: Query) -> list[str]:
        return list(dict.fromkeys((*(noun.lemma for noun in query.nouns), *self.others)))

    def _text(self, query: Query) -> str:
        return " ".join(self._concepts(query))


def last_double_layers(pipeline: Any, first: float, method: str) -> list[str]:
    """Return the names of a transformer's double blocks, from a share `first` of them on.

    Raises:
        InputError: It has none. The text names the method.
    """
    from daam_bench.attribution.architectures import traced_layers

    layers = [name for name, layer in traced_layers(pipeline).items() if layer.block == "double"]
    if not layers:
        raise InputError(
            f"{method} needs joint attention in double blocks, which {type(pipeline).__name__} has not"
        )
    return layers[math.floor(first * len(layers) + 1e-9) :]


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    exponents = np.exp(scores - scores.max(axis=0))
    shares: NDArray[np.float32] = (exponents / exponents.sum(axis=0)).astype(np.float32)
    return shares
