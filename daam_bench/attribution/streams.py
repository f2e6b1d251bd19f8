"""Where a prompt's tokens lie in the text that a denoiser is fed, by the ids that its encoders saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from daam_bench.attribution.tokens import PromptToken, TokenizedPrompt, encode, trimmed
from daam_bench.types.errors import InputError

Embeddings: TypeAlias = Tensor | Sequence[Tensor]
"""Text as a denoiser is fed with it: (rows, length, channels), or one (length, channels) a row."""

FedIds: TypeAlias = tuple[tuple[tuple[int, ...], ...], ...]
"""Token ids that an encoder was fed: its calls, their rows, their ids."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One call of a pipeline's `encode_prompt`.

    Attributes:
        prompts: The prompts, copied before the pipeline could change them; None for embeddings alone.
        embeddings: What it returned for them, one row an image.
        others: What else it returned, such as the embeddings of negative prompts.
        fed: Attribute name of a text encoder -> the ids that it was fed.
        no_words: Why words can't be looked up whatever the ids are; None where they can.
        head: What the call had put before the prompt (an instruction, a system prompt); empty for nothing.
        mask: Which positions of each row are text (rows, length), where `encode_prompt` returned it.
        extra: The same call with the attribution prompts in place of the prompts; None without any.
    """

    prompts: tuple[str, ...] | None
    embeddings: Embeddings
    others: tuple[Embeddings, ...] = ()
    fed: Mapping[str, FedIds] = field(default_factory=dict)
    no_words: str | None = None
    head: str = ""
    mask: Tensor | None = None
    extra: Encoding | None = None

    @property
    def length(self) -> int:
        """Number of text positions of its longest row."""
        return max(int(row.shape[0]) for row in self.embeddings)

    def ids(self, encoder: str, row: int) -> list[tuple[int, ...]]:
        """Return what an encoder was fed in the place of prompt `row`, call by call."""
        return [call[row] for call in self.fed.get(encoder, ()) if row < len(call)]


@dataclass(frozen=True, slots=True)
class Stream:
    """A run of text positions that one tokenizer made (two where they agree token by token).

    Attributes:
        name: "clip", "t5" or "text".
        prompt: The prompt, its tokens at their positions in the text.
        kept: Positions worth keeping: the prompt's, and its special tokens; neither padding nor template.
    """

    name: str
    prompt: TokenizedPrompt
    kept: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FedText:
    """A text as a tokenizer was given it, with the prompt somewhere inside.

    Attributes:
        text: The text.
        origin: For each character its index in the prompt; -1 for one that isn't of the prompt.
    """

    text: str
    origin: tuple[int, ...]


def as_written(prompt: str) -> Iterator[FedText]:
    """Yield the forms in which pipelines hand a prompt to their tokenizers, the plain one first.

    Lower-casing, stripping and folding of blanks keep every character's origin; what else a pipeline
    may clean away (HTML, links) is none of these, and its words are then refused rather than guessed.
    """
    plain = FedText(prompt, tuple(range(len(prompt))))
    yield plain
    stripped = _stripped(plain)
    folded = _folded(stripped)
    for form in (stripped, folded, _lower(stripped), _lower(folded)):
        if form is not None and form.text != prompt:
            yield form


def inside(head: str, form: FedText, tail: str = "") -> FedText:
    """Put a form of a prompt into a template."""
    return FedText(head + form.text + tail, (-1,) * len(head) + form.origin + (-1,) * len(tail))


def rendered(text: str, prompt: str) -> Iterator[FedText]:
    """Yield a template filled with a prompt, by the last place where the prompt stands in it."""
    start = text.rfind(prompt)
    if start >= 0:
        form = FedText(prompt, tuple(range(len(prompt))))
        yield inside(text[:start], form, text[start + len(prompt) :])


def read_stream(
    name: str,
    tokenizer: Any,
    prompt: str,
    rows: Sequence[Sequence[int]],
    forms: Iterator[FedText],
    place: Callable[[int], int | None] = lambda position: position,
) -> Stream:
    """Find a prompt's tokens in the ids that a text encoder was fed.

    Args:
        name: Name of the stream.
        tokenizer: The tokenizer behind the encoder.
        prompt: The user's prompt.
        rows: Ids that the encoder was fed in this prompt's place, one row a call.
        forms: The texts that the pipeline may have tokenized.
        place: Position in the encoder -> position in the denoiser's text; None where it doesn't get there.

    Raises:
        InputError: The ids are those of none of the forms, or the tokenizer can't tell where its tokens lie.
    """
    if not rows:
        raise InputError("its text encoder was not seen at work, so its words are unknown")
    for form in forms:
        ids, offsets, special = encode(tokenizer, form.text)
        content = [index for index, is_special in enumerate(special) if not is_special]
        wanted = tuple(ids[index] for index in content)
        lead, tail = _run(special), _run(special[::-1])
        for row in rows:
            start, seen = _find(wanted, tuple(row), lead, tail)
            if start is None:
                continue
            spans = [_span(form, *offsets[index]) for index in content]
            placed = _placed(prompt, spans, start, seen, place, len(row))
            if -1 in form.origin:  # of a template, only the prompt is worth keeping
                kept = [token.position for token in placed.tokens if token.position < placed.end_position]
            else:
                kept = [p for i in filled(tokenizer, row) if (p := place(i)) is not None]
            return Stream(name, placed, tuple(kept))
    raise InputError(
        f"the text encoder was fed other tokens than those of {prompt!r}: the pipeline changes prompts in a "
        "way that is not known here"
    )


def side_by_side(streams: Sequence[Stream]) -> Stream:
    """Return one stream for encoders whose embeddings share their positions, side by side in the channels.

    Raises:
        InputError: Their tokenizers split the prompt differently.
    """
    first = streams[0]
    if any(stream.prompt.tokens != first.prompt.tokens for stream in streams):
        raise InputError("the pipeline's tokenizers split this prompt differently")
    kept = sorted({place for stream in streams for place in stream.kept})
    return Stream(first.name, first.prompt, tuple(kept))


def filled(tokenizer: Any, row: Sequence[int]) -> list[int]:
    """Return the positions of a row that aren't padding; of padding by the end token, also the first."""
    padding = getattr(tokenizer, "pad_token_id", None)
    there = [index for index, identity in enumerate(row) if identity != padding]
    if padding is not None and padding == getattr(tokenizer, "eos_token_id", None):
        end = there[-1] + 1 if there else 0
        there += [end] if end < len(row) else []
    return there


def _placed(
    prompt: str,
    spans: Sequence[tuple[int, int] | None],
    start: int,
    seen: int,
    place: Callable[[int], int | None],
    limit: int,
) -> TokenizedPrompt:
    """Number the tokens as the denoiser does; those that were cut off come after `end_position`."""
    tokens: list[PromptToken] = []
    cut: list[tuple[int, int]] = []
    last = -1
    for index, span in enumerate(spans):
        position = place(start + index) if index < seen else None
        if position is not None:
            last = max(last, position)
        if span is None:
            continue
        if position is None:
            cut.append(span)
        else:
            tokens.append(PromptToken(position, *span))
    end = last + 1
    tokens += [PromptToken(end + index, *span) for index, span in enumerate(cut)]
    return TokenizedPrompt(prompt, tuple(tokens), limit, end)


def _span(form: FedText, start: int, end: int) -> tuple[int, int] | None:
    """Return the characters of the prompt that a token covers, outer blanks left out; None for none."""
    start, end = trimmed(form.text, start, end)
    origins = [origin for origin in form.origin[start:end] if origin >= 0]
    return (min(origins), max(origins) + 1) if origins else None


def _find(wanted: tuple[int, ...], row: tuple[int, ...], lead: int, tail: int) -> tuple[int | None, int]:
    """Find tokens in a row: all of them, or as many as fit between `lead` and `tail` special ones.

    Returns:
        Where they start (None where they aren't there), and how many there are.
    """
    count = len(wanted)
    for start in range(len(row) - count + 1):
        if row[start : start + count] == wanted:
            return start, count
    fitting = len(row) - lead - tail
    if 0 < fitting < count and row[lead : lead + fitting] == wanted[:fitting]:
        return lead, fitting
    return None, 0


def _run(special: Sequence[int]) -> int:
    """Count the special tokens at the beginning."""
    return next((index for index, is_special in enumerate(special) if not is_special), len(special))


def _stripped(form: FedText) -> FedText:
    start, end = trimmed(form.text, 0, len(form.text))
    return FedText(form.text[start:end], form.origin[start:end])


def _folded(form: FedText) -> FedText:
    """Make one blank of each run of them."""
    kept = [
        index
        for index, letter in enumerate(form.text)
        if not (letter.isspace() and index and form.text[index - 1].isspace())
    ]
    text = "".join(" " if form.text[index].isspace() else form.text[index] for index in kept)
    return FedText(text, tuple(form.origin[index] for index in kept))


def _lower(form: FedText) -> FedText | None:
    lower = form.text.lower()
    return FedText(lower, form.origin) if len(lower) == len(form.text) else None


def is_text(value: Any) -> bool:
    """Tell whether a value can be the embeddings of texts: (texts, tokens, width), or a list of rows."""
    if isinstance(value, Tensor):
        return value.ndim == 3
    return isinstance(value, list) and bool(value) and all(isinstance(row, Tensor) for row in value)


def is_equal(one: Any, other: Embeddings) -> bool:
    """Tell whether two embeddings are equal, row by row."""
    if one is None or len(one) != len(other):
        return False
    return all(
        a.shape == b.shape and torch.equal(a, b.to(a.device, a.dtype))
        for a, b in zip(one, other, strict=True)
    )


def ends_with(one: Any, other: Embeddings) -> bool:
    """Tell whether the last rows of one embeddings are all of the other's."""
    return one is not None and len(one) > len(other) and is_equal(one[-len(other) :], other)
