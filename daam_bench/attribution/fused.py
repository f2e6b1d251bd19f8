"""Attention from torch's own fused kernel together with the log-sum-exp that it computes anyway.

In joint attention the prompt is a small part of the keys; with the sum over all keys at hand, the
probabilities of its few keys cost no second pass over the others. The output is that of
`scaled_dot_product_attention`, bit for
bit: the same kernel, called with the same arguments. This is checked once for each kind of call; where
torch would take another kernel, or the check fails, nothing is returned and the whole row is computed
instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_MATH, _FLASH, _EFFICIENT, _CUDNN = 0, 1, 2, 3
"""What `torch._fused_sdp_choice` returns: torch.nn.attention.SDPBackend."""

_usable: dict[tuple[Any, ...], bool] = {}
"""Kind of call -> whether the kernel gave the very same output."""


def attention_with_normaliser(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor | None, Tensor | None]:
    """Compute attention as torch does, keeping the normaliser.

    Args:
        query: (batch, heads, queries, channels).
        key: (batch, heads, keys, channels).
        value: As `key`.
        attn_mask: As for `scaled_dot_product_attention`, and so are the others.
        dropout_p: Must be 0 for a result.
        is_causal: Must be false for a result.
        scale: Factor of the scores; None for one over the root of the channels.
        enable_gqa: Must be false for a result.

    Returns:
        The output, and float32 log-sum-exp of the scores (batch, heads, queries); (None, None) where
        torch takes a kernel that does not give it.
    """
    if dropout_p or is_causal or enable_gqa or query.ndim != 4 or key.shape[1] != query.shape[1]:
        return None, None
    if torch.is_autocast_enabled(query.device.type) or any(t.requires_grad for t in (query, key, value)):
        return None, None
    choice = torch._fused_sdp_choice(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)
    kind = (
        choice,
        query.device.type,
        query.dtype,
        query.shape[-1],
        None if attn_mask is None else attn_mask.dtype,
    )
    if _usable.get(kind) is False:
        return None, None
    output, normaliser = _kernel(choice, query, key, value, attn_mask, scale)
    if output is None or normaliser is None:
        return None, None
    if kind not in _usable:
        plain = functional.scaled_dot_product_attention(query, key, value, attn_mask, scale=scale)
        _usable[kind] = torch.equal(plain, output) and _is_normaliser(
            query, key, attn_mask, scale, normaliser
        )
        if not _usable[kind]:
            return plain, None
    return output, normaliser


def _kernel(
    choice: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> tuple[Tensor | None, Tensor | None]:
    aten = torch.ops.aten
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), float("-inf"))
    if query.device.type == "cpu" and choice == _FLASH:
        output, normaliser = aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, False, attn_mask=mask, scale=scale
        )
        return output, normaliser
    if query.device.type != "cuda" or query.shape[-1] % 8 or mask is not None:
        return None, None
    if choice == _FLASH:
        result = aten._scaled_dot_product_flash_attention(query, key, value, 0.0, False, False, scale=scale)
    elif choice == _EFFICIENT:
        result = aten._scaled_dot_product_efficient_attention(
            query, key, value, None, True, 0.0, False, scale=scale
        )
    elif choice == _CUDNN:
        result = aten._scaled_dot_product_cudnn_attention(
            query, key, value, None, True, 0.0, False, False, scale=scale
        )
    else:
        return None, None
    return result[0], result[1].reshape(*query.shape[:2], -1)[..., : query.shape[2]]


def _is_normaliser(
    query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None, normaliser: Tensor
) -> bool:
    """Check the normaliser of the first few queries against a plain computation."""
    few = slice(0, 4)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = query[:, :, few].float() * factor @ key.float().transpose(-1, -2)
    if mask is not None:
        part = mask.expand(*query.shape[:3], key.shape[2])[:, :, few]
        scores = (
            scores.masked_fill(~part, float("-inf")) if part.dtype == torch.bool else scores + part.float()
        )
    if normaliser.shape != query.shape[:3]:
        return False
    tolerance = 1e-4 if query.dtype == torch.float32 else 2e-2
    return torch.allclose(scores.logsumexp(dim=-1), normaliser[:, :, few].float(), atol=tolerance, rtol=1e-4)
