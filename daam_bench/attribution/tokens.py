"""From the words of a prompt to the positions of their tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from daam_bench.types.errors import InputError, UnknownWordError


@dataclass(frozen=True, slots=True)
class PromptToken:
    """A token of a prompt.

    Attributes:
        position: Its index in the encoded prompt; the start token has index 0, the first real one index 1.
        start: First character of the prompt it covers.
        end: One past its last character.
    """

    position: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word or punctuation mark of a prompt, with its character span and the positions of its tokens."""

    text: str
    start: int
    end: int
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt and where its tokens lie. Words are whole: "sit" isn't a word of "sitting".

    Attributes:
        prompt: The prompt.
        tokens: All its tokens, special ones left out, also those past the limit.
        limit: How many tokens the text encoder sees, special ones included.
        end_position: First position whose token is cut off by the limit.
    """

    prompt: str
    tokens: tuple[PromptToken, ...]
    limit: int
    end_position: int

    @property
    def seen(self) -> tuple[int, ...]:
        """Positions of the tokens that the text encoder saw, special ones left out."""
        return tuple(token.position for token in self.tokens if token.position < self.end_position)

    @property
    def truncated(self) -> str:
        """The part of the prompt that the text encoder never saw; empty when all of it fits."""
        for token in self.tokens:
            if token.position >= self.end_position:
                return self.prompt[token.start :].strip()
        return ""

    def words(self) -> tuple[Word, ...]:
        """Return the words and punctuation marks that the text encoder saw, in prompt order."""
        spans: list[tuple[int, int]] = []
        for token in self.tokens:
            if spans and (token.start < spans[-1][1] or _inside_word(self.prompt, token.start)):
                spans[-1] = (spans[-1][0], max(token.end, spans[-1][1]))
            else:
                spans.append((token.start, token.end))
        words = (Word(self.prompt[start:end], start, end, self._covering(start, end)) for start, end in spans)
        return tuple(word for word in words if word.positions[-1] < self.end_position)

    def word(self, start: int, end: int) -> Word:
        """Return the word, or the words, at characters `start` to `end` of the prompt.

        Args:
            start: First character.
            end: One past the last; blanks at either end of the span don't matter.

        Raises:
            InputError: The span lies outside the prompt, is empty, covers only part of a word or token, or
                was cut off by the tokenizer's limit.
        """
        if not 0 <= start < end <= len(self.prompt):
            raise InputError(f"characters {start} to {end} aren't a span of {self.prompt!r}")
        text = self.prompt[start:end]
        start, end = start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())
        if start >= end:
            raise InputError(f"an empty word: there are only blanks at {text!r}")
        if not self._is_whole(start, end):
            around = self._around(start, end)
            raise InputError(f"{self.prompt[start:end]!r} is only a part of {around!r}; ask for all of it")
        positions = self._covering(start, end)
        if positions[-1] >= self.end_position:
            raise UnknownWordError(
                f"{self.prompt[start:end]!r} was cut off: the tokenizer keeps {self.limit} tokens, and "
                f"{self.truncated!r} lies past them; shorten the prompt"
            )
        return Word(self.prompt[start:end], start, end, positions)

    def find(self, word: str, occurrence: int = 0) -> Word:
        """Find a word, or several words in a row, whatever their case.

        Args:
            word: "cat", "teddy bear", ",".
            occurrence: Which of its occurrences, from 0.

        Raises:
            InputError: An empty word, one that the prompt lacks or that was cut off by the limit, or no such
                occurrence.
        """
        spans = self._spans(word)
        if not 0 <= occurrence < len(spans):
            raise UnknownWordError(
                f"{word!r} occurs {len(spans)} time(s) in {self.prompt!r}; occurrences count from 0, "
                f"so there is no occurrence {occurrence}"
            )
        return self.word(*spans[occurrence])

    def occurrences(self, word: str) -> tuple[Word, ...]:
        """Return every occurrence of a word, or several words in a row, that the text encoder saw.

        Args:
            word: "cat", "teddy bear", ",", whatever its case.

        Raises:
            InputError: An empty word, or one that the prompt lacks or of which nothing was seen.
        """
        first, *others = self._spans(word)
        seen = [span for span in others if self._covering(*span)[-1] < self.end_position]
        return tuple(self.word(*span) for span in (first, *seen))

    def tokens_of(self, start: int, end: int) -> tuple[int, ...]:
        """Return the positions of the tokens at a span; nothing where one was cut off by the limit."""
        positions = self._covering(start, end)
        return positions if positions and positions[-1] < self.end_position else ()

    def _spans(self, word: str) -> list[tuple[int, int]]:
        parts = word.split()
        if not parts:
            raise UnknownWordError("an empty word; name a word of the prompt")
        pattern = r"\s+".join(map(re.escape, parts))
        spans = [
            match.span() for match in _overlapping(pattern, self.prompt) if self._is_whole(*match.span())
        ]
        if not spans:
            words = ", ".join(dict.fromkeys(known.text for known in self.words()))
            raise UnknownWordError(
                f"{word!r} isn't a word of the prompt {self.prompt!r}{self._hint(parts)}; its words: {words}"
            )
        return spans

    def _hint(self, parts: list[str]) -> str:
        longer = re.search(r"\w*" + r"\s+".join(map(re.escape, parts)) + r"\w*", self.prompt, re.IGNORECASE)
        return f", only a part of {longer.group()!r}" if longer else ""

    def _is_whole(self, start: int, end: int) -> bool:
        covering = [token for token in self.tokens if token.start < end and start < token.end]
        return (
            bool(covering)
            and min(token.start for token in covering) == start
            and max(token.end for token in covering) == end
            and not _inside_word(self.prompt, start)
            and not _inside_word(self.prompt, end)
        )

    def _covering(self, start: int, end: int) -> tuple[int, ...]:
        return tuple(token.position for token in self.tokens if token.start < end and start < token.end)

    def _around(self, start: int, end: int) -> str:
        covering = [token for token in self.tokens if token.start < end and start < token.end]
        start = min([start, *(token.start for token in covering)])
        end = max([end, *(token.end for token in covering)])
        while _inside_word(self.prompt, start):
            start -= 1
        while _inside_word(self.prompt, end):
            end += 1
        return self.prompt[start:end]


def fullest(prompts: Iterable[TokenizedPrompt]) -> TokenizedPrompt:
    """Return the prompt as the text encoder took it in that saw most of its tokens; the first of several."""
    return max(prompts, key=lambda prompt: len(prompt.seen))


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave the outer blanks out of a span: some tokenizers count the blank before a word as its own."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def encode(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]], list[int]]:
    """Return a text's token ids, the characters each covers, and whether it was added as a special one.

    Raises:
        InputError: The tokenizer can't tell which characters its tokens cover.
    """
    if getattr(tokenizer, "is_fast", False):
        encoded = tokenizer(
            text,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            truncation=False,
            verbose=False,
        )
        return encoded["input_ids"], encoded["offset_mapping"], encoded["special_tokens_mask"]
    from transformers.convert_slow_tokenizer import convert_slow_tokenizer

    try:
        encoding = convert_slow_tokenizer(tokenizer).encode(text)
    except (AttributeError, ImportError, ValueError) as error:
        raise InputError(
            f"{type(tokenizer).__name__} can't tell which characters its tokens cover; use maps.token(k)"
        ) from error
    return encoding.ids, encoding.offsets, encoding.special_tokens_mask


def _inside_word(text: str, index: int) -> bool:
    """Whether the boundary before character `index` runs through a word."""
    return 0 < index < len(text) and bool(re.fullmatch(r"\w\w", text[index - 1 : index + 1]))


def _overlapping(pattern: str, text: str) -> Iterator[re.Match[str]]:
    compiled = re.compile(pattern, re.IGNORECASE)
    position = 0
    while match := compiled.search(text, position):
        yield match
        position = match.start() + 1
