"""Experiment folders of castorini/daam, the reference implementation, to examples.

An experiment is a folder with `prompt.txt`, `seed.txt`, `output.png` (there, or in one folder below) and a
`<word>.gt.png` for each annotated word, whose mask is where its alpha is above zero. Its `generation.pt` is a
pickle, which could run anything, and is never opened.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from daam_bench.annotate.archive import unpack
from daam_bench.annotate.experiment import IMAGE, MASK_SUFFIX, PROMPT, SEED, DrawnWith, Parse, Reader
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
    path: Path, annotation: Annotation, drawn_with: DrawnWith | None = None, parse: Parse | None = None
) -> ImportedFolders:
    """Read the experiment folders below a folder, or in a .tar.gz of one.

    Nouns are the annotated words, each at its first occurrence in the prompt. One that `parse` finds there
    too gets its lemma and COCO class; another is its own lemma and of no class. What is wrong with one
    experiment or word leaves that one out and is told in `bad`.

    Args:
        path: The folder or the archive; nobody need vouch for either.
        annotation: Who made the masks.
        drawn_with: How the images were drawn; None if unknown: the examples then have no `generation`.
        parse: Finds nouns with their lemmas and classes (default: with the shipped spaCy pipeline).

    Raises:
        InputError: The archive is damaged or a trap, there is no experiment, or spaCy is missing.
    """
    if parse is None:
        require_spacy()
    reader = Reader(annotation, drawn_with, parse or _all_nouns)
    if path.is_dir():
        return _import(path, path, reader)
    if not path.is_file():
        raise InputError(f"no such folder or file: {path}; give a folder of experiments, or a .tar.gz of it")
    with tempfile.TemporaryDirectory(prefix="daam-bench-") as scratch:
        folder = Path(scratch) / (re.sub(r"\.(tar\.gz|tgz)$", "", path.name) or "experiments")
        folder.mkdir()
        unpack(path, folder, wanted=_is_wanted)
        return _import(folder, path, reader)


def _all_nouns(prompt: str) -> NounCaption:
    """Find a prompt's nouns, countable or not: which words were annotated is not for us to judge."""
    parsed = parse_captions([prompt])[0]
    nouns = tuple(found.noun for found in parsed.nouns)
    return NounCaption(prompt, nouns, tuple(found.plural for found in parsed.nouns), parsed.tokens)


def _is_wanted(path: PurePosixPath) -> bool:
    name = path.name
    return name in (PROMPT, SEED, IMAGE) or (name.endswith(MASK_SUFFIX) and not name.startswith("."))


def _import(folder: Path, named: Path, reader: Reader) -> ImportedFolders:
    homes = sorted(prompt.parent for prompt in folder.rglob(PROMPT))
    if not homes:
        raise InputError(
            f"no experiment in {named}: looked for folders with a {PROMPT}, as castorini/daam writes them"
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
            example, wrong = reader.read(home, name, masks)
        except InputError as error:
            bad.append(f"{name!r}: {error}")
            continue
        bad += [f"{name!r}, {line}" for line in wrong]
        pixels += example.query.image.width * example.query.image.height
        if pixels > MAX_PIXELS:
            raise InputError(f"the images have more than {MAX_PIXELS} pixels; import them in parts")
        examples.append(example)
    return ImportedFolders(tuple(examples), tuple(bad), unmarked)


def _mask_files(home: Path) -> list[Path]:
    try:
        found = [path for path in home.iterdir() if path.name.endswith(MASK_SUFFIX)]
    except OSError as error:
        raise InputError(f"it can't be read ({error.strerror})") from None
    return sorted(path for path in found if not path.name.startswith("."))


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
