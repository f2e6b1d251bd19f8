"""OVAM: words of a prompt of their own, compared with the image while it is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from daam_bench.segmenters.generator_method import AttentionMethod, NounMaps
from daam_bench.segmenters.traced_image import TracedImage
from daam_bench.types import Query
from daam_bench.types.errors import InputError


@dataclass(kw_only=True, eq=False)
class Ovam(AttentionMethod):
    """OVAM (arXiv 2403.14291): attention to an attribution prompt that the generation never sees.

    For each noun the text "An image of a {}" is encoded by itself. Its keys are compared with the image
    queries of every cross-attention layer and step: scaled scores, no softmax, summed over heads, layers and
    steps, each map shifted to begin at 0. In joint attention the text rides along through the double blocks.

    Not done: tokens optimised on an annotated image, which see masks, are the method `ovam-tokens`; the dense
    CRF afterwards.

    Args:
        template: The attribution prompt; "{}" is the noun's dictionary form.
        scores: "raw", or "softmax" over the attribution prompt.
        blocks: Parts of the denoiser that are added up, as for `daam`.
    """

    name: ClassVar[str] = "ovam"
    calls: ClassVar[str] = "1 generation, and 1 call for each noun"
    paper: ClassVar[str] = "arXiv 2403.14291"

    template: str = "An image of a {}"
    scores: str = "raw"
    blocks: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{}" not in self.template:
            raise InputError(f"template must have a place {{}} for the noun, not {self.template!r}")
        if self.scores not in ("raw", "softmax"):
            raise InputError(f"scores must be 'raw' or 'softmax', not {self.scores!r}")

    def traces(self, pipeline: Any, queries: Sequence[Query]) -> Sequence[Mapping[str, Any]]:
        """Trace once for the first noun of each image, once for the second, and so on."""
        most = max(1, *(len(query.nouns) for query in queries))
        return [
            {
                "blocks": self.blocks,
                "attribution_prompts": [self._prompt(query, noun) for query in queries],
                "attribution_scores": self.scores,
            }
            for noun in range(most)
        ]

    def maps_of(self, images: Sequence[TracedImage]) -> NounMaps:
        """Return each noun's map from its own trace."""
        return [
            image.attribution.word(*self._span(noun.lemma))
            for noun, image in zip(images[0].query.nouns, images, strict=False)
        ]

    def _prompt(self, query: Query, noun: int) -> str:
        # An image with fewer nouns than another of its batch has its last one's text again.
        lemmas = [one.lemma for one in query.nouns] or ["thing"]
        return self.template.replace("{}", lemmas[min(noun, len(lemmas) - 1)])

    def _span(self, lemma: str) -> tuple[int, int]:
        start = self.template.index("{}")
        return start, start + len(lemma)
