"""Cross-attention weighted by the gradient of what the prompt does to the prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from daam_bench.segmenters.generator_method import GeneratorMethod
from daam_bench.segmenters.traced_image import TracedBatch, trace_queries
from daam_bench.types import Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


@dataclass(kw_only=True, eq=False)
class GradientAttention(GeneratorMethod):
    """Attention times its gradient, as in Chefer et al. (arXiv 2103.15679, equation 5): E_h((dS/dA * A)+).

    A are the attention probabilities of a layer for the image noised to t, E_h the mean over heads, + leaves
    out negatives. S is the squared difference between the predictions for the prompt and for an empty one,
    summed over the image; or what the prediction has in common with the true one. Layers are upscaled and
    added, time steps and noises too; a noun is the mean over its tokens.

    Args:
        timesteps: Time steps that the image is noised to.
        noises: Number of noises at each.
        score: "contrast" for the difference to an empty prompt, "target" for the dot product with the truth.
        blocks: Parts of the denoiser that are added up, as for `daam`.
    """

    name: ClassVar[str] = "gradient"
    calls: ClassVar[str] = "time steps x noises, each with its gradient, and with an empty prompt"
    paper: ClassVar[str] = "arXiv 2103.15679"

    timesteps: Sequence[int] = (200, 400, 600, 800)
    noises: int = 1
    score: str = "contrast"
    blocks: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.noises, int) or self.noises < 1:
            raise InputError(f"noises must be a whole number of at least 1, not {self.noises!r}")
        if self.score not in ("contrast", "target"):
            raise InputError(f"score must be 'contrast' or 'target', not {self.score!r}")

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap | None]]:
        """Return each noun's map at the latents' size; None for a noun past the tokenizer's limit.

        Raises:
            InputError: An image's model can't be loaded, traced or noised, or it is not known.
        """
        return [self._weighted(query) for query in queries]

    def _weighted(self, query: Query) -> list[HeatMap | None]:
        import torch

        from daam_bench.attribution.leaves import attention_leaves
        from daam_bench.attribution.selection import make_selection
        from daam_bench.diffusion.noise import NoisedImages, check_given_images

        pipeline = self.pipeline_of(query)
        check_given_images(pipeline, [query.prompt], [query.image], self.timesteps)
        selection = make_selection(blocks=self.blocks)
        tracers, _ = trace_queries(pipeline, [query], [selection], again=False, timesteps=self.timesteps[:1])
        traced = TracedBatch(pipeline, tracers[0], [query]).images[0]
        noised = NoisedImages(pipeline, [query.prompt], [query.image])
        empty = NoisedImages(pipeline, [""], [query.image])
        total: Any = 0
        for timestep in self.timesteps:
            for noise in range(self.seed, self.seed + self.noises):
                noisy = noised.noisy(timestep, noise)
                with torch.no_grad():
                    nothing = empty.predict(noisy, timestep)
                with torch.enable_grad(), attention_leaves(pipeline, blocks=self.blocks) as leaves:
                    predicted = noised.predict(noisy, timestep)
                    if self.score == "contrast":
                        score = ((predicted - nothing) ** 2).sum()
                    else:
                        score = (predicted * noised.target(timestep, noise)).sum()
                    gradients = torch.autograd.grad(score, [leaf.probabilities for leaf in leaves])
                for leaf, gradient in zip(leaves, gradients, strict=True):
                    product = leaf.text_columns((leaf.probabilities.detach() * gradient).clamp(min=0))[0]
                    total = total + _upscaled(product.mean(dim=0).T.cpu().numpy(), leaf.layout, traced.size)
        pipeline.maybe_free_model_hooks()
        maps = traced.words.with_values(np.asarray(total, np.float32))
        return [None if span is None else maps.word(*span) for span in traced.noun_spans]


def _upscaled(maps: Any, layout: Any, size: tuple[int, int]) -> Any:
    """Upscale a layer's maps (tokens, places) to (tokens, h, w), as DAAM does: bicubic, negatives to 0."""
    from daam_bench.attribution.selection import layer_size
    from daam_bench.types.heat_map import resize_weights

    places = maps.shape[1]
    own = layer_size(layout.grid, places)[1] if layout.halved else size
    assert math.prod(own) == places
    rows, columns = (resize_weights(own[side], size[side]) for side in (0, 1))
    return np.maximum(rows @ maps.reshape(-1, *own) @ columns.T, 0)
