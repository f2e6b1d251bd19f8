"""Captions that the tiny tokenizer takes, their nouns without a language model, and datasets of them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from daam_bench.datasets.build import BuildSettings, build_dataset
from daam_bench.datasets.caption_sources import SourceCaption
from daam_bench.prompts.swap import NounCaption
from daam_bench.types import Noun, Token

NOUN = re.compile(r"\b(cat|dog|hat|pizza|teddy bear)(s?)\b")

CAPTIONS = [
    SourceCaption("11", "a cat and a dog", "1"),
    SourceCaption("12", "a dog and a cat", "1"),
    SourceCaption("13", "a red hat on the grass", "2"),
    SourceCaption("14", "a red hat on the grass.", "3"),
    SourceCaption("15", "on the grass", "4"),
    SourceCaption("16", "two cats and a pizza", "5"),
    SourceCaption("17", "a teddy bear", "6"),
    SourceCaption("18", "the pizza and the red hat and the grass and the red teddy bear and the cat", "7"),
    SourceCaption("19", "a dog on a red pizza", "8"),
    SourceCaption("20", "two hats on a cat", None),
    SourceCaption("21", "the dog", None),
]


def parse(captions: Sequence[str]) -> list[NounCaption]:
    return [_parse(text) for text in captions]


def _parse(text: str) -> NounCaption:
    found = list(NOUN.finditer(text))
    return NounCaption(
        text=text,
        nouns=tuple(Noun(match[0], match[1], match.start(), match.end(), match[1]) for match in found),
        plural=tuple(bool(match[2]) for match in found),
        tokens=tuple(Token(word[0], "X", word.start(), word.end()) for word in re.finditer(r"\w+|\.", text)),
    )


def settings(model: Path, **changes) -> BuildSettings:
    plain = BuildSettings(
        captions=CAPTIONS,
        source="captions.txt",
        model=str(model),
        size=5,
        steps=2,
        nlp="a word list",
        libraries={"daam-bench": "0"},
        device="cpu",
        batch_size=2,
    )
    return replace(plain, **changes)


def build(folder: Path, chosen: BuildSettings, **options) -> Path:
    build_dataset(folder, chosen, parse, progress=False, **options)
    return folder
