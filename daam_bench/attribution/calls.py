"""Reading a pipeline's calls: which encoding is the prompt's, and which calls and rows carry it.

Nothing is taken by its place. The prompt is the encoding that the first call of the denoiser carries;
further calls count where they carry it, are left out where they carry a text that was encoded with it
(a negative prompt), and are refused where they carry anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from daam_bench.attribution.hooks import beside
from daam_bench.attribution.layout import Architecture, DenoiserCall, find_rows
from daam_bench.attribution.selection import Selection
from daam_bench.attribution.streams import Embeddings, Encoding, Stream, ends_with, is_equal, is_text
from daam_bench.attribution.sums import TracedGeneration
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.attribution.extra_text import ExtraText


class _ThreadState(threading.local):
    """What one thread is doing with the pipeline."""

    def __init__(self) -> None:
        self.encodings: list[Encoding] = []
        self.recording: dict[str, list[tuple[tuple[int, ...], ...]]] | None = None
        self.asked = Encoding(None, ())
        self.again: Callable[[], Any] | None = None
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
        selection: What is added up.
        planned: Whether the scheduler says how many calls a generation has.

    Attributes:
        generations: All generations so far, in their order.
    """

    def __init__(
        self, pipeline: Any, architecture: Architecture, selection: Selection, *, planned: bool
    ) -> None:
        self.pipeline, self.architecture, self._planned = pipeline, architecture, planned
        self.selection = selection
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

    def riding(self) -> ExtraText | None:
        """Return the attribution text of the generation whose denoiser call is running in this thread."""
        generation = self.counted()
        return None if generation is None else generation.extra

    def begin_encoding(self, asked: Encoding, again: Callable[[], Any] | None = None) -> None:
        """Take note that prompts are being encoded.

        Args:
            asked: An encoding that has no embeddings yet.
            again: Encodes the attribution prompts in the same way, where there are any.
        """
        here = self._here
        if self.current() is None and here.early == len(here.encodings):
            here.encodings, here.early = [], 0
        here.asked, here.again, here.recording = asked, again, {}

    def record_ids(self, encoder: str, ids: Any) -> None:
        """Take note of the ids that a text encoder is fed while prompts are being encoded."""
        if self._here.recording is not None and isinstance(ids, Tensor) and ids.ndim == 2:
            rows = tuple(tuple(row) for row in ids.tolist())
            self._here.recording.setdefault(encoder, []).append(rows)

    def end_encoding(self, result: Any) -> None:
        """Keep what `encode_prompt` returned, and what it returns for the attribution prompts."""
        here = self._here
        encoding = self._encoded(here.asked, result)
        if encoding is not None and here.again is not None:
            here.recording = {}
            from daam_bench.attribution.other_prompts import attribution_prompts

            texts = attribution_prompts(self.selection.attribution_prompts, here.asked.prompts)
            asked = Encoding(texts, (), head=here.asked.head)
            with torch.no_grad():
                encoding = replace(encoding, extra=self._encoded(asked, here.again()))
        here.recording = None
        if encoding is not None:
            here.encodings.append(encoding)

    def _encoded(self, asked: Encoding, result: Any) -> Encoding | None:
        first, *others = result if isinstance(result, tuple) else (result,)
        if first is None:
            return None
        fed = {name: tuple(calls) for name, calls in (self._here.recording or {}).items()}
        texts = tuple(other for other in others if is_text(other))
        mask = None
        if isinstance(first, Tensor):
            fitting = (m for m in others if isinstance(m, Tensor) and m.shape == first.shape[:2])
            mask = next(fitting, None)
        return replace(asked, embeddings=first, others=texts, fed=fed, mask=mask)

    def begin_call(self, denoiser: Any, arguments: dict[str, Any]) -> None:
        """Read a call of the denoiser: does it carry the prompt, and in which rows?

        Args:
            denoiser: The denoiser.
            arguments: The call's arguments by name.

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
            generation = self._begin(denoiser, text, sample, arguments)
            if generation is None:
                return
        rows = self._rows(generation, text, sample)
        if rows is None:
            self._check_known(text)
            return
        call = DenoiserCall(denoiser, arguments, rows, text, sample)
        layout = self.architecture.layout(call)
        generation.begin_call(layout, len(sample))
        here.call, here.counted = call, True
        if generation.extra is not None:
            with beside(self), torch.no_grad():
                # Its forward method alone: no hook takes this for a call of its own.
                generation.extra.prepare(denoiser.forward, call, layout, self.architecture.text)

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

    def _begin(
        self, denoiser: Any, text: Embeddings, sample: Any, arguments: dict[str, Any]
    ) -> TracedGeneration | None:
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
        layout = self.architecture.layout(DenoiserCall(denoiser, arguments, rows, text, sample))
        length = max(part.stop - part.start for part in layout.text)
        generation = TracedGeneration(encoding, streams, no_words, timesteps, weight, len(rows), length)
        generation.extra = self._extra(encoding, arguments)
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
        for other in self._others(arguments):
            fed |= {name: ids for name, ids in other.fed.items() if name not in fed}
        return replace(encoding, fed=fed)

    def _others(self, arguments: dict[str, Any]) -> list[Encoding]:
        """Return the encodings that a call carries in its further arguments for text."""
        carried = [arguments.get(name) for name in self.architecture.text[1:]]
        return [
            other
            for other in self._here.encodings
            if any(is_equal(one, other.embeddings) or ends_with(one, other.embeddings) for one in carried)
        ]

    def _extra(self, encoding: Encoding, arguments: dict[str, Any]) -> ExtraText | None:
        """Return the attribution text that goes with an encoding."""
        if encoding.extra is None:
            return None
        from daam_bench.attribution.extra_text import ExtraText

        own = encoding.extra
        others = [other.extra for other in self._others(arguments) if other.extra is not None]
        whole = replace(own, fed={name: ids for one in (*others, own) for name, ids in one.fed.items()})
        streams = [
            self.architecture.streams(self.pipeline, prompt, row, whole)
            for row, prompt in enumerate(whole.prompts or ())
        ]
        softmax = self.selection.attribution_scores == "softmax"
        return ExtraText((own, *others), streams, softmax=softmax)

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
        repeats = self.architecture.repeats and bool(encoding.prompts)
        return find_rows(text, encoding.embeddings, sample, repeats=repeats)

    def _check_known(self, text: Embeddings) -> None:
        """Refuse a call without the prompt, unless its text was encoded with the prompt."""
        here = self._here
        for order, encoding in enumerate(here.encodings[: here.early]):
            if order < here.order and is_equal(text, encoding.embeddings):
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
