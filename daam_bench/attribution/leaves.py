"""Attention probabilities as tensors that gradients reach, for methods that weight them by their effect."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from daam_bench.attribution.architectures import architecture_of, denoisers_of
from daam_bench.attribution.capture import AttentionMode, read_call
from daam_bench.attribution.layout import AttentionLayout, DenoiserCall, Layer
from daam_bench.attribution.selection import make_selection, select_layers
from daam_bench.attribution.sinks import masked
from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class AttentionLeaf:
    """The probabilities of one call of one layer, part of the graph that the prediction came from.

    Attributes:
        layer: The layer.
        probabilities: (batch, heads, queries, keys), float32.
        layout: Where the image's queries and the text's keys lie.
    """

    layer: Layer
    probabilities: Tensor
    layout: AttentionLayout

    def text_columns(self, values: Tensor) -> list[Tensor]:
        """Cut image queries and text keys out of the probabilities, or out of their gradient.

        Args:
            values: Of the shape of `probabilities`.

        Returns:
            For each row (heads, places, text positions).
        """
        everything = (slice(None),) * len(self.layout.rows)
        images = self.layout.image or everything
        return [
            values[row, :, image, text]
            for row, image, text in zip(self.layout.rows, images, self.layout.text, strict=True)
        ]


@contextmanager
def attention_leaves(pipeline: Any, **selection: Any) -> Iterator[list[AttentionLeaf]]:
    """Compute the attention of the traced layers step by step, keeping its probabilities.

    Calls of the denoiser inside must carry the prompts in all rows and be made with gradients switched on,
    as those of `daam_bench.diffusion.noise.NoisedImages.predict` are; a pipeline's own call has none.

    Args:
        pipeline: A pipeline that can be traced.
        selection: `blocks` or `layers`, as for `trace`.

    Yields:
        What has been kept so far, in the order of the calls.

    Raises:
        InputError: A pipeline that can't be traced, or layers that aren't there.

    >>> with attention_leaves(pipeline) as leaves:                       # doctest: +SKIP
    ...     predicted = noised.predict(noised.noisy(300, 0), 300)
    >>> gradients = torch.autograd.grad(score, [leaf.probabilities for leaf in leaves])  # doctest: +SKIP
    """
    architecture, chosen = architecture_of(pipeline), make_selection(**selection)
    mode = _EagerAttention()

    def begin(denoiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = inspect.signature(type(denoiser).forward).bind_partial(denoiser, *args, **kwargs).arguments
        text, sample = bound[architecture.text[0]], bound[architecture.sample]
        arguments = dict(list(bound.items())[1:])
        call = DenoiserCall(denoiser, arguments, tuple(range(len(text))), text, sample)
        mode.layout = architecture.layout(call)

    with ExitStack() as hooks:
        for denoiser in denoisers_of(pipeline):
            hooks.callback(denoiser.register_forward_pre_hook(begin, with_kwargs=True).remove)
            for layer in select_layers(architecture.layers(denoiser), chosen, architecture.blocks):
                hooks.callback(layer.module.register_forward_pre_hook(mode.entering(layer)).remove)
                hooks.callback(layer.module.register_forward_hook(mode.leaving).remove)
        hooks.enter_context(mode)
        yield mode.leaves


class _EagerAttention(AttentionMode):
    """Computes attention of the layer that is running in plain steps; anything else as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves: list[AttentionLeaf] = []
        self.layout: AttentionLayout | None = None
        self._running: Layer | None = None

    def entering(self, layer: Layer) -> Callable[..., None]:
        """Return a hook that notes that a layer begins."""

        def enter(module: Any, args: Any) -> None:
            self._running = layer

        return enter

    def leaving(self, module: Any, args: Any, result: Any) -> None:
        """Note that a layer ends."""
        if self._running is not None:
            raise InputError(
                f"the attention of layer {self._running.name} can't be seen: its processor doesn't call "
                "torch's scaled_dot_product_attention with the text"
            )

    def attention(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the attention; that of a running layer is computed here."""
        layout, layer = self.layout, self._running
        if layer is None:
            return functional.scaled_dot_product_attention(*args, **kwargs)
        assert layout is not None
        call = read_call(*args, **kwargs)
        keys, length = call.key.shape[2], max(text.stop for text in layout.text)
        if keys < length or (not layout.joint and keys not in (length, length + call.query.shape[2])):
            return functional.scaled_dot_product_attention(*args, **kwargs)
        self._running = None
        scores = (call.query * call.scale) @ call.key.transpose(-1, -2)
        probabilities = masked(scores.float(), call.mask).softmax(dim=-1)
        if torch.is_grad_enabled() and not probabilities.requires_grad:
            probabilities.requires_grad_()
        self.leaves.append(AttentionLeaf(layer, probabilities, layout))
        value: Tensor = args[2] if len(args) > 2 else kwargs["value"]
        return probabilities.to(value.dtype) @ value
