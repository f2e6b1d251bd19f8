"""Captions that the tiny tokenizer takes, their nouns without a language model, and datasets of them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from daam_bench.datasets.build import Settings, build_dataset
from daam_bench.prompts.captions import Caption
from daam_bench.prompts.swap import NounCaption
from daam_bench.types import Noun, Token

NOUN = re.compile(r"\b(cat|dog|hat|pizza|teddy bear)(s?)\b")

CAPTIONS = [
    Caption("11", "a cat and a dog", "1"),
    Caption("12", "a dog and a cat", "1"),
    Caption("13", "a red hat on the grass", "2"),
    Caption("14", "a red hat on the grass.", "3"),
    Caption("15", "on the grass", "4"),
    Caption("16", "two cats and a pizza", "5"),
    Caption("17", "a teddy bear", "6"),
    Caption("18", "the pizza and the red hat and the grass and the red teddy bear and the cat", "7"),
    Caption("19", "a dog on a red pizza", "8"),
    Caption("20", "two hats on a cat", None),
    Caption("21", "the dog", None),
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


def settings(model: Path, **changes) -> Settings:
    plain = Settings(
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


def build(folder: Path, chosen: Settings, **options) -> Path:
    build_dataset(folder, chosen, parse, progress=False, **options)
    return folder
