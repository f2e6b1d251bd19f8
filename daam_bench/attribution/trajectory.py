"""Recording a generation's denoiser calls, so that they can be made again one by one (teacher forcing)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from daam_bench.attribution.architectures import architecture_of, denoisers_of
from daam_bench.attribution.calls import Reading
from daam_bench.attribution.hooks import INSTALLING, CallHook, hear_calls
from daam_bench.attribution.layout import Architecture, AttentionLayout, DenoiserCall
from daam_bench.attribution.listeners import install
from daam_bench.attribution.selection import make_selection
from daam_bench.attribution.streams import Stream
from daam_bench.attribution.tokens import fullest
from daam_bench.types.errors import InputError

_SHARED = frozenset({"img_ids", "txt_ids", "image_rotary_emb"})
"""Arguments without a row for each image: a length of theirs may happen to be the batch's."""

_TIME = ("timestep", "t")


class Rowed(NamedTuple):
    """An argument of a denoiser that has a row for each image."""

    value: Any


class EncodeCall(NamedTuple):
    """A call of `encode_prompt`: its arguments, and what it returned."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """The denoiser calls of one image's generation that carried its prompt.

    Attributes:
        pipeline: The pipeline.
        architecture: The family of its denoiser.
        prompt: The prompt.
        streams: Where its tokens lie in the text.
        head: What the pipeline put before the prompt; empty for nothing.
        encodings: The calls of `encode_prompt`.
        calls: The arguments of each call, in order, for the row of the prompt alone. Where one has a row
            for each image, it is a `Rowed` with one row.
    """

    pipeline: Any
    architecture: Architecture
    prompt: str
    streams: tuple[Stream, ...]
    head: str
    encodings: tuple[EncodeCall, ...]
    calls: tuple[Mapping[str, Any], ...]

    @property
    def denoiser(self) -> Any:
        """The module that the calls were of."""
        return denoisers_of(self.pipeline)[0]

    def layout(self, arguments: Mapping[str, Any]) -> AttentionLayout:
        """Return how a batch of calls lies in the attention, every row of it with the prompt."""
        text, sample = arguments[self.architecture.text[0]], arguments[self.architecture.sample]
        rows = tuple(range(len(sample)))
        return self.architecture.layout(DenoiserCall(self.denoiser, arguments, rows, text, sample))

    def positions(self, start: int, end: int) -> tuple[int, ...]:
        """Return where a word's tokens lie in the text, in all of its streams.

        Args:
            start: First character of the word in the prompt.
            end: One past its last.

        Raises:
            InputError: The span isn't whole words, or the text encoders didn't see it.
        """
        word = fullest(stream.prompt for stream in self.streams).word(start, end)
        found = {place for stream in self.streams for place in stream.prompt.tokens_of(word.start, word.end)}
        return tuple(sorted(found))


class RecordedCalls:
    """What `record` gives."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._encodings: list[EncodeCall] = []
        self._calls: list[tuple[object, Mapping[str, Any]]] = []

    def add_encoding(self, call: EncodeCall) -> None:
        """Keep a call of `encode_prompt`."""
        self._encodings.append(call)

    def add_call(self, arguments: Mapping[str, Any]) -> None:
        """Keep a call of the denoiser, if it counts."""
        call = self._reading.call()
        if call is not None:
            if len(call.rows) != 1:
                raise InputError(f"record one image at a time, not a batch of {len(call.rows)}")
            self._calls.append(
                (self._reading.counted(), _one_row(call, arguments, self._reading.architecture.sample))
            )

    def trajectory(self) -> Trajectory:
        """Return the trajectory of the last image that was generated.

        Raises:
            InputError: No image was generated, or its words can't be found in the text.
        """
        generations = [one for one in self._reading.generations if one.complete]
        if not generations:
            raise InputError("no image was generated; call the recorded pipeline in its block")
        generation = generations[-1]
        if generation.streams is None or generation.encoding.prompts is None:
            raise InputError(f"the words of the prompt can't be found: {generation.no_words}")
        return Trajectory(
            pipeline=self._reading.pipeline,
            architecture=self._reading.architecture,
            prompt=generation.encoding.prompts[0],
            streams=tuple(generation.streams[0]),
            head=generation.encoding.head,
            encodings=tuple(self._encodings),
            calls=tuple(arguments for of, arguments in self._calls if of is generation),
        )


@contextmanager
def record(pipeline: Any) -> Iterator[RecordedCalls]:
    """Record a pipeline's generation of one image, for use in a `with` statement.

    The image is the very same, and so is any trace of it.

    Raises:
        InputError: A pipeline that can't be traced; see `daam_bench.attribution.trace.trace`.
    """
    reading = Reading(pipeline, architecture_of(pipeline), make_selection(), planned=True)
    recorder = RecordedCalls(reading)
    with ExitStack() as hooks:
        with INSTALLING:
            CallHook.of(pipeline, "encode_prompt").attach(hooks, _EncodingKeeper(recorder))
            # Without layers: it is read which calls carry the prompt, and nothing is added up.
            install(hooks, reading, [(denoiser, ()) for denoiser in denoisers_of(pipeline)])
            for denoiser in denoisers_of(pipeline):
                hear_calls(hooks, denoiser, _CallKeeper(recorder, denoiser))
        yield recorder


class _EncodingKeeper:
    def __init__(self, recorder: RecordedCalls) -> None:
        self._recorder = recorder
        self._arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # A pipeline may change its list of prompts in place.
        self._arguments = tuple(map(_copied, args)), {name: _copied(value) for name, value in kwargs.items()}

    def after(self, result: Any) -> None:
        result = result if isinstance(result, tuple) else (result,)
        self._recorder.add_encoding(EncodeCall(*self._arguments, result))


class _CallKeeper:
    def __init__(self, recorder: RecordedCalls, denoiser: Any) -> None:
        self._recorder, self._denoiser = recorder, denoiser

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        signature = inspect.signature(type(self._denoiser).forward)
        bound = signature.bind_partial(self._denoiser, *args, **kwargs).arguments
        own, *_ = signature.parameters
        self._recorder.add_call({name: value for name, value in bound.items() if name != own})

    def after(self, result: Any) -> None:
        """Nothing of the result is kept."""


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def _one_row(call: DenoiserCall, arguments: Mapping[str, Any], sample: str) -> dict[str, Any]:
    """Return the arguments of a call for its one row with the prompt; the latents as a copy."""
    row, batch = call.rows[0], len(call.sample)
    kept = {
        name: value if name in _SHARED else _row_of(value, row, batch) for name, value in arguments.items()
    }
    for name in _TIME:
        if name in kept:
            kept[name] = _time(arguments[name], row, call.sample)
    # A pipeline may go on in place with its latents.
    kept[sample] = Rowed(kept[sample].value.clone())
    return kept | {"return_dict": False}


def _row_of(value: Any, row: int, batch: int) -> Any:
    if isinstance(value, Tensor):
        has_rows = value.ndim > 0 and len(value) == batch
        return Rowed(value[row : row + 1]) if has_rows else value
    if isinstance(value, dict):
        return {name: _row_of(one, row, batch) for name, one in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(one, Tensor) for one in value):
        return type(value)(_row_of(one, row, batch) for one in value)
    return value


def _time(value: Any, row: int, sample: Tensor) -> Rowed:
    time = torch.as_tensor(value, device=sample.device).reshape(-1)
    return Rowed(time[row if len(time) > 1 else 0].reshape(1).clone())


def batch_of(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put recorded calls into one call with a row for each of them.

    Raises:
        InputError: They differ in an argument that has no rows.
    """
    first = calls[0]
    return {name: _joined([call[name] for call in calls]) for name in first}


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Rowed):
        return torch.cat([one.value for one in values])
    if isinstance(first, dict):
        return {name: _joined([one[name] for one in values]) for name in first}
    if isinstance(first, list | tuple) and any(isinstance(one, Rowed | Tensor) for one in first):
        return type(first)(_joined(parts) for parts in zip(*values, strict=True))
    return first


def exchanged(
    call: Mapping[str, Any], tensors: Sequence[tuple[Tensor, Tensor]], where: Callable[[str], bool]
) -> dict[str, Any] | None:
    """Return a recorded call with other tensors in place of some, which are found by their content.

    Args:
        call: The call.
        tensors: What to look for, and what takes its place; a row for each image.
        where: Whether to look in an argument, by its name.

    Returns:
        The call; None where nothing was found.
    """
    found: list[Tensor] = []

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(one) for name, one in value.items()}
        if isinstance(value, Rowed):
            for old, new in tensors:
                here = old.to(value.value.device, value.value.dtype)
                if here.shape == value.value.shape and torch.equal(here, value.value):
                    found.append(new)
                    return Rowed(new.to(here))
        return value

    changed = {name: change(value) if where(name) else value for name, value in call.items()}
    return changed if found else None


def only(trajectory: Trajectory, places: Sequence[int]) -> Trajectory:
    """Return a trajectory with only the calls at some places."""
    return replace(trajectory, calls=tuple(trajectory.calls[place] for place in places))
