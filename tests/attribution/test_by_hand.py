"""The queries and keys that the tracer sees, against those written out from each family's own weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from daam_bench.attribution.architectures import architecture_of
from tests.attribution.test_architectures import CALLS, build, queries_and_keys

Arguments = dict[str, Any]


def linear(layer: Any, states: Tensor) -> Tensor:
    product = states @ layer.weight.T
    return product if layer.bias is None else product + layer.bias


def by_head(states: Tensor, heads: int) -> Tensor:
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def normed(norm: Any, states: Tensor) -> Tensor:
    """Apply RMSNorm or LayerNorm over the last dimension, as its formula has it."""
    if norm is None:
        return states
    if "RMS" not in type(norm).__name__:
        states = states - states.mean(-1, keepdim=True)
    scaled = states / (states.square().mean(-1, keepdim=True) + norm.eps).sqrt()
    scaled = scaled if norm.weight is None else scaled * norm.weight
    return scaled if getattr(norm, "bias", None) is None else scaled + norm.bias


def turned(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (batch, heads, places, channels) by pairs of neighbours; cos and sin have half the channels."""
    a, b = states[..., 0::2], states[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)


def turned_as_complex(states: Tensor, frequencies: Tensor) -> Tensor:
    frequencies = frequencies if frequencies.ndim == 2 else frequencies[:, None]
    return turned(states, frequencies.real, frequencies.imag)


def turned_by_halves(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first half of the channels against the second."""
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat((-second, first), dim=-1) * sin


def streams(layer: Any, given: Arguments) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return image and text queries, then keys, of a block with a stream for each, norms by head."""
    image, text, heads = given["hidden_states"], given["encoder_hidden_states"], layer.heads
    return (
        normed(layer.norm_q, by_head(linear(layer.to_q, image), heads)),
        normed(layer.norm_added_q, by_head(linear(layer.add_q_proj, text), heads)),
        normed(layer.norm_k, by_head(linear(layer.to_k, image), heads)),
        normed(layer.norm_added_k, by_head(linear(layer.add_k_proj, text), heads)),
    )


def image_first(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    image_q, text_q, image_k, text_k = streams(layer, given)
    return torch.cat((image_q, text_q), 2), torch.cat((image_k, text_k), 2)


def text_first(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    image_q, text_q, image_k, text_k = streams(layer, given)
    query, key = torch.cat((text_q, image_q), 2), torch.cat((text_k, image_k), 2)
    if (rotary := given.get("image_rotary_emb")) is not None:
        cos, sin = (part[:, 0::2] for part in rotary)
        query, key = turned(query, cos, sin), turned(key, cos, sin)
    return query, key


def qwen(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    image_q, text_q, image_k, text_k = streams(layer, given)
    of_image, of_text = given["image_rotary_emb"]
    query = (turned_as_complex(text_q, of_text), turned_as_complex(image_q, of_image))
    key = (turned_as_complex(text_k, of_text), turned_as_complex(image_k, of_image))
    return torch.cat(query, 2), torch.cat(key, 2)


def joined(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    """One projection for text and image; positions turn the image alone (CogView4, CogVideoX)."""
    text = given["encoder_hidden_states"].shape[1]
    states = torch.cat((given["encoder_hidden_states"], given["hidden_states"]), dim=1)
    found = []
    for projection, norm in ((layer.to_q, layer.norm_q), (layer.to_k, layer.norm_k)):
        values = normed(norm, by_head(linear(projection, states), layer.heads))
        if (rotary := given.get("image_rotary_emb")) is not None:
            values = torch.cat((values[:, :, :text], turned_by_halves(values[:, :, text:], *rotary)), dim=2)
        found.append(values)
    return found[0], found[1]


def one_sequence(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    """One sequence, turned as a whole; several query heads may share a key head (Lumina 2, Z-Image)."""
    states = given["hidden_states"]
    frequencies = given.get("image_rotary_emb", given.get("freqs_cis"))
    size = layer.to_q.out_features // layer.heads
    query = by_head(linear(layer.to_q, states), layer.heads)
    key = by_head(linear(layer.to_k, states), layer.to_k.out_features // size)
    query, key = normed(layer.norm_q, query), normed(layer.norm_k, key)
    query, key = turned_as_complex(query, frequencies), turned_as_complex(key, frequencies)
    return query, key.repeat_interleave(layer.heads // key.shape[1], dim=1)


def cross(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    """Queries of the image, keys of the text (PixArt), norms over all heads together (Sana, Wan, LTX)."""
    query = normed(getattr(layer, "norm_q", None), linear(layer.to_q, given["hidden_states"]))
    key = normed(getattr(layer, "norm_k", None), linear(layer.to_k, given["encoder_hidden_states"]))
    return by_head(query, layer.heads), by_head(key, layer.heads)


def hunyuan(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    query = by_head(linear(layer.to_q, given["hidden_states"]), layer.heads)
    key = by_head(linear(layer.to_k, given["encoder_hidden_states"]), layer.heads)
    cos, sin = (part[:, 0::2] for part in given["image_rotary_emb"])
    return turned(normed(layer.norm_q, query), cos, sin), normed(layer.norm_k, key)


def hidream(layer: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    image, text = given["norm_hidden_states"], given["norm_encoder_hidden_states"]
    keys = normed(layer.k_rms_norm, linear(layer.to_k, image))
    if (kept := given.get("hidden_states_masks")) is not None:
        keys = keys * kept[..., None]
    query = (
        normed(layer.q_rms_norm, linear(layer.to_q, image)),
        normed(layer.q_rms_norm_t, linear(layer.to_q_t, text)),
    )
    key = (keys, normed(layer.k_rms_norm_t, linear(layer.to_k_t, text)))
    turn = given["image_rotary_emb"][:, :, 0]  # (batch, places, pairs, 2, 2): cos, -sin; sin, cos
    cos, sin = turn[..., 0, 0][:, None], turn[..., 1, 0][:, None]
    both = (by_head(torch.cat(part, 1), layer.heads) for part in (query, key))
    query_turned, key_turned = (turned(states, cos, sin) for states in both)
    return query_turned, key_turned


BY_HAND: dict[str, Callable[[Any, Arguments], tuple[Tensor, Tensor]]] = {
    "sd3": image_first,
    "flux": text_first,
    "chroma": text_first,
    "flux2": text_first,
    "aura": text_first,
    "qwen": qwen,
    "cogview4": joined,
    "cogvideox": joined,
    "lumina2": one_sequence,
    "zimage": one_sequence,
    "hidream": hidream,
    "pixart": cross,
    "sana": cross,
    "wan": cross,
    "ltx": cross,
    "hunyuan": hunyuan,
}


@pytest.mark.parametrize("family", CALLS)
@torch.no_grad()
def test_queries_and_keys_of_the_first_layer(family: str) -> None:
    pipeline = build(family)
    layer = architecture_of(pipeline).layers(pipeline.transformer)[0].module
    given: list[Arguments] = []

    def keep(module: Any, args: Any, kwargs: Any) -> None:
        bound = inspect.signature(type(module).forward).bind(module, *args, **kwargs).arguments
        rest = bound.pop("kwargs", {}) | bound.pop("cross_attention_kwargs", {})
        given.append({name: copied(value) for name, value in (bound | rest).items()})

    handle = layer.register_forward_pre_hook(keep, with_kwargs=True)
    query, key = queries_and_keys(pipeline, family, layer, lambda arguments: None)
    handle.remove()
    expected = BY_HAND[family](layer, given[0])
    for found, own in zip((query, key), expected, strict=True):
        assert found.shape == own.shape
        torch.testing.assert_close(found, own.to(found), rtol=1e-5, atol=1e-5)


def copied(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(copied(one) for one in value)
    return value.clone() if isinstance(value, Tensor) else value


def test_every_family_is_written_out() -> None:
    assert set(BY_HAND) == set(CALLS)
