"""Experiment folders of castorini/daam, the reference implementation, to examples.

An experiment is a folder with `prompt.txt`, `seed.txt`, `output.png` (there, or in one folder below) and a
`<word>.gt.png` for each annotated word, whose mask is where its alpha is above zero. Its `generation.pt` is a
pickle, which could run anything, and is never opened.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daam_bench.annotate.castorini_experiment import (
    PROMPT,
    FindPromptNouns,
    UnstatedSettings,
    mask_files,
    read_experiment,
)
from daam_bench.datasets.card import HOW_TO_CITE, card_head
from daam_bench.prompts.nouns import parse_captions
from daam_bench.prompts.swap import NounCaption
from daam_bench.prompts.tagger import require_spacy
from daam_bench.types import Annotation, Example
from daam_bench.types.errors import InputError

MAX_PIXELS = 1 << 32
"""Most pixels that the images of one import may have together."""


@dataclass(frozen=True, slots=True)
class ImportedFolders:
    """What was found in experiment folders.

    Attributes:
        examples: The annotated experiments, in order of their ids.
        bad: One line for each record that was left out: which experiment or word, and why.
        unmarked: Number of experiments without any `<word>.gt.png`, left out too.
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
            masks = mask_files(home)
            if not masks:
                unmarked += 1
                continue
            if name in shared:
                raise InputError("its name is another experiment's too; rename the folder")
            if not name.isprintable():
                raise InputError("its name is no text; rename the folder")
            example, wrong = read_experiment(
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


def daam_card(name: str) -> str:
    """Return the card of a dataset of that name, in Markdown, without its annotation."""
    return (
        card_head("other")
        + f"""# {name}

Prompts, the images that a text-to-image model generated for them, and masks of their nouns, to score
word-to-pixel attribution on with daam-bench.

## How it was made

Imported from experiment folders of [castorini/daam](https://github.com/castorini/daam), the reference
implementation of "What the DAAM": `prompt.txt`, `seed.txt`, `output.png` and a `<word>.gt.png` for each
annotated word. A noun is such a word at its first place in the prompt; its mask is where the alpha of its
file is above zero. Experiments without such a file were left out.

## Limits

Only annotated words are nouns here: others of the prompt may be depicted too. The folders don't record how
the images were generated; where `generation` is set, whoever imported them said so.

## Licence

Not stated by the folders: ask whoever made them.

"""
        + HOW_TO_CITE
    )


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
