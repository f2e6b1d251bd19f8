"""Reading a pipeline's calls: which encoding is the prompt's, and which calls and rows carry it.

Nothing is taken by its place. The prompt is the encoding that the first call of the denoiser carries;
further calls count where they carry it, are left out where they carry a text that was encoded with it
(a negative prompt), and are refused where they carry anything else.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from daam_bench.attribution.layout import (
    AmbiguousRowsError,
    Architecture,
    DenoiserCall,
    repeated,
    rows_carrying,
)
from daam_bench.attribution.streams import Embeddings, Encoding, Stream
from daam_bench.attribution.sums import TracedGeneration
from daam_bench.types.errors import InputError


class _ThreadState(threading.local):
    """What one thread is doing with the pipeline."""

    def __init__(self) -> None:
        self.encodings: list[Encoding] = []
        self.recording: dict[str, list[tuple[tuple[int, ...], ...]]] | None = None
        self.asked = Encoding(None, ())
        self.generation: TracedGeneration | None = None
        self.order = 0
        self.early = 0
        self.counted = False
        self.call: DenoiserCall | None = None
        self.carrier: tuple[Any, int, tuple[int, ...]] | None = None


class Reading:
    """What has been seen of a pipeline: its encodings and generations, by thread.

    Args:
        pipeline: The pipeline.
        architecture: The family of its denoiser.
        planned: Whether the scheduler says how many calls a generation has.

    Attributes:
        generations: All generations so far, in their order.
    """

    def __init__(self, pipeline: Any, architecture: Architecture, *, planned: bool) -> None:
        self.pipeline, self.architecture, self._planned = pipeline, architecture, planned
        self.generations: list[TracedGeneration] = []
        self._here = _ThreadState()

    def current(self) -> TracedGeneration | None:
        """Return the open generation of this thread, if there is one."""
        generation = self._here.generation
        return None if generation is None or generation.finished else generation

    def counted(self) -> TracedGeneration | None:
        """Return the generation whose denoiser call is running in this thread, if the call counts."""
        return self._here.generation if self._here.counted else None

    def call(self) -> DenoiserCall | None:
        """Return the denoiser call that is running in this thread, if it counts."""
        return self._here.call if self._here.counted else None

    def begin_encoding(self, asked: Encoding) -> None:
        """Take note that prompts are being encoded: an encoding that has no embeddings yet."""
        here = self._here
        if self.current() is None and here.early == len(here.encodings):
            here.encodings, here.early = [], 0
        here.asked, here.recording = asked, {}

    def record_ids(self, encoder: str, ids: Any) -> None:
        """Take note of the ids that a text encoder is fed while prompts are being encoded."""
        if self._here.recording is not None and isinstance(ids, Tensor) and ids.ndim == 2:
            rows = tuple(tuple(row) for row in ids.tolist())
            self._here.recording.setdefault(encoder, []).append(rows)

    def end_encoding(self, result: Any) -> None:
        """Keep what `encode_prompt` returned."""
        here = self._here
        first, *others = result if isinstance(result, tuple) else (result,)
        if first is None:
            return
        fed = {name: tuple(calls) for name, calls in (here.recording or {}).items()}
        texts = tuple(other for other in others if _is_text(other))
        here.encodings.append(replace(here.asked, embeddings=first, others=texts, fed=fed))
        here.recording = None

    def begin_call(self, denoiser: Any, arguments: dict[str, Any]) -> None:
        """Read a call of the denoiser: does it carry the prompt, and in which rows?

        Raises:
            InputError: It carries something that can't be told apart from the prompt, or changes it midway.
        """
        here = self._here
        here.counted = False
        text, sample = arguments.get(self.architecture.text[0]), arguments.get(self.architecture.sample)
        if text is None or sample is None or not here.encodings:
            return
        generation = self.current()
        if generation is not None and self._is_over(generation):
            generation = None
        if generation is None:
            generation = self._begin(text, sample, arguments)
            if generation is None:
                return
        rows = self._rows(generation, text, sample)
        if rows is None:
            self._check_known(text)
            return
        call = DenoiserCall(denoiser, arguments, rows, text, sample)
        generation.begin_call(self.architecture.layout(call), len(sample))
        here.call, here.counted = call, True

    def end_call(self) -> None:
        """Take note that the denoiser has returned."""
        if self._here.counted and self._here.generation is not None:
            self._here.generation.end_call()
        self._here.call, self._here.counted = None, False

    def _is_over(self, generation: TracedGeneration) -> bool:
        """Whether a call belongs to a new generation: the scheduler has made a new plan."""
        plan = getattr(self.pipeline.scheduler, "timesteps", None)
        is_kept = plan is getattr(self.pipeline.scheduler, "timesteps", None)
        return self._planned and is_kept and generation.timesteps is not plan

    def _begin(self, text: Embeddings, sample: Any, arguments: dict[str, Any]) -> TracedGeneration | None:
        here = self._here
        carried = []
        for order, encoding in enumerate(here.encodings):
            if (rows := self._find(encoding, text, sample)) is not None:
                carried.append((order, encoding, rows))
        if not carried:
            return None
        if len({rows for _, _, rows in carried}) > 1:
            raise InputError(
                "the denoiser is fed with two prompts at once (a source and a target?); such a pipeline "
                "can't be traced"
            )
        order, encoding, _ = carried[-1]
        rows = carried[-1][2]
        encoding = self._with_other_texts(encoding, arguments)
        streams, no_words = self._streams(encoding)
        scheduler = self.pipeline.scheduler
        timesteps = getattr(scheduler, "timesteps", None) if self._planned else None
        steps = getattr(scheduler, "num_inference_steps", None) if self._planned else None
        weight = steps / len(timesteps) if steps and timesteps is not None and len(timesteps) else 1.0
        length = sum(_length(arguments[name]) for name in self.architecture.text)
        generation = TracedGeneration(encoding, streams, no_words, timesteps, weight, len(rows), length)
        here.generation, here.order, here.early = generation, order, len(here.encodings)
        here.carrier = None
        self.generations.append(generation)
        return generation

    def _with_other_texts(self, encoding: Encoding, arguments: dict[str, Any]) -> Encoding:
        """Add the ids of a second encoder that a second call of `encode_prompt` fed (HunyuanDiT)."""
        names = self.architecture.text[1:]
        if not names:
            return encoding
        fed = dict(encoding.fed)
        for other in self._here.encodings:
            if any(_equal(arguments.get(name), other.embeddings) for name in names) or any(
                _ends_with(arguments.get(name), other.embeddings) for name in names
            ):
                fed |= {name: ids for name, ids in other.fed.items() if name not in fed}
        return replace(encoding, fed=fed)

    def _streams(self, encoding: Encoding) -> tuple[list[list[Stream]] | None, str | None]:
        """Return where each prompt's tokens lie, or why that can't be told."""
        if encoding.prompts is None:
            return None, (
                "the pipeline was given prompt_embeds without a prompt: words are unknown; use maps.token(k)"
            )
        if encoding.no_words is not None:
            return None, f"{encoding.no_words}; use maps.token(k)"
        try:
            return [
                self.architecture.streams(self.pipeline, prompt, row, encoding)
                for row, prompt in enumerate(encoding.prompts)
            ], None
        except InputError as error:
            return None, f"{str(error).removesuffix('; use maps.token(k)')}; use maps.token(k)"

    def _rows(self, generation: TracedGeneration, text: Embeddings, sample: Any) -> tuple[int, ...] | None:
        """Return the rows that carry the generation's prompts, remembered while the text is the same."""
        here = self._here
        version = text._version if isinstance(text, Tensor) and not text.is_inference() else -1
        if here.carrier is not None and here.carrier[0] is text and here.carrier[1] == version >= 0:
            return here.carrier[2]
        rows = self._find(generation.encoding, text, sample)
        if rows is not None:
            here.carrier = (text, version, rows)
        return rows

    def _find(self, encoding: Encoding, text: Embeddings, sample: Any) -> tuple[int, ...] | None:
        embeddings = encoding.embeddings
        try:
            if self.architecture.repeats and encoding.prompts and len(text) > len(embeddings):
                for times in (len(text) // len(embeddings), len(text) // (2 * len(embeddings))):
                    if times and (rows := rows_carrying(text, repeated(embeddings, times), sample)):
                        return rows
            return rows_carrying(text, embeddings, sample)
        except AmbiguousRowsError as error:
            raise InputError(
                f"the denoiser was called with {error.blocks} blocks of latents for one prompt (windows of a "
                f"large image, or {len(sample)} latents for {len(embeddings)} image(s)?); such a pipeline "
                "can't be traced"
            ) from None

    def _check_known(self, text: Embeddings) -> None:
        """Refuse a call without the prompt, unless its text was encoded with the prompt."""
        here = self._here
        for order, encoding in enumerate(here.encodings[: here.early]):
            if order < here.order and _equal(text, encoding.embeddings):
                raise InputError(
                    "the denoiser is fed with two prompts in turn, and it can't be told which of them is the "
                    "image's; encode the prompt first and the negative prompt with it or after it"
                )
        known = [
            row
            for encoding in here.encodings[: here.early]
            for texts in (encoding.embeddings, *encoding.others)
            for row in texts
        ]
        for row in text:
            if not any(
                row.shape == other.shape and torch.equal(row, other.to(row.device, row.dtype))
                for other in known
            ):
                raise InputError(
                    "the denoiser was fed with another text than the prompt's midway through a generation (a "
                    "callback that changes prompt_embeds, or weighted prompts?); such a generation can't be "
                    "traced"
                )


class EncodingListener:
    """Hears of calls of `encode_prompt`: copies the prompt before the pipeline can rewrite it."""

    def __init__(self, reading: Reading, encode: Callable[..., Any]) -> None:
        self._reading = reading
        self._signature = inspect.signature(encode)

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note the prompts."""
        arguments = self._signature.bind(*args, **kwargs).arguments
        prompts = _as_tuple(arguments.get("prompt"))
        no_words = None
        for name in ("prompt_2", "prompt_3"):
            if prompts is not None and _as_tuple(arguments.get(name)) not in (None, prompts):
                no_words = f"prompt and {name} differ, so that a position holds a token of each"
        pipeline = self._reading.pipeline
        convert = getattr(pipeline, "maybe_convert_prompt", None)
        tokenizer = getattr(pipeline, "tokenizer", None) or getattr(pipeline, "tokenizer_2", None)
        converted = None
        if prompts is not None and convert is not None and tokenizer is not None:
            converted = tuple(convert(list(prompts), tokenizer))
        if converted is not None and converted != prompts:
            no_words = "the prompt holds a textual inversion of several vectors, which moves its tokens"
        head = arguments.get("complex_human_instruction") or arguments.get("system_prompt") or ""
        head = head if isinstance(head, str) else "\n".join(head)
        self._reading.begin_encoding(Encoding(prompts, (), no_words=no_words, head=head))

    def after(self, result: Any) -> None:
        """Keep the embeddings."""
        self._reading.end_encoding(result)


class EncoderListener:
    """Hears of the ids that a text encoder is fed."""

    def __init__(self, reading: Reading, name: str) -> None:
        self._reading, self._name = reading, name

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note the ids."""
        self._reading.record_ids(self._name, args[0] if args else kwargs.get("input_ids"))

    def after(self, result: Any) -> None:
        """What comes out is read where `encode_prompt` returns it."""


class DenoiserListener:
    """Hears of the denoiser's calls."""

    def __init__(self, reading: Reading, denoiser: Any) -> None:
        self._reading, self._denoiser = reading, denoiser
        self._signature = inspect.signature(type(denoiser).forward)

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Read the call."""
        arguments = self._signature.bind_partial(self._denoiser, *args, **kwargs).arguments
        self._reading.begin_call(self._denoiser, dict(arguments))

    def after(self, result: Any) -> None:
        """Note that it returned."""
        self._reading.end_call()


def _as_tuple(prompt: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (prompt,) if isinstance(prompt, str) else None if prompt is None else tuple(prompt)


def _is_text(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.ndim == 3
    return isinstance(value, list) and bool(value) and all(isinstance(row, Tensor) for row in value)


def _length(text: Embeddings) -> int:
    return int(text.shape[1]) if isinstance(text, Tensor) else max(int(row.shape[0]) for row in text)


def _equal(one: Any, other: Embeddings) -> bool:
    if one is None or len(one) != len(other):
        return False
    return all(
        a.shape == b.shape and torch.equal(a, b.to(a.device, a.dtype))
        for a, b in zip(one, other, strict=True)
    )


def _ends_with(one: Any, other: Embeddings) -> bool:
    return one is not None and len(one) > len(other) and _equal(one[-len(other) :], other)
