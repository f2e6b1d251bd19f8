"""Joint attention to two texts in one call, each in its own part of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from daam_bench.attribution.capture import AttentionMode
from daam_bench.attribution.hidden_keys import refuse_unseen
from daam_bench.attribution.layout import AttentionLayout, Layer
from daam_bench.types.errors import InputError


def two_texts(
    arguments: Mapping[str, Any], other: Tensor, layout: AttentionLayout
) -> tuple[dict[str, Any], int]:
    """Lay a second text behind the first in a call of a denoiser with joint attention.

    What else than the image lies in the sequence (FLUX Kontext's reference image) is there twice then as
    well, once beside each text.

    Args:
        arguments: The call.
        other: The second text, of the first one's shape (rows, positions, channels).
        layout: How the call lies in the attention.

    Returns:
        The call with both texts, and the number of positions of the call with one.
    """
    text, image, places = (
        arguments["encoder_hidden_states"],
        arguments["hidden_states"],
        math.prod(layout.grid),
    )
    changed = {"encoder_hidden_states": torch.cat([text, other.to(text)], dim=1)}
    length = text.shape[1] + places
    # FLUX says where its tokens lie, and there may be further images among them.
    if (ids := arguments.get("txt_ids")) is not None:
        changed["txt_ids"] = torch.cat([ids, ids], dim=-2)
    if image.ndim == 3 and image.shape[1] > places:
        changed["hidden_states"] = torch.cat([image, image[:, places:]], dim=1)
        ids = arguments["img_ids"]
        changed["img_ids"] = torch.cat([ids, ids[..., places:, :]], dim=-2)
        length = text.shape[1] + image.shape[1]
    return {**arguments, **changed}, length


class JointBlend(AttentionMode):
    """Changes layers of joint attention in a call with two texts, as `two_texts` makes it.

    Each text attends to itself and the image alone, so that both live on through the layers. The image gets
    the mixture of what it gets from either. What a layer does behind its attention is linear, so that this is
    the mixture of its outputs.

    Args:
        layout: How the call with one text lies in the attention; every row has the prompt.
        length: Number of positions of that call.
        shares: How much of the second text each row's places see, in [0, 1]: (rows, height, width).
        hidden: Keys of that call that are left out beside the second text.
    """

    def __init__(self, layout: AttentionLayout, length: int, shares: Tensor, hidden: Sequence[int]) -> None:
        super().__init__()
        assert layout.image is not None
        image = layout.image[0]
        places = image.stop - image.start
        before, behind = image.start, length - image.stop
        self._sizes = [before, before, places, behind, behind]
        self._seen = torch.tensor([place for place in range(length) if place not in hidden])
        height, width = layout.grid
        share = functional.adaptive_avg_pool2d(shares[:, None], (height, width))
        self._share = share.flatten(2)[..., None]
        self._blended = False

    def run(
        self, layer: Layer, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return a layer's output with both texts."""
        self._blended = False
        with self:
            output = forward(*args, **kwargs)
        if not self._blended:
            refuse_unseen(layer)
        return output

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """Return the attention; that which holds both texts is blended."""
        if key.shape[2] != sum(self._sizes):
            return functional.scaled_dot_product_attention(query, key, value, attn_mask, *args, **kwargs)
        if attn_mask is not None:
            raise InputError("no word can be taken away where joint attention has a mask of its own")
        self._blended = True
        (query_1, query_2), (key_1, key_2), (value_1, value_2) = map(self._apart, (query, key, value))
        seen = self._seen.to(key.device)
        one = functional.scaled_dot_product_attention(query_1, key_1, value_1, None, *args, **kwargs)
        other = functional.scaled_dot_product_attention(
            query_2, key_2[:, :, seen], value_2[:, :, seen], None, *args, **kwargs
        )
        return self._mixed(one, other)

    def _apart(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return what belongs to either text's sequence, as it would lie in a call with this text alone."""
        before, other_before, image, behind, other_behind = states.split(self._sizes, dim=2)
        return torch.cat([before, image, behind], dim=2), torch.cat(
            [other_before, image, other_behind], dim=2
        )

    def _mixed(self, one: Tensor, other: Tensor) -> Tensor:
        """Put both texts' outputs together again, the image's mixed."""
        before, image, behind = one.split(self._sizes[::2], dim=2)
        other_before, other_image, other_behind = other.split(self._sizes[::2], dim=2)
        share = self._share.to(one)
        # Where nothing is blended, not a bit of the output changes.
        image = torch.where(share == 0, image, share * other_image + (1 - share) * image)
        return torch.cat([before, other_before, image, behind, other_behind], dim=2)
