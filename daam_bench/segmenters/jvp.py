"""The derivative of the prediction along a word's embedding, at every place at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from daam_bench.diffusion.generate import batches
from daam_bench.segmenters.drop_word import mean_change
from daam_bench.segmenters.generator_method import GeneratorMethod
from daam_bench.segmenters.traced_image import TracedBatch, trace_queries
from daam_bench.types import Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


@dataclass(kw_only=True, eq=False)
class Jvp(GeneratorMethod):
    """How fast the prediction changes at each place as a noun's embedding fades into an empty prompt's.

    For the image noised to t, d(x) is the mean over channels of |J v|, where J is the Jacobian of the
    prediction with respect to the text embedding and v = c - c0 at the noun's tokens, 0 elsewhere; c is the
    prompt's embedding, c0 an empty prompt's. One forward-mode derivative gives all places. It is taken at
    c0 + a (c - c0) for each a of `points` (several are integrated gradients, arXiv 1703.01365), and averaged
    as `drop-word` does.

    Args:
        timesteps: Time steps that the image is noised to.
        noises: Number of noises at each.
        points: Where between an empty prompt (0) and the prompt (1) the derivative is taken.
    """

    name: ClassVar[str] = "jvp"
    calls: ClassVar[str] = "time steps x noises x points derivatives, each for all nouns"
    paper: ClassVar[str] = "arXiv 1703.01365"

    timesteps: Sequence[int] = (200, 400, 600, 800)
    noises: int = 1
    points: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.noises, int) or self.noises < 1:
            raise InputError(f"noises must be a whole number of at least 1, not {self.noises!r}")
        if not isinstance(self.points, list | tuple) or not self.points:
            raise InputError(f"points must be numbers in [0, 1], not {self.points!r}")
        if not all(0 <= point <= 1 for point in self.points):
            raise InputError(f"points must be numbers in [0, 1], not {self.points!r}")

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap | None]]:
        """Return each noun's map at the latents' size; None for a noun past the tokenizer's limit.

        Raises:
            InputError: An image's model can't be loaded, traced or noised, or it is not known.
        """
        return [self._maps(query) for query in queries]

    def _maps(self, query: Query) -> list[HeatMap | None]:
        from daam_bench.attribution.selection import make_selection
        from daam_bench.diffusion.noise import check_given_images

        pipeline = self.pipeline_of(query)
        check_given_images(pipeline, [query.prompt], [query.image], self.timesteps)
        tracers, _ = trace_queries(
            pipeline, [query], [make_selection()], again=False, timesteps=self.timesteps[:1]
        )
        tokens = TracedBatch(pipeline, tracers[0], [query]).images[0].noun_tokens()
        seen = [noun for noun, positions in enumerate(tokens) if positions]
        found: list[HeatMap | None] = [None] * len(tokens)
        for nouns in batches(seen, self.batch_size or max(1, len(seen))):
            changes = self._derivatives(pipeline, query, [tokens[noun] for noun in nouns])
            for row, noun in enumerate(nouns):
                found[noun] = mean_change(changes[:, row])
        return found

    def _derivatives(
        self, pipeline: Any, query: Query, tokens: Sequence[Sequence[int]]
    ) -> np.ndarray[Any, Any]:
        """Return absolute derivatives (noised images and points, nouns, h, w) of nouns, by their tokens."""
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        from daam_bench.diffusion.noise import NoisedImages

        images, kind = [query.image] * len(tokens), type(pipeline).__name__
        noised = NoisedImages(pipeline, [query.prompt] * len(tokens), images)
        empty = NoisedImages(pipeline, [""] * len(tokens), images)
        name = text_argument(pipeline)
        prompt, nothing = noised.arguments[name], empty.arguments[name]
        if not isinstance(prompt, torch.Tensor) or prompt.shape != nothing.shape:
            raise InputError(
                f"{self.name} needs embeddings of one length, to which {kind} doesn't pad prompts"
            )
        if max(map(max, tokens)) >= prompt.shape[1]:
            raise InputError(
                f"{self.name} needs a prompt in one text; that of {kind} lies in several, each behind another"
            )
        prompt, nothing = prompt.detach(), nothing.detach()
        tangent = torch.zeros_like(prompt)
        for row, positions in enumerate(tokens):
            places = list(positions)
            tangent[row, places] = (prompt - nothing)[row, places]
        changes = []
        for timestep in self.timesteps:
            for noise in range(self.seed, self.seed + self.noises):
                noisy = noised.noisy(timestep, noise)
                for point in self.points:

                    def predict(text: Any, noisy: Any = noisy, timestep: int = timestep) -> Any:
                        return noised.predict(noisy, timestep, **{name: text})

                    with sdpa_kernel(SDPBackend.MATH), torch.no_grad():
                        at = nothing + point * (prompt - nothing)
                        derivative = torch.func.jvp(predict, (at,), (tangent,))[1]
                    changes.append(derivative.abs().mean(dim=1).cpu().numpy())
        pipeline.maybe_free_model_hooks()
        return np.stack(changes)


def text_argument(pipeline: Any) -> str:
    """Return the name of the denoiser's argument that carries the prompt."""
    from daam_bench.attribution.architectures import architecture_of

    return architecture_of(pipeline).text[0]
