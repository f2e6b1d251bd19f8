"""The shipped dataset: prompts, images and masks of its three splits."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daam_bench.datasets.card import HOW_TO_CITE, card_head
from daam_bench.datasets.describe import with_annotation
from daam_bench.datasets.write import write_dataset
from daam_bench.diffusion.generate import generate, usual_generation
from daam_bench.diffusion.pipelines import SHIPPED
from daam_bench.emoji import GUIDANCE_SCALE, STEPS
from daam_bench.emoji.annotator import Annotator
from daam_bench.emoji.nouns import NOUNS
from daam_bench.prompts.inflection import Forms
from daam_bench.prompts.swap import NounCaption, SwappedCaption, swap_nouns
from daam_bench.types import Annotation, Example, Query, Source
from daam_bench.types.masks import encode
from tools.emoji.captions import Caption, caption
from tools.emoji.checking.proposals import BY, HOW, propose
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Group, Layout, compose, sample_layout

VERSION = "0.2"
"""Version of the shipped dataset; any change of an image or mask is a new one."""

_BATCH = 25


def build_dataset(
    folder: Path, *, pipeline: Any, annotator: Annotator, font: Path, size: int = 150, seed: int = 0
) -> dict[str, Sequence[Example]]:
    """Build `coco_gen`, `unreal_gen` and `scenes` and write them as a dataset folder.

    Image i of a generated split is generated from seed i; none is chosen for its looks. The masks of the
    generated splits are the annotator's proposals, to be checked; those of `scenes` are exact.

    Args:
        folder: Where the dataset goes.
        pipeline: The emoji pipeline, in float32.
        annotator: Finds the nouns in the images.
        font: Path of NotoColorEmoji.ttf.
        size: Examples a split.
        seed: Seed of prompts, swap and scenes.
    """
    captions = realistic_captions(size, np.random.default_rng([seed, 0]))
    plain = [NounCaption(parsed.text, parsed.nouns, _plural(parsed), parsed.tokens) for parsed in captions]
    swapped = swap_nouns(plain, seed, _forms)
    splits: dict[str, Sequence[Example]] = {
        "coco_gen": _generated("coco_gen", plain, pipeline, annotator),
        "unreal_gen": _generated("unreal_gen", swapped, pipeline, annotator),
        "scenes": composited(size, font, pipeline.vae.config.sample_size, np.random.default_rng([seed, 1])),
    }
    write_dataset(folder, splits, with_annotation(CARD, splits))
    return splits


def realistic_captions(count: int, rng: np.random.Generator) -> list[Caption]:
    """Describe `count` usual scenes, no text twice, every noun first equally often."""
    captions: dict[str, Caption] = {}
    while True:
        for name in rng.permutation(list(NOUNS)):
            background = str(rng.choice(NOUNS[name].usual))
            others = [noun.name for noun in NOUNS.values() if background in noun.usual and noun.name != name]
            kinds = int(rng.choice([1, 2, 3], p=[0.4, 0.42, 0.18]))
            chosen = [str(name), *rng.choice(others, min(kinds - 1, len(others)), replace=False)]
            if len(chosen) == 1 and rng.random() < 0.3:
                groups: tuple[Group, ...] = (Group(chosen[0], int(rng.choice([2, 3], p=[0.7, 0.3]))),)
            else:
                groups = tuple(
                    Group(str(noun), 1, ("", "", "", "big", "small")[rng.integers(5)]) for noun in chosen
                )
            parsed = caption(Layout(groups, background), rng)
            captions.setdefault(parsed.text, parsed)
            if len(captions) == count:
                return list(captions.values())


def composited(count: int, font: Path, image_size: int, rng: np.random.Generator) -> list[Example]:
    """Compose `count` scenes, which no model generated, with their exact masks."""
    glyphs = Glyphs(font)
    annotation = Annotation("tools.emoji.scenes", "exact: from the alpha of the composited glyphs", _today())
    examples = []
    for index in range(count):
        scene = compose(sample_layout(rng), glyphs, image_size, rng)
        parsed = caption(scene.layout, rng)
        masks = {group.noun: mask for group, mask in zip(scene.layout.groups, scene.masks, strict=True)}
        query = Query(
            f"scenes-{index:03}", parsed.text, Image.fromarray(scene.image), parsed.nouns, None, None
        )
        rles = tuple(encode(masks[noun.lemma]) for noun in parsed.nouns)
        examples.append(Example(query, rles, parsed.tokens, Source(None), annotation))
    return examples


def _generated(
    split: str, captions: Sequence[NounCaption | SwappedCaption], pipeline: Any, annotator: Annotator
) -> list[Example]:
    generation = usual_generation(pipeline, SHIPPED)
    prompts = [parsed.text for parsed in captions]
    generated = generate(pipeline, prompts, range(len(prompts)), generation, batch_size=_BATCH)
    images = [one.image for one in generated]
    annotation = Annotation(BY, HOW, _today())
    proposals = propose(annotator, images, [[noun.lemma for noun in parsed.nouns] for parsed in captions])
    examples = []
    for index, (parsed, image, proposed) in enumerate(zip(captions, images, proposals, strict=True)):
        masks = tuple(None if mask is None else encode(mask) for mask in proposed)
        swaps = parsed.swaps if isinstance(parsed, SwappedCaption) else ()
        query = Query(f"{split}-{index:03}", parsed.text, image, parsed.nouns, index, generation)
        source = Source(f"emoji-{index:03}", swaps)
        examples.append(Example(query, masks, parsed.tokens, source, annotation))
    return examples


def _plural(parsed: Caption) -> tuple[bool, ...]:
    """Tell which nouns are plural: those that a numeral counts ("sheep" and "fish" don't show it)."""
    numerals = {token.end for token in parsed.tokens if token.pos == "NUM"}
    return tuple(noun.start - 1 in numerals for noun in parsed.nouns)


def _forms(lemma: str) -> Forms:
    return Forms(lemma, NOUNS[lemma].plural)


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


CARD = (
    card_head("cc-by-4.0", examples=450)
    + f"""# daam-bench `emoji`

Version {VERSION}. Prompts, images and a mask for every countable noun, to score word-to-pixel attribution on
([daam-bench](https://arxiv.org/abs/2210.04885) protocol 1). The generator is daam-bench's own tiny latent
diffusion model of emoji scenes, so the whole benchmark runs without any download.

| split | images |
|---|---|
| `coco_gen` | drawn by the model from realistic prompts |
| `unreal_gen` | the same prompts with their nouns swapped among them, drawn by the model |
| `scenes` | composited, drawn by no model |

## How to load

```python
from datasets import load_dataset

rows = load_dataset("path/of/this/folder", split="unreal_gen")  # without daam-bench

from daam_bench import load_split

split = load_split("emoji", "unreal_gen")  # the copy that comes with daam-bench
```

## How it was made

Image i of a generated split comes from seed i: {STEPS} PNDM steps, guidance scale {GUIDANCE_SCALE:g}.
No image was chosen for its looks. `source.swapped_from` tells what each swapped noun replaced. A noun that
was not drawn has no mask; scores average over the nouns that have one.

A segmenter trained on composited scenes proposes the masks of the generated splits, cut along regions of
one colour; then each noun of each image is looked at, enlarged, and its proposal accepted, fixed or
refused. `checks.jsonl` beside the splits holds every decision, with who took it and when, and
`second_annotation.jsonl` a second annotation of 40 random images, made from nothing and on other regions.
Where the list below names an AI model, no person has checked its masks.

## Limits

Images are small and the world has 37 nouns, 25 of them COCO classes: scores rank methods, but don't compare
with scores on Stable Diffusion's images. Objects that the model draws badly count as drawn where they can
be told with the prompt in hand; their edges are soft, and masks of them uncertain by a pixel or two.

## Licence

CC BY 4.0. The images show, and the model learnt from, glyphs of Noto Color Emoji, (c) Google Inc., under
the SIL Open Font License 1.1; the font is not part of this dataset.

"""
    + HOW_TO_CITE
)
