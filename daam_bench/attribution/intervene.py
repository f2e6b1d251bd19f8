"""Taking a word away in parts of an image: what the denoiser says without it, there or everywhere.

The denoiser is called again on the recorded latents (teacher forcing), so nothing feeds back into later
steps. A word is absent where it is masked in the text encoders' attention and its keys are left out of the
denoiser's; its position stays, and the other tokens are the same whatever the word was. In a part m of the
image (1 there, 0 elsewhere) it is absent where every layer's output is (1 - m) out(c) + m out(c0), for the
prompt c and the prompt without the word c0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daam_bench.attribution.absent import encode_without
from daam_bench.attribution.blend import Blend, CrossBlend, LayerChange, LayerHook, TextKeeper
from daam_bench.attribution.hooks import INSTALLING
from daam_bench.attribution.trajectory import Trajectory, batch_of, exchanged, only
from daam_bench.attribution.two_texts import JointBlend, two_texts
from daam_bench.types.errors import InputError
from daam_bench.types.masks import FloatMap

SHARES = (0.2, 0.5, 0.8)
"""Where in a generation the calls lie that are made again, as shares of it."""

FAMILIES = (
    "UNet2DConditionModel",
    "PixArtTransformer2DModel",
    "SanaTransformer2DModel",
    "SD3Transformer2DModel",
    "FluxTransformer2DModel",
)
"""Class names of the denoisers whose words can be taken away."""

Outputs = NDArray[np.float32]
"""What a denoiser says of some calls: shape (calls, *latents)."""


def calls_at(count: int, shares: Sequence[float] = SHARES) -> tuple[int, ...]:
    """Return which of `count` calls lie nearest to some shares of a generation, each once.

    >>> calls_at(50), calls_at(2)
    ((10, 24, 39), (0, 1))
    """
    return tuple(dict.fromkeys(round(share * (count - 1)) for share in shares))


class Intervention:
    """One image's generation, called again at some of its steps with words taken away in parts of the image.

    Args:
        trajectory: The recorded generation.
        shares: Where in it the calls lie that are made again, as shares of it.
        batch_size: Most rows that the denoiser is called with at once.

    Attributes:
        trajectory: The recorded generation, with these calls alone.
        places: Which of its calls they are.
        original: What the denoiser says with the whole prompt.

    Raises:
        InputError: The denoiser's family can't be intervened on.
    """

    def __init__(
        self, trajectory: Trajectory, *, shares: Sequence[float] = SHARES, batch_size: int = 32
    ) -> None:
        check_family(trajectory.denoiser)
        self.places = calls_at(len(trajectory.calls), shares)
        self.trajectory = only(trajectory, self.places)
        self._batch_size = batch_size
        self._layers = trajectory.architecture.layers(trajectory.denoiser)
        layout = trajectory.layout(batch_of(self.trajectory.calls[:1]))
        self._grid, self._joint = layout.grid, layout.joint
        self.original = self.plain(self.trajectory.calls)

    @property
    def grid(self) -> tuple[int, ...]:
        """The (height, width) of the latents, or of the image's tokens in a transformer."""
        return self._grid

    @torch.no_grad()
    def without(self, start: int, end: int) -> AbsentWord:
        """Take the word at characters `start` to `end` of the prompt away.

        Raises:
            InputError: The span isn't whole words, the text encoders didn't see it, or an attention
                processor is out of sight.
        """
        trajectory = self.trajectory
        positions = trajectory.positions(start, end)
        tensors = encode_without(trajectory, start, end)
        names = trajectory.architecture.text
        changed = [exchanged(call, tensors, lambda name: name in names) for call in trajectory.calls]
        pooled = [exchanged(call, tensors, lambda name: name not in names) for call in trajectory.calls]
        both = [exchanged(call, tensors, lambda name: True) for call in trajectory.calls]
        texts = [call for call in changed if call is not None]
        if len(texts) < len(changed):
            raise InputError(
                f"the denoiser's text is not what {type(trajectory.pipeline).__name__}.encode_prompt "
                "returned, so no word can be taken away"
            )
        wholly = both if all(call is not None for call in pooled) else []
        return AbsentWord(self, positions, tuple(texts), tuple(call for call in wholly if call is not None))

    def plain(self, calls: Sequence[Mapping[str, Any]]) -> Outputs:
        """Call the denoiser as it was called, in batches of at most `batch_size` rows."""
        parts = range(0, len(calls), self._batch_size)
        return np.concatenate([self._run(batch_of(calls[part : part + self._batch_size])) for part in parts])

    def blended(
        self,
        word: AbsentWord,
        masks: Sequence[FloatMap],
        calls: Sequence[Mapping[str, Any]],
        changed: Sequence[Mapping[str, Any]],
    ) -> Outputs:
        """Call the denoiser with a word taken away in parts of the image; see `AbsentWord.outputs`.

        Args:
            word: The word.
            masks: The parts.
            calls: The calls where it isn't taken away.
            changed: The same calls with the text without it.
        """
        rows = [(call, index) for index in range(len(masks)) for call in range(len(calls))]
        found = []
        for begin in range(0, len(rows), self._batch_size):
            part = rows[begin : begin + self._batch_size]
            shares = torch.from_numpy(np.stack([np.asarray(masks[index], np.float32) for _, index in part]))
            arguments = batch_of([calls[call] for call, _ in part])
            layout = self.trajectory.layout(arguments)
            hidden = [layout.text[0].start + place for place in word.positions]
            blend: Blend
            if self._joint:
                text = batch_of([changed[call] for call, _ in part])[self.trajectory.architecture.text[0]]
                arguments, length = two_texts(arguments, text, layout)
                blend = JointBlend(layout, length, shares, hidden)
            else:
                blend = CrossBlend(layout, shares, hidden, word.texts)
            with self._changing(blend):
                found.append(self._run(arguments))
        return np.concatenate(found)

    def texts(self, word: AbsentWord) -> Mapping[str, Any]:
        """Return what each cross-attention layer gets for text without a word, which no step changes."""
        keeper = TextKeeper()
        if not self._joint:
            with self._changing(keeper):
                self._run(batch_of(word.changed[:1]))
        return keeper.texts

    @torch.no_grad()
    def _run(self, arguments: Mapping[str, Any]) -> Outputs:
        """Call the denoiser; what it says of a variance, or of further images, is left out."""
        # An open trace must not take this for a call of its own: it hears no call of `forward` alone.
        output = self.trajectory.denoiser.forward(**arguments)[0]
        channels = arguments[self.trajectory.architecture.sample].shape[1]
        if output.ndim == 4 and output.shape[1] == 2 * channels:
            output = output[:, :channels]
        if output.ndim == 3:
            output = output[:, : math.prod(self._grid)]
        said: Outputs = output.float().cpu().numpy()
        return said

    @contextmanager
    def _changing(self, change: Blend) -> Iterator[None]:
        """Let the layers be changed in this thread's calls."""
        with ExitStack() as hooks:
            with INSTALLING:
                for layer in self._layers:
                    hook = LayerHook.of(layer.module, "forward")
                    hook.attach(hooks, LayerChange(partial(change.run, layer)))
            yield


@dataclass(eq=False)
class AbsentWord:
    """A word that is taken away, wholly or in parts of the image. Made by `Intervention.without`.

    Attributes:
        positions: Its tokens' positions in the denoiser's text.
        changed: The recorded calls with the text without the word.
        pooled: The same with the pooled text without the word too; none where there is no pooled text.
        texts: What each cross-attention layer gets for text without the word.
        everywhere: What the denoiser says without the word.
    """

    _intervention: Intervention
    positions: tuple[int, ...]
    changed: tuple[Mapping[str, Any], ...]
    pooled: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        self.texts = self._intervention.texts(self)
        self.everywhere = self.outputs([np.ones((1, 1), np.float32)])[0]

    def outputs(self, masks: Sequence[FloatMap]) -> NDArray[np.float32]:
        """Return what the denoiser says with the word taken away in parts of the image.

        Args:
            masks: The parts: arrays (height, width) of one size, in [0, 1]. A layer takes area averages.

        Returns:
            Shape (masks, calls, *latents).
        """
        calls = self._intervention.trajectory.calls
        found = self._intervention.blended(self, masks, calls, self.changed)
        return found.reshape(len(masks), len(calls), *found.shape[1:])

    def everywhere_with_pooled(self) -> Outputs | None:
        """Return what the denoiser says without the word in the pooled text too; None without pooled text.

        Pooled text (SDXL, SD3, FLUX) has no place in the image, so that `outputs` hold it.
        """
        if not self.pooled:
            return None
        everywhere = [np.ones((1, 1), np.float32)]
        return self._intervention.blended(self, everywhere, self.pooled, self.pooled)


def check_family(denoiser: Any) -> None:
    """Refuse a denoiser whose words can't be taken away."""
    if {base.__name__ for base in type(denoiser).__mro__}.isdisjoint(FAMILIES):
        raise InputError(
            f"no word can be taken away from a {type(denoiser).__name__} here; these can be intervened on: "
            f"{', '.join(FAMILIES)}"
        )
