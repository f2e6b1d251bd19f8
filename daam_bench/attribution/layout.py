"""How a call of a denoiser is read: what a family of models says of its layers, rows, queries and keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from daam_bench.attribution.streams import Embeddings, Encoding, Stream
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import Interpolation, resize_weights


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A traced attention layer of a denoiser.

    Attributes:
        name: Its name in the denoiser.
        module: The module whose `forward` computes the attention.
        heads: Its number of heads.
        block: The part of the denoiser it belongs to: "down", "mid", "up", "double", "single" or "cross".
    """

    name: str
    module: Any
    heads: int
    block: str


@dataclass(frozen=True, slots=True)
class AttentionLayout:
    """Where things lie in the attention of one call, for the rows that carry the prompts.

    Attributes:
        grid: (height, width) or (frames, height, width) of the image's tokens; a UNet's latents.
        rows: Rows of the batch, one an image.
        image: For each row the queries that are the generated image, row-major over `grid`; None: all
            queries.
        text: For each row the keys that are the text.
        joint: Whether other keys than the text share the softmax.
        halved: Whether layers see the grid halved any number of times, as in a UNet.
    """

    grid: tuple[int, ...]
    rows: tuple[int, ...]
    text: tuple[slice, ...]
    image: tuple[slice, ...] | None = None
    joint: bool = False
    halved: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DenoiserCall:
    """One call of a denoiser, as its family reads it.

    Attributes:
        denoiser: The module that is called.
        arguments: Its arguments by name.
        rows: Rows of the batch that carry the prompts, one an image.
        text: The embeddings that it carries.
        sample: The noisy latents that it denoises.
    """

    denoiser: Any
    arguments: Mapping[str, Any]
    rows: tuple[int, ...]
    text: Embeddings
    sample: Any

    @property
    def length(self) -> int:
        """Number of text positions of the first counted row."""
        return int(self.text[self.rows[0]].shape[0])


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the tracer must know of a family of denoisers.

    Attributes:
        denoisers: Class names of its denoisers.
        layers: A denoiser's traced layers, in order.
        layout: How a call lies in the attention of these layers.
        streams: (pipeline, prompt, row of the prompt, encoding) -> where the prompt's tokens lie in the text.
        encoders: Attribute names of the text encoders that are fed with token ids.
        text: Names of the arguments that carry the text, the first one being the prompt's own.
        sample: Name of the argument that carries the noisy latents.
        blocks: The blocks that are added up by default.
        repeats: Whether the pipeline repeats its embeddings for several images a prompt after encoding.
        self_layers: A denoiser's self-attention layers, none where it has no softmax; None where the traced
            layers hold them (joint attention).
        rides: Whether another text can ride along through its double blocks.
        since: The oldest diffusers version whose classes these are.
        models: Names of models for messages and docs.
    """

    denoisers: tuple[str, ...]
    layers: Callable[[Any], list[Layer]]
    layout: Callable[[DenoiserCall], AttentionLayout]
    streams: Callable[[Any, str, int, Encoding], list[Stream]]
    encoders: tuple[str, ...] = ("text_encoder", "text_encoder_2", "text_encoder_3")
    text: tuple[str, ...] = ("encoder_hidden_states",)
    sample: str = "hidden_states"
    blocks: tuple[str, ...]
    repeats: bool = False
    self_layers: Callable[[Any], list[Layer]] | None = None
    rides: bool = True
    since: str = "0.35"
    models: str


def find_rows(
    carried: Embeddings, embeddings: Embeddings, sample: Embeddings, *, repeats: bool = False
) -> tuple[int, ...] | None:
    """Find the rows of a call that carry some embeddings, by their content.

    Args:
        carried: The text that the call carries, batch first.
        embeddings: What `encode_prompt` returned for the images, one row an image.
        sample: The latents that the call denoises, batch first.
        repeats: Whether the family repeats each row only after encoding, for several images a prompt.

    Returns:
        The rows, one an image, in their order; None where the call doesn't carry them. Where several blocks
        of rows carry them for the same latents, as with perturbed-attention guidance, the first.

    Raises:
        InputError: Blocks of rows carry them for different latents, as in windows of a large image.
    """
    if repeats and len(carried) > len(embeddings):
        for times in (len(carried) // len(embeddings), len(carried) // (2 * len(embeddings))):
            if times and (rows := find_rows(carried, _repeated(embeddings, times), sample)):
                return rows
    count = len(embeddings)
    if count == 0 or len(carried) % count:
        return None
    starts = [
        start
        for start in range(0, len(carried), count)
        if all(_same(carried[start + row], embeddings[row]) for row in range(count))
    ]
    if not starts:
        return None
    first = starts[0]
    for other in starts[1:]:
        if not all(_same(sample[first + row], sample[other + row]) for row in range(count)):
            raise InputError(
                f"the denoiser was called with {len(starts)} blocks of latents for one prompt (windows of a "
                f"large image, or {len(sample)} latents for {count} image(s)?); such a pipeline can't be "
                "traced"
            )
    return tuple(range(first, first + count))


def _repeated(embeddings: Embeddings, times: int) -> Embeddings:
    """Repeat each row of some embeddings `times` times, as pipelines do for several images a prompt."""
    if isinstance(embeddings, Tensor):
        return embeddings.repeat_interleave(times, dim=0)
    return [row for row in embeddings for _ in range(times)]


def _same(one: Tensor, other: Tensor) -> bool:
    if one is other:
        return True
    return one.shape == other.shape and torch.equal(one, other.to(one.device, one.dtype))


def joint_layers(denoiser: Any, lists: Mapping[str, str], attention: str) -> list[Layer]:
    """Return the attention of a transformer's blocks, in order.

    Args:
        denoiser: The transformer.
        lists: Name of each list of blocks -> the block that its layers count as.
        attention: Name of the attention in a block, dotted where it lies deeper.
    """
    layers = []
    for name, block in lists.items():
        for index, one in enumerate(getattr(denoiser, name)):
            module = one.get_submodule(attention)
            layers.append(Layer(f"{name}.{index}.{attention}", module, int(module.heads), block))
    return layers


def patch_grid(call: DenoiserCall) -> tuple[int, int]:
    """Return (height, width) of the image's tokens: the latents cut into patches."""
    height, width = call.sample.shape[-2:]
    patch = int(call.denoiser.config.patch_size)
    return int(height) // patch, int(width) // patch


def text_first(call: DenoiserCall, grid: tuple[int, ...], *, before: int = 0) -> AttentionLayout:
    """Lay the text, then the image, behind `before` other positions, equal for all rows."""
    text = slice(before, before + call.length)
    image = slice(text.stop, text.stop + math.prod(grid))
    count = len(call.rows)
    return AttentionLayout(grid, call.rows, (text,) * count, image=(image,) * count, joint=True)


def upscale(
    maps: Tensor, size: tuple[int, ...], interpolation: Interpolation, *, clamp: bool = True
) -> Tensor:
    """Upscale float32 maps (..., h, w) to (..., height, width), where asked with negatives clamped to 0."""
    if maps.shape[-len(size) :] == size:
        return maps
    rows, columns = (
        torch.tensor(resize_weights(source, target, interpolation), device=maps.device)
        for source, target in zip(maps.shape[-2:], size, strict=True)
    )
    upscaled = rows @ maps @ columns.T
    return upscaled.clamp_(min=0) if clamp else upscaled
