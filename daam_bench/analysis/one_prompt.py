"""Looking at one prompt: which of its words, by what names, and at an image that no model generated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from daam_bench.analysis.tracing import Traced
from daam_bench.attribution.tokens import PromptToken, TokenizedPrompt, Word
from daam_bench.diffusion.defaults import default_size
from daam_bench.diffusion.latents import side_unit
from daam_bench.types.errors import InputError

LARGEST = 1024
"""Longest side at which a given image is shown, in pixels."""

_KNOWN_LETTERS = ("a",)
"""The words of one letter that the shipped model was trained on."""


def choose_words(prompt: TokenizedPrompt, asked: Sequence[str] | None) -> tuple[Word, ...]:
    """Return the words to show, in the order asked for, each once.

    Words that are asked for may be several in a row ("teddy bear"). One that occurs several times means all
    its occurrences; "cat#2" is the second alone. None asks for the prompt's nouns, or where it has none or
    spaCy is missing, for all its words without the punctuation.

    Raises:
        InputError: A word isn't in the prompt, or none of the prompt was seen by the text encoder.
    """
    words = prompt.words()
    if not words:
        raise InputError("the prompt has no word to show; give one such as 'a cat on the grass'")
    if asked is None:
        spoken = [word for word in words if any(letter.isalnum() for letter in word.text)]
        return _nouns(prompt) or tuple(spoken) or words
    return tuple(dict.fromkeys(word for text in asked for word in _occurrences(prompt, text)))


def all_words(prompt: TokenizedPrompt, chosen: Sequence[Word]) -> tuple[Word, ...]:
    """Return every word of the prompt in order; several words that were chosen together count as one."""
    long = [word for word in chosen if word not in prompt.words()]
    kept: list[Word] = []
    for word in sorted(long, key=lambda word: (word.start, -word.end)):
        if not kept or word.start >= kept[-1].end:
            kept.append(word)
    free = [
        word
        for word in prompt.words()
        if not any(word.start < other.end and other.start < word.end for other in kept)
    ]
    return tuple(sorted([*kept, *free], key=lambda word: word.start))


def split_prompt(prompt: str) -> TokenizedPrompt:
    """Split a prompt into words and punctuation marks without any tokenizer, as if all of it were seen."""
    spans = [match.span() for match in re.finditer(r"\w+|[^\w\s]", prompt)]
    tokens = tuple(PromptToken(position, *span) for position, span in enumerate(spans))
    return TokenizedPrompt(prompt, tokens, len(tokens), len(tokens))


def labels(words: Sequence[Word], prompt: TokenizedPrompt) -> tuple[str, ...]:
    """Return the words' names: their texts, numbered where the prompt has one several times ("cat#2")."""
    names = []
    for word in words:
        spans = [(other.start, other.end) for other in prompt.occurrences(word.text)]
        number = spans.index((word.start, word.end)) + 1
        names.append(f"{word.text}#{number}" if len(spans) > 1 else word.text)
    return tuple(names)


def unknown_words(words: Sequence[Word]) -> tuple[str, ...]:
    """Return the words that the shipped model was never trained on, in small letters, each once.

    Its tokenizer has one token for every word of the captions it was trained on; others fall into pieces.
    """
    unknown = [
        word.text.lower()
        for word in words
        if any(letter.isalnum() for letter in word.text)
        and (len(word.positions) > 1 or (len(word.text) == 1 and word.text.lower() not in _KNOWN_LETTERS))
    ]
    return tuple(dict.fromkeys(unknown))


def read_image(path: Path) -> Image.Image:
    """Read an image upright and in RGB, what is transparent in white.

    Raises:
        InputError: There is no such file, or it is no image that can be read.
    """
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGBA")
    except FileNotFoundError:
        raise InputError(f"no image at {path}; give a file such as a PNG or JPEG") from None
    # Pillow raises errors of many kinds for a broken file; an image of absurd size is one of them.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} can't be read as an image ({type(error).__name__}: {error})") from None
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def look_at(pipeline: Any, prompt: str, image: Image.Image, *, seed: int = 0) -> Traced:
    """Trace what the words of a prompt attend to in a given RGB image.

    The model looks at a copy of the size of `fitting_size`. What is returned is shrunk to `LARGEST`.

    Raises:
        InputError: The pipeline can't look at images.
    """
    from daam_bench.attribution.given_images import trace_images

    seen = image.resize(fitting_size(pipeline, image.size), Image.Resampling.LANCZOS)
    maps = trace_images(pipeline, [prompt], [seen], seed=seed)[0]
    shown = image.copy()
    shown.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return Traced(shown, maps)


def fitting_size(pipeline: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) nearest to an image's proportions that suits a model.

    Its area is about that of the images the model generates by default, and its sides are multiples of what
    the pipeline generates (`side_unit`), at least two latents.
    """
    default_height, default_width = default_size(pipeline)
    scale = sqrt(default_width * default_height / (size[0] * size[1]))
    unit = side_unit(pipeline)
    least = -(-2 * int(pipeline.vae_scale_factor) // unit)
    width, height = (max(least, round(side * scale / unit)) * unit for side in size)
    return width, height


def _nouns(prompt: TokenizedPrompt) -> tuple[Word, ...]:
    if find_spec("spacy") is None or find_spec("inflect") is None:
        return ()
    from daam_bench.prompts.nouns import parse_captions

    starts = {word.start for word in prompt.words()}
    ends = {word.end for word in prompt.words()}
    nouns = [found.noun for found in parse_captions([prompt.prompt])[0].nouns]
    return tuple(
        next(word for word in prompt.occurrences(noun.text) if word.start == noun.start)
        for noun in nouns
        if noun.start in starts and noun.end in ends
    )


def _occurrences(prompt: TokenizedPrompt, text: str) -> tuple[Word, ...]:
    """Return what "cat" or "cat#2" names."""
    text = text.strip()
    numbered = re.fullmatch(r"(.+)#(\d{1,4})", text)
    name, number = (numbered[1].strip(), int(numbered[2])) if numbered else (text, None)
    try:
        found = prompt.occurrences(name)
    except InputError as error:
        known = ", ".join(dict.fromkeys(word.text for word in prompt.words()))
        raise InputError(f"{error}; the words to choose from are: {known}") from None
    if number is None:
        return found
    if not 1 <= number <= len(found):
        raise InputError(
            f"{name!r} occurs {len(found)} time(s), so there is no {text!r}; give {name}#1"
            + (f" to {name}#{len(found)}" if len(found) > 1 else f" or {name}")
        )
    return (found[number - 1],)
