"""The prompts that come along for real models, `annotations/coco`, from COCO's captions.

python -m tools.coco_prompts captions_val2017.json.gz annotations/coco
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

from daam_bench.datasets.build import BuildSettings, write_prompt_set
from daam_bench.datasets.caption_sources import read_captions
from daam_bench.prompts.nouns import parse_captions
from daam_bench.prompts.swap import NounCaption
from daam_bench.scoring.report import describe_environment

NO_NOUNS = {
    ("Cafeteria lunch fare is a balanced meal plus dessert.", "fare"),
    ("A young woman sitting on a curb next to a fire hydrant writing on a notepad.", "writing"),
    ("Someone is cooking vegetarian stir fry in a skillet.", "fry"),
    ("A tennis player wearing all white reaches hi racket up to a ball.", "reaches"),
    ("there are two people that are standing in a farmers market", "farmers"),
    ("An empty bus has tartan seats, and a wooden floor.", "tartan"),
    ("A horse in a grassy field set against a foggy mountain range.", "range"),
    ("Woman with surfboard getting kisses from dog at waters edge.", "waters"),
}
"""Caption and word: what is no countable noun though the program takes it for one."""

CREDIT = (
    "Captions: COCO 2017, validation, (c) COCO Consortium (cocodataset.org), CC BY 4.0; in `unreal_gen` "
    "their nouns are swapped, all else is unchanged."
)

_TERMS = "Captions may come with terms of their own: those of their source."


def build(captions: Path, output: Path) -> None:
    """Write the prompts: 150 captions by seed 0, and the same with their nouns swapped."""
    environment = describe_environment()
    settings = BuildSettings(
        captions=read_captions(captions),
        source=captions.name,
        model="",
        nlp="daam-bench's own spaCy pipeline",
        libraries={"daam-bench": environment.version, "spacy": environment.libraries["spacy"]},
        licence="cc-by-4.0",
    )
    note = (
        f"An AI model read the nouns of the picked captions once, and had {len(NO_NOUNS)} dropped that are "
        "none; no person checked them."
    )
    write_prompt_set(output, settings, _parse, note=note)
    card = output / "README.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace(_TERMS, CREDIT), encoding="utf-8")


def _parse(texts: Sequence[str]) -> list[NounCaption]:
    return [_without(parsed.countable()) for parsed in parse_captions(texts)]


def _without(caption: NounCaption) -> NounCaption:
    kept = [(caption.text, noun.text) not in NO_NOUNS for noun in caption.nouns]
    return replace(
        caption, nouns=tuple(compress(caption.nouns, kept)), plural=tuple(compress(caption.plural, kept))
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
