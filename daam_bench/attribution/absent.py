"""A prompt without one of its words: the word's tokens are masked in the text encoders' attention."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from daam_bench.attribution.hooks import CallHook
from daam_bench.attribution.streams import FedText, as_written, inside, read_stream
from daam_bench.attribution.trajectory import Trajectory
from daam_bench.types.errors import InputError


def encode_without(trajectory: Trajectory, start: int, end: int) -> list[tuple[Tensor, Tensor]]:
    """Encode a prompt again with a word's tokens masked in the attention of every text encoder.

    The word's positions stay, and no other token is changed by what the word was.

    Args:
        trajectory: A recorded generation.
        start: First character of the word in the prompt.
        end: One past its last.

    Returns:
        Each tensor that `encode_prompt` gave the pipeline and that changes, and what it becomes.

    Raises:
        InputError: The word can't be found in what the encoders are fed.
    """
    pipeline = trajectory.pipeline
    maskers = []
    with ExitStack() as hooks:
        for name in trajectory.architecture.encoders:
            encoder = getattr(pipeline, name, None)
            tokenizer = getattr(pipeline, name.replace("text_encoder", "tokenizer"), None)
            if encoder is not None and tokenizer is not None:
                masker = _Masker(tokenizer, trajectory, start, end)
                maskers.append(masker)
                hooks.callback(encoder.register_forward_pre_hook(masker.masked, with_kwargs=True).remove)
        again = [_encode(pipeline, *call.args, **call.kwargs) for call in trajectory.encodings]
    if not any(masker.found for masker in maskers):
        raise InputError(
            f"the tokens of {trajectory.prompt[start:end]!r} were not found in what the text encoders of "
            f"{type(pipeline).__name__} are fed, so the word can't be taken away"
        )
    return [
        (old, new)
        for call, result in zip(trajectory.encodings, again, strict=True)
        for old, new in zip(call.result, result, strict=True)
        if isinstance(old, Tensor) and not torch.equal(old, new)
    ]


@torch.no_grad()
def _encode(pipeline: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    # A trace that is open must not take this for a prompt of its own: it is passed by.
    encode = CallHook.of(pipeline, "encode_prompt").original
    result = encode(*args, **kwargs)
    return result if isinstance(result, tuple) else (result,)


class _Masker:
    """Masks a word in what one text encoder is fed by the thread that made it.

    Attributes:
        found: Whether the word was there.
    """

    def __init__(self, tokenizer: Any, trajectory: Trajectory, start: int, end: int) -> None:
        self._tokenizer, self._trajectory = tokenizer, trajectory
        self._start, self._end = start, end
        self._thread = threading.get_ident()
        self.found = False

    def masked(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        ids = args[0] if args else kwargs.get("input_ids")
        if threading.get_ident() != self._thread or not isinstance(ids, Tensor) or ids.ndim != 2:
            return None
        places = [self._places(row) for row in ids.tolist()]
        if not any(places):
            return None
        if len(args) > 1:
            raise InputError("a text encoder is fed its attention mask by position, which is not known here")
        given = kwargs.get("attention_mask")
        mask = torch.ones_like(ids) if given is None else given.clone()
        for row, hidden in enumerate(places):
            mask[row, list(hidden)] = 0
        self.found = True
        return args, kwargs | {"attention_mask": mask}

    def _places(self, row: list[int]) -> tuple[int, ...]:
        """Return where the word's tokens lie in a row of ids; nothing in one that isn't the prompt's."""
        try:
            stream = read_stream("", self._tokenizer, self._trajectory.prompt, [row], self._forms())
        except InputError:
            return ()
        return stream.prompt.tokens_of(self._start, self._end)

    def _forms(self) -> Iterator[FedText]:
        prompt, head = self._trajectory.prompt, self._trajectory.head
        yield from as_written(prompt)
        if head:
            yield from (inside(head, form) for form in as_written(prompt))
