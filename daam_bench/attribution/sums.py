"""The attention of one generation, as it is being summed up."""

from __future__ import annotations

import threading
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from daam_bench.attribution.capture import LayerSum, undisturbed
from daam_bench.attribution.selection import Layer, Selection, layer_size
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation, resize_weights


class GenerationSums:
    """One call of a pipeline: its prompts, and the sums of its attention so far.

    Each head's map is upscaled and clamped by itself, as castorini/daam does and as the paper's sum over the
    upscaled maps of layers, steps and heads has it. So layers smaller than the latents keep a sum a head;
    where nothing is to be clamped, heads are summed at once.

    Args:
        prompts: The prompts, or None where the pipeline was given embeddings.
        rows: Number of images.
        tokens: How many tokens to keep, from the first; None for all, padding included.
        no_words: Why words of the prompts can't be looked up, where they can't.

    Attributes:
        thread: Identifier of the thread that draws.
        finished: Whether the images were generated to the end.
    """

    def __init__(
        self, prompts: list[str] | None, rows: int, tokens: int | None = None, no_words: str | None = None
    ) -> None:
        self.prompts = prompts
        self.rows = rows
        self.no_words = no_words
        self.finished = False
        self._tokens = tokens
        self._expected_calls = 0
        self._calls_begun = 0
        self._calls_done = 0
        self._weight = 1.0
        self._batch = 0
        self._latent_size = (0, 0)
        self._sums: dict[str, Tensor] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._resolutions: set[int] = set()
        self.thread = threading.get_ident()

    @property
    def complete(self) -> bool:
        """Whether its images were generated to the end."""
        whole = self.finished or self._calls_done == self._expected_calls
        return 0 < self._calls_done == self._calls_begun and whole

    def begin_call(self, sample: Tensor, scheduler: Any) -> None:
        """Take note that the UNet is being called.

        A call counts for as many inference steps as the scheduler makes of it, so that sums don't depend on
        the scheduler's order.

        Args:
            sample: Noisy latents (batch, channels, height, width).
            scheduler: The pipeline's scheduler.

        Raises:
            InputError: The batch is neither the images nor twice as many, or the latents changed size.
        """
        batch, size = sample.shape[0], (int(sample.shape[-2]), int(sample.shape[-1]))
        if batch not in (self.rows, 2 * self.rows):
            raise InputError(
                f"the UNet was called with {batch} latents for {self.rows} image(s); a trace understands one "
                "for each image, or two with guidance (the conditional ones last)"
            )
        if self._calls_begun == 0:
            self._latent_size = size
            timesteps = getattr(scheduler, "timesteps", None)
            self._expected_calls = 0 if timesteps is None else len(timesteps)
            steps = getattr(scheduler, "num_inference_steps", None)
            self._weight = steps / self._expected_calls if steps and self._expected_calls else 1.0
        elif size != self._latent_size:
            raise InputError(
                f"the latents changed from (height, width) = {self._latent_size} to {size} within one "
                "generation; trace pipelines of one size"
            )
        self._batch = batch
        self._calls_begun += 1

    def end_call(self) -> None:
        """Take note that the UNet has returned."""
        self._calls_done += 1

    def finish(self, steps_per_call: float | None = None) -> None:
        """Note that the images are complete, perhaps by calls of other weight than the scheduler says."""
        self.finished = True
        if steps_per_call is not None:
            self._weight = steps_per_call

    def listen(self, layer: Layer, selection: Selection, image: Tensor, text: Any) -> LayerSum | None:
        """Return where to add up a layer's call, or None where the selection leaves it out."""
        if self._calls_begun == self._calls_done or text is None:
            return None
        if selection.steps is not None and self._calls_begun - 1 not in selection.steps:
            return None
        places = image.shape[1] if image.ndim == 3 else image.shape[-2] * image.shape[-1]
        factor, size = layer_size(self._latent_size, places)
        self._resolutions.add(factor)
        if selection.resolutions is not None and factor not in selection.resolutions:
            return None
        heads = range(layer.heads) if selection.heads is None else selection.heads
        if layer.name not in self._sums:
            clamped = factor > 1 and selection.upscale == "bicubic"
            length = (text[0] if isinstance(text, tuple) else text).shape[1]
            tokens = length if self._tokens is None else min(self._tokens, length)
            shape = (self.rows, len(heads) if clamped else 1, places, tokens)
            self._sums[layer.name] = torch.zeros(shape, dtype=torch.float32, device=image.device)
            self._sizes[layer.name] = size
        return LayerSum(self._sums[layer.name], batch=self._batch, heads=layer.heads, selected=heads)

    def layer_maps(self) -> dict[str, Tensor]:
        """Return the layers' maps (rows, tokens, height, width): sums over heads and steps, not upscaled."""
        return {name: self._head_maps(name).sum(dim=1) for name in self._recorded()}

    def maps(self, interpolation: Interpolation) -> Tensor:
        """Return the sum of all upscaled maps: (rows, tokens, height, width) at the latents' size."""
        names = self._recorded()
        with undisturbed(self._sums[names[0]].device):
            by_layer = (
                upscale(self._head_maps(name), self._latent_size, interpolation).sum(dim=1) for name in names
            )
            return reduce(Tensor.add_, by_layer)

    def _head_maps(self, name: str) -> Tensor:
        """Return a layer's maps (rows, heads, tokens, height, width), as sums over inference steps."""
        rows, heads, _, tokens = self._sums[name].shape
        by_token = self._sums[name].transpose(2, 3) * self._weight
        return by_token.reshape(rows, heads, tokens, *self._sizes[name])

    def _recorded(self) -> list[str]:
        if not self._sums:
            raise InputError(
                f"the selected steps and resolutions left nothing of a generation of {self._calls_done} UNet "
                f"calls with layers at resolutions {sorted(self._resolutions)}"
            )
        return list(self._sums)


def upscale(maps: Tensor, size: tuple[int, int], interpolation: Interpolation) -> Tensor:
    """Upscale float32 maps (..., h, w) to (..., height, width), negatives clamped to 0."""
    if maps.shape[-2:] == size:
        return maps
    rows, columns = (
        torch.tensor(resize_weights(source, target, interpolation), device=maps.device)
        for source, target in zip(maps.shape[-2:], size, strict=True)
    )
    return (rows @ maps @ columns.T).clamp_(min=0)
