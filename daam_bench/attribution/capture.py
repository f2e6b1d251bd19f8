"""Seeing the attention calls of a running layer, and reading their probabilities without changing anything.

The layer's own forward pass runs under an `AttentionMode`, which sees the very queries and keys that are
handed to `scaled_dot_product_attention` (after LoRA, norms and rotary embeddings, whatever the processor is),
or, where the processor spells attention out, the probabilities that come out of its `softmax`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from daam_bench.attribution.hooks import SharedHook
from daam_bench.attribution.sinks import AttentionCall, AttentionSink
from daam_bench.types.errors import InputError

_SOFTMAX = (torch.softmax, Tensor.softmax, functional.softmax)


class AttentionMode(TorchFunctionMode, ABC):
    """While entered, gets this thread's calls of `scaled_dot_product_attention` and of softmax.

    A processor calls the one, or spells attention out with the other. What these methods call themselves goes
    to torch.
    """

    @abstractmethod
    def attention(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the attention of a call, whose arguments are those of `scaled_dot_product_attention`."""

    def softmax(self, func: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Return the softmax of a call, that of `func` if it isn't overridden."""
        return func(*args, **kwargs)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or what stands in for it."""
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return self.attention(*args, **kwargs)
        if func in _SOFTMAX:
            return self.softmax(func, *args, **kwargs)
        return func(*args, **kwargs)


class AttentionReader(AttentionMode):
    """While entered, hands every attention call of this thread to `sinks`, once it has been computed."""

    def __init__(self, sinks: Sequence[AttentionSink]) -> None:
        super().__init__()
        self.sinks = sinks

    def softmax(self, func: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Return the softmax as it is; the sinks read it as probabilities."""
        result = func(*args, **kwargs)
        with undisturbed(result.device):
            for sink in self.sinks:
                sink.add_probabilities(result)
        return result

    def attention(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the attention as it is; the sinks read its arguments and result."""
        result, normaliser = None, None
        if any(sink.wants_normaliser and not sink.complete for sink in self.sinks):
            from daam_bench.attribution.fused import attention_with_normaliser

            result, normaliser = attention_with_normaliser(*args, **kwargs)
        if result is None:
            result = functional.scaled_dot_product_attention(*args, **kwargs)
        call = read_call(*args, **kwargs)._replace(normaliser=normaliser, output=result)
        with undisturbed(call.query.device):
            for sink in self.sinks:
                sink.add_attention(call)
        return result


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Compute without gradients and, whatever the caller's autocast, in the tensors' own precision."""
    with torch.no_grad():
        if torch.is_autocast_enabled(device.type):
            with torch.autocast(device.type, enabled=False):
                yield
        else:
            yield


class LayerListener(Protocol):
    """Wants the attention of a layer."""

    @property
    def name(self) -> str:
        """The layer's name, for messages."""

    def listen(self, states: Tensor, text: Any) -> Sequence[AttentionSink]:
        """Return where to add this call up; nothing for a call of no interest.

        Args:
            states: The hidden states that become queries.
            text: The hidden states that become keys beside or instead of them, or None.
        """


class AttentionHook(SharedHook[LayerListener]):
    """The forward method of an attention layer, read by its listeners."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer as ever; add its probabilities up beside it for those who want them."""
        states = args[0] if args else kwargs["hidden_states"]
        text = args[1] if len(args) > 1 else kwargs.get("encoder_hidden_states")
        listeners = self.listeners
        sinks = [sink for listener in listeners for sink in listener.listen(states, text)]
        if not sinks:
            return self.original(*args, **kwargs)
        with AttentionReader(sinks):
            result = self.original(*args, **kwargs)
        if not all(sink.complete for sink in sinks):
            processor = type(getattr(self.owner, "processor", None)).__name__
            raise InputError(
                f"the attention of layer {listeners[0].name} can't be seen: its processor {processor} calls "
                "neither torch's scaled_dot_product_attention nor softmax; use pipeline.unet."
                "set_attn_processor(diffusers.models.attention_processor.AttnProcessor2_0()) for a UNet, "
                'pipeline.transformer.set_attention_backend("native") for a transformer'
            )
        return result


def read_call(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> AttentionCall:
    """Read the arguments of `scaled_dot_product_attention`.

    Raises:
        InputError: Causal attention.
    """
    if is_causal:
        raise InputError("a traced layer masks its attention causally, which no denoiser known here does")
    if key.shape[1] != query.shape[1]:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    return AttentionCall(query, key, attn_mask, query.shape[-1] ** -0.5 if scale is None else scale)
