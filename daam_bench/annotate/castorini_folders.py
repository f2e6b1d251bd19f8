"""Experiment folders of castorini/daam, the reference implementation, to examples.

An experiment is a folder with `prompt.txt`, `seed.txt`, `output.png` (there, or in one folder below) and a
`<word>.gt.png` for each annotated word, whose mask is where its alpha is above zero. Its `generation.pt` is a
pickle, which could run anything, and is never opened.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from daam_bench.datasets.columns import MAX_IMAGE_PIXELS
from daam_bench.prompts.nouns import parse_captions
from daam_bench.prompts.swap import NounCaption
from daam_bench.prompts.tagger import require_spacy
from daam_bench.types import Annotation, BoolMask, Example, Generation, Noun, Query, Source
from daam_bench.types.errors import InputError
from daam_bench.types.examples import OWN
from daam_bench.types.masks import encode

MASK_SUFFIX = ".gt.png"
PROMPT, SEED, IMAGE = "prompt.txt", "seed.txt", "output.png"

MAX_FILE_BYTES = 64 << 20
"""Largest image file that is read."""

MAX_PIXELS = 1 << 32
"""Most pixels that the images of one import may have together."""

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error, zlib.error)
_TEXT_BYTES = 1 << 16
_SEED = re.compile(r"-?[0-9]{1,18}")

FindPromptNouns = Callable[[str], NounCaption]
"""Finds the nouns of a prompt, and its tokens where it can."""

UnstatedSettings = partial[Generation]
"""How images were generated, which experiment folders don't record; `height` and `width` are the image's."""


@dataclass(frozen=True, slots=True)
class ImportedFolders:
    """The examples of experiment folders, in order of their ids.

    `bad` says in a line a record which experiment or word was left out, and why; `unmarked` counts those left
    out for want of any `<word>.gt.png`.
    """

    examples: tuple[Example, ...]
    bad: tuple[str, ...]
    unmarked: int


def import_daam_folders(
    folder: Path,
    annotation: Annotation,
    settings: UnstatedSettings | None = None,
    parse: FindPromptNouns | None = None,
) -> ImportedFolders:
    """Read the experiment folders below a folder.

    Nouns are the annotated words, each at its first occurrence in the prompt. One that `parse` finds there
    too gets its lemma and COCO class; another is its own lemma and of no class. What is wrong with one
    experiment or word leaves that one out and is told in `bad`.

    Args:
        folder: The folder, which may come from anyone.
        annotation: Who made the masks.
        settings: How the images were generated; None if unknown: the examples then have no `generation`.
        parse: Finds nouns with their lemmas and classes (default: with the shipped spaCy pipeline).

    Raises:
        InputError: There is no experiment, there are too many pixels, or spaCy is missing.
    """
    if parse is None:
        require_spacy()
        parse = _all_nouns
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}; give a folder of experiments (unpack an archive first)")
    homes = sorted(prompt.parent for prompt in folder.rglob(PROMPT))
    if not homes:
        raise InputError(
            f"no experiment in {folder}: looked for folders with a {PROMPT}, as castorini/daam writes them"
        )
    names = _names(homes)
    shared = {name for name, count in Counter(names).items() if count > 1}
    examples: list[Example] = []
    bad: list[str] = []
    unmarked, pixels = 0, 0
    for home, name in sorted(zip(homes, names, strict=True), key=lambda pair: _natural(pair[1])):
        try:
            masks = _mask_files(home)
            if not masks:
                unmarked += 1
                continue
            if name in shared:
                raise InputError("its name is another experiment's too; rename the folder")
            if not name.isprintable():
                raise InputError("its name is no text; rename the folder")
            example, wrong = _read_experiment(
                home, name, masks, annotation=annotation, settings=settings, parse=parse
            )
        except InputError as error:
            bad.append(f"{name!r}: {error}")
            continue
        bad += [f"{name!r}, {line}" for line in wrong]
        pixels += example.query.image.width * example.query.image.height
        if pixels > MAX_PIXELS:
            raise InputError(f"the images have more than {MAX_PIXELS} pixels; import them in parts")
        examples.append(example)
    return ImportedFolders(tuple(examples), tuple(bad), unmarked)


def _all_nouns(prompt: str) -> NounCaption:
    """Find a prompt's nouns, countable or not: the folders say which words were annotated."""
    parsed = parse_captions([prompt])[0]
    nouns = tuple(found.noun for found in parsed.nouns)
    return NounCaption(prompt, nouns, tuple(found.plural for found in parsed.nouns), parsed.tokens)


def _names(homes: Sequence[Path]) -> list[str]:
    """Name experiments by where they lie below the folder that holds them all: "452", or "part1-452"."""
    parents = [home.parent.parts for home in homes]
    depth = min(map(len, parents))
    while any(parts[:depth] != parents[0][:depth] for parts in parents):
        depth -= 1
    return ["-".join(home.parts[depth:]) for home in homes]


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts "9" before "10"."""
    return tuple((len(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", name))


def _read_experiment(
    home: Path,
    name: str,
    files: Sequence[Path],
    *,
    annotation: Annotation,
    settings: UnstatedSettings | None,
    parse: FindPromptNouns,
) -> tuple[Example, list[str]]:
    """Read the experiment in a folder, with the files of its masks, and say what was left out of it.

    Raises:
        InputError: It can't be used at all.
    """
    prompt = _text(home / PROMPT)
    if not prompt or "\0" in prompt:
        raise InputError(f"{PROMPT} is {'no text' if prompt else 'empty'}")
    image = _image(home)
    wrong: list[str] = []
    try:
        seed = _seed(home / SEED)
    except InputError as error:
        wrong.append(f"{SEED}: {error}")
        seed = None
    masks: dict[str, BoolMask] = {}
    for file in files:
        word = file.name.removesuffix(MASK_SUFFIX).lower()
        try:
            found = read_png(file)
            if found.size != image.size:
                sizes = (f"{one.height}x{one.width}" for one in (found, image))
                raise InputError(f"its mask is {' but the image '.join(sizes)} (height x width)")
            mask = alpha_mask(found)
        except InputError as error:
            wrong.append(f"noun {word!r}: {error}")
            continue
        masks[word] = masks[word] | mask if word in masks else mask
    spans = find_words(prompt, list(masks))
    absent = [word for word in masks if word not in spans]
    wrong += [f"noun {word!r}: it is no word of the prompt {prompt!r:.80}" for word in absent]
    if not spans:
        raise InputError("; ".join(wrong))
    parsed = parse(prompt)
    known = {(noun.start, noun.end): noun for noun in parsed.nouns}
    words = sorted(spans, key=lambda word: spans[word])
    nouns = [
        known.get(spans[word]) or Noun(prompt[slice(*spans[word])], word, *spans[word], None)
        for word in words
    ]
    # Without a seed nobody can generate the image again: the other settings are of no use.
    generation = None
    if settings is not None and seed is not None:
        generation = settings(height=image.height, width=image.width)
    query = Query(name, prompt, image, tuple(nouns), seed, generation)
    rles = tuple(encode(masks[word]) if masks[word].any() else None for word in words)
    by_hand = replace(annotation, masks=(OWN,) * len(rles))
    return Example(query, rles, parsed.tokens, Source(None), by_hand), wrong


def find_words(prompt: str, words: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Find words in a prompt, whatever their case: each at its first place that no longer word takes.

    Returns:
        Word -> (start, end), without those that aren't there.

    >>> find_words("A dog eats a hot dog", ["dog", "hot dog", "do"])
    {'hot dog': (13, 20), 'dog': (2, 5)}
    """
    spans: dict[str, tuple[int, int]] = {}
    for word in sorted(words, key=lambda word: (-len(word), word)):
        if not word.strip():
            continue
        for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", prompt, re.IGNORECASE):
            if all(match.end() <= start or match.start() >= end for start, end in spans.values()):
                spans[word] = match.span()
                break
    return spans


def _mask_files(home: Path) -> list[Path]:
    """Return the files of an experiment's masks; raise an InputError if the folder can't be read."""
    try:
        found = [path for path in home.iterdir() if path.name.endswith(MASK_SUFFIX)]
    except OSError as error:
        raise InputError(f"it can't be read ({error.strerror})") from None
    return sorted(path for path in found if not path.name.startswith("."))


def read_png(path: Path) -> Image.Image:
    """Read and decode a PNG.

    Raises:
        InputError: It is no whole PNG, or larger than `MAX_FILE_BYTES` or `MAX_IMAGE_PIXELS`. The text says
            why, not which file it was.
    """
    if not path.is_file():
        raise InputError("there is no such file")
    encoded = _read(path, MAX_FILE_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(BytesIO(encoded), formats=["PNG"])
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise InputError(f"its {image.width}x{image.height} pixels are more than {MAX_IMAGE_PIXELS}")
            image.load()
    except (InputError, Image.DecompressionBombError) as error:
        raise InputError(str(error)) from None
    except _BROKEN:
        raise InputError("it is no whole PNG") from None
    return image


def alpha_mask(image: Image.Image) -> BoolMask:
    """Return where an image isn't wholly transparent, bool (height, width); it must have an alpha channel."""
    if not image.has_transparency_data:
        raise InputError("it has no alpha channel, which is where the mask belongs")
    mask: BoolMask = np.asarray(image.convert("RGBA"))[:, :, 3] > 0
    return mask


def _seed(path: Path) -> int | None:
    """Return the seed; None where none was kept, which castorini/daam writes as "None"."""
    text = _text(path) if path.exists() else "None"
    if text == "None":
        return None
    if not _SEED.fullmatch(text):
        raise InputError(f"{text!r:.40} is no seed; imported without one")
    return int(text)


def _text(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path.name} is no file")
    try:
        return _read(path, _TEXT_BYTES).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8") from None
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"it can't be read ({error.strerror})") from None
    if len(content) > most:
        raise InputError(f"it has more than {most} bytes")
    return content


def _image(home: Path) -> Image.Image:
    place = home / IMAGE
    if not place.exists():
        below = sorted(home.glob(f"*/{IMAGE}"))
        if len(below) > 1:
            folders = ", ".join(found.parent.name for found in below[:5])
            raise InputError(f"a {IMAGE} in each of {folders}; keep the one that was annotated")
        place = below[0] if below else place
    try:
        image = read_png(place)
    except InputError as error:
        raise InputError(f"{IMAGE}: {error}") from None
    image = image.convert("RGB")
    if not np.asarray(image).any():
        raise InputError(f"{IMAGE}: it is black, as a safety checker leaves it")
    return image
