"""Standing in for torch's attention while a layer computes, whatever its processor is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

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
