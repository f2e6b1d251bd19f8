"""The heat maps of one image, by word and by token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from daam_bench.attribution.tokens import TokenizedPrompt, Word, fullest
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap, WordHeatMaps


class ImageHeatMaps(WordHeatMaps):
    """Heat maps of one image: a mapping from the words of its prompt.

    Iterating yields each word once; `words()` has repeated ones too. A key may be several words in a row, in
    any case. A word that the prompt lacks is an `UnknownWordError`, which is a `KeyError` too.

    Args:
        values: float32 maps of shape (tokens, height, width), at the latents' size.
        prompt: The image's prompt, or None where the pipeline was given embeddings.
        streams: The prompt as each text stream of the denoiser holds it; none where words are unknown.
        positions: Position in the text of each map, ascending; None for 0, 1, 2, ...
        no_words: Why words can't be looked up, where they can't.

    >>> maps["cat"], "dog" in maps, list(maps)      # doctest: +SKIP
    >>> maps.find("cat", occurrence=1)      # doctest: +SKIP
    >>> maps.word(2, 5)                     # doctest: +SKIP
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        prompt: str | None,
        streams: tuple[TokenizedPrompt, ...] = (),
        *,
        positions: Sequence[int] | None = None,
        no_words: str | None = None,
    ) -> None:
        self._values = values
        self.prompt = prompt
        self._streams = streams
        self._no_words = no_words
        places = range(len(values)) if positions is None else positions
        self._index = {position: index for index, position in enumerate(places)}

    def __repr__(self) -> str:
        tokens, *size = self._values.shape
        return f"ImageHeatMaps({self.prompt!r}, {tokens} tokens, size {tuple(size)})"

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
        return self.map_of(self._first.find(word, occurrence))

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
        word = self._first.word(start, end)
        return self.map_of(word) if occurrence is None else self.find(word.text, occurrence)

    def token_weights(self, start: int, end: int) -> NDArray[np.float32]:
        """Return how the map at characters `start` to `end` is made of the tokens' maps.

        Returns:
            float32 weights of shape (tokens,) that sum to 1, in the order of the maps: maps of the same
            tokens by layer or by head, weighted with them, are that word's.

        Raises:
            InputError: See `word`.
        """
        word = self._first.word(start, end)
        runs = [tokens for stream in self._streams if (tokens := stream.tokens_of(word.start, word.end))]
        weights = np.zeros(len(self._values), dtype=np.float32)
        for tokens in runs:
            for place in tokens:
                weights[self._index[place]] += 1 / (len(tokens) * len(runs))
        return weights

    def token(self, position: int) -> HeatMap:
        """Return the map of one token; position 0 is the start token, 1 the first of the prompt.

        Raises:
            InputError: No such position.
        """
        if position not in self._index:
            raise InputError(f"tokens have positions {_ranges(self._index)}, not {position}")
        return self._heat_map(self._values[self._index[position]])

    @property
    def positions(self) -> tuple[int, ...]:
        """Position in the text of each map, ascending."""
        return tuple(self._index)

    @property
    def size(self) -> tuple[int, ...]:
        """(height, width) of every map; (frames, height, width) of a video's."""
        return tuple(self._values.shape[1:])

    def words(self) -> tuple[Word, ...]:
        """Return the words and punctuation marks of the prompt, as far as the text encoder saw them."""
        return self._first.words()

    @property
    def tokenized(self) -> TokenizedPrompt:
        """The prompt as the text stream holds it that saw most of it.

        Raises:
            InputError: Words can't be looked up in it.
        """
        return self._first

    @property
    def begins_with_special(self) -> bool:
        """Whether the first token that is kept is none of the prompt's: a start token."""
        return all(min(self._index) < token.position for stream in self._streams for token in stream.tokens)

    @property
    def frames(self) -> int | None:
        """Number of frames that a video's maps have (as many as its latents); None for an image."""
        return self._values.shape[1] if self._values.ndim == 4 else None

    def frame(self, index: int) -> ImageHeatMaps:
        """Return the maps of one frame of a video.

        Raises:
            InputError: An image, or no such frame.
        """
        if self.frames is None:
            raise InputError("an image has no frames; frame(...) is for videos")
        if not 0 <= index < self.frames:
            raise InputError(f"the maps have frames 0 to {self.frames - 1}, not {index}")
        return ImageHeatMaps(
            self._values[:, index],
            self.prompt,
            self._streams,
            positions=tuple(self._index),
            no_words=self._no_words,
        )

    def with_values(self, values: NDArray[np.float32]) -> ImageHeatMaps:
        """Return maps of the same words from other values, such as gradients or scores of another kind.

        Args:
            values: float32 (positions of the text, height, width) or, for those that are kept, (tokens, ...).

        Raises:
            InputError: Fewer positions than the words have.
        """
        positions = tuple(self._index)
        if len(values) == len(positions):
            chosen = values
        elif len(values) > max(positions):
            chosen = values[list(positions)]
        else:
            raise InputError(f"the words lie at positions up to {max(positions)}, not in {len(values)}")
        return ImageHeatMaps(
            np.asarray(chosen, np.float32),
            self.prompt,
            self._streams,
            positions=positions,
            no_words=self._no_words,
        )

    def map_of(self, word: Word) -> HeatMap:
        """Return the map of one of `words()`: the mean over its tokens' maps.

        In several text streams it is the mean in each, then over the streams that hold all of the word.
        """
        means = []
        for stream in self._streams:
            tokens = stream.tokens_of(word.start, word.end)
            if tokens:
                means.append(self._values[[self._index[place] for place in tokens]].mean(axis=0))
        return self._heat_map(np.stack(means).mean(axis=0) if len(means) > 1 else means[0])

    def _heat_map(self, values: NDArray[np.float32]) -> HeatMap:
        if values.ndim == 3:
            raise InputError(f"a video has maps by frame: maps.frame(0) to maps.frame({len(values) - 1})")
        return HeatMap(values)

    @cached_property
    def _first(self) -> TokenizedPrompt:
        """The prompt in the stream that saw most of it."""
        if self._no_words is not None:
            raise InputError(self._no_words)
        if not self._streams:
            raise InputError("only prompt_embeds are known, and no words; use maps.token(k)")
        return fullest(self._streams)


def _ranges(positions: Iterable[int]) -> str:
    """Write ascending numbers as ranges.

    >>> _ranges([0, 1, 2, 77, 78])
    '0 to 2, 77 to 78'
    """
    runs: list[list[int]] = []
    for position in positions:
        if runs and position == runs[-1][1] + 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    return ", ".join(f"{first} to {last}" for first, last in runs)
