"""Drop the word: where the prediction changes when the prompt lacks it. No attention is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from daam_bench.diffusion.generate import batches
from daam_bench.segmenters.generator_method import GeneratorMethod
from daam_bench.types import FloatMap, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


@dataclass(kw_only=True, eq=False)
class DropWord(GeneratorMethod):
    """The change of the denoiser's prediction when the noun is left out of the prompt, as in DiffEdit.

    D(x) = mean over time steps t and noises n of d(x, t, n) / mean_x d(x, t, n), where d is the mean over
    channels of |prediction(prompt) - prediction(prompt without the noun)| for the image noised to t with n.
    The contrast of two prompts is section 3.2 of DiffEdit (arXiv 2210.11427), which takes 10 noises at one
    strength and clips outliers. It works for any denoiser.

    Args:
        timesteps: Time steps that the image is noised to.
        noises: Number of noises at each.
        replacement: What stands in the noun's place, such as "thing"; empty for nothing.
    """

    name: ClassVar[str] = "drop-word"
    calls: ClassVar[str] = "(1 + nouns) x time steps x noises"
    paper: ClassVar[str] = "arXiv 2210.11427"

    timesteps: Sequence[int] = (200, 400, 600, 800)
    noises: int = 2
    replacement: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.noises, int) or self.noises < 1:
            raise InputError(f"noises must be a whole number of at least 1, not {self.noises!r}")

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap | None]]:
        """Return each noun's map at the latents' size; None where leaving it out changes nothing.

        Raises:
            InputError: An image's model can't be loaded or its images can't be noised, or it is not known.
        """
        return [self._changes(query) for query in queries]

    def _changes(self, query: Query) -> list[HeatMap | None]:
        import torch

        from daam_bench.diffusion.noise import predictions

        prompts = [query.prompt] + [
            query.prompt[: noun.start] + self.replacement + query.prompt[noun.end :] for noun in query.nouns
        ]
        pipeline, noises = self.pipeline_of(query), list(range(self.seed, self.seed + self.noises))
        parts = [
            predictions(pipeline, part, [query.image] * len(part), self.timesteps, noises).predicted
            for part in batches(prompts, self.batch_size or len(prompts))
        ]
        predicted = torch.cat(parts)
        changes = (predicted[1:] - predicted[:1]).abs().mean(dim=3).cpu().numpy()
        return [mean_change(change) for change in changes]


def mean_change(changes: np.ndarray[Any, Any]) -> HeatMap | None:
    """Return the mean of changes (..., h, w), each counting alike however large it is; None for no change."""
    flat: FloatMap = changes.reshape(-1, *changes.shape[-2:])
    means = flat.mean(axis=(1, 2), keepdims=True)
    if not means.any():
        return None
    return HeatMap(np.divide(flat, means, out=np.zeros_like(flat), where=means > 0).mean(axis=0))
