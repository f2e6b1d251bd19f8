"""The heat maps of one image, by word and by token."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daam_bench.attribution.tokens import TokenizedPrompt, Word, tokenize_prompt
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap, WordHeatMaps


class ImageHeatMaps(WordHeatMaps):
    """Heat maps of one image: a mapping from the words of its prompt.

    Iterating yields each word once; `words()` has repeated ones too. A key may be several words in a row, in
    any case. A word that the prompt lacks is an `UnknownWordError`, which is a `KeyError` too.

    Args:
        values: float32 maps of shape (tokens, height, width), at the latents' size.
        prompt: The image's prompt, or None where the pipeline was given embeddings.
        tokenizers: The tokenizers of the pipeline's text encoders.
        no_words: Why words can't be looked up, where they can't.

    >>> maps["cat"], "dog" in maps, list(maps)      # doctest: +SKIP
    >>> maps.find("cat", occurrence=1)      # doctest: +SKIP
    >>> maps.word(2, 5)                     # doctest: +SKIP
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        prompt: str | None,
        tokenizers: tuple[Any, ...] = (),
        *,
        no_words: str | None = None,
    ) -> None:
        self._values = values
        self.prompt = prompt
        self._tokenizers = tokenizers
        self._no_words = no_words

    def __repr__(self) -> str:
        tokens, height, width = self._values.shape
        return f"ImageHeatMaps({self.prompt!r}, {tokens} tokens, height {height}, width {width})"

    def __getitem__(self, word: str) -> HeatMap:
        """Return the map of the first occurrence of a word of the prompt, whatever its case.

        Raises:
            InputError: See `find`.
        """
        return self.find(word)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and super().__contains__(word)

    def find(self, word: str, occurrence: int = 0) -> HeatMap:
        """Return the map of a word, or several words in a row: the mean over its tokens' maps.

        Args:
            word: "cat", "teddy bear" or ",", whatever its case.
            occurrence: Which of its occurrences in the prompt, from 0.

        Raises:
            InputError: An empty word, a word or occurrence that isn't in the prompt, a part of a word, a word
                cut off by the tokenizer's limit, or a pipeline that was given embeddings instead of a prompt.
        """
        return self.map_of(self._tokenized.find(word, occurrence))

    def word(self, start: int, end: int, *, occurrence: int | None = None) -> HeatMap:
        """Return the map of the word, or words, at characters `start` to `end` of the prompt.

        Args:
            start: First character.
            end: One past the last.
            occurrence: Take another occurrence of the same word, counted from 0 over the prompt, instead of
                the one at the span.

        Raises:
            InputError: The span covers only a part of a word, or for the reasons of `find`.
        """
        word = self._tokenized.word(start, end)
        return self.map_of(word) if occurrence is None else self.find(word.text, occurrence)

    def token(self, position: int) -> HeatMap:
        """Return the map of one token; position 0 is the start token, 1 the first of the prompt.

        Raises:
            InputError: No such position.
        """
        if not 0 <= position < len(self._values):
            raise InputError(f"tokens have positions 0 to {len(self._values) - 1}, not {position}")
        return HeatMap(self._values[position])

    def words(self) -> tuple[Word, ...]:
        """Return the words and punctuation marks of the prompt, as far as the text encoder saw them."""
        return self._tokenized.words()

    def map_of(self, word: Word) -> HeatMap:
        """Return the map of one of `words()`: the mean over its tokens' maps."""
        return HeatMap(self._values[list(word.positions)].mean(axis=0))

    @cached_property
    def _tokenized(self) -> TokenizedPrompt:
        if self._no_words is not None:
            raise InputError(f"{self._no_words}; use maps.token(k)")
        if self.prompt is None:
            raise InputError(
                "the pipeline was given prompt_embeds without a prompt: words are unknown; use maps.token(k)"
            )
        first, *others = (tokenize_prompt(tokenizer, self.prompt) for tokenizer in self._tokenizers)
        if any(other.tokens != first.tokens for other in others):
            raise InputError("the pipeline's tokenizers split this prompt differently; use maps.token(k)")
        return first
