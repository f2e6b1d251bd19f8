"""The shipped dataset: prompts, images and masks of its three splits."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daam_bench.datasets.card import HOW_TO_CITE, card_head, with_annotation
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
from tools.emoji.captions import SceneCaption, caption
from tools.emoji.checking.regions import BY, HOW, propose
from tools.emoji.evaluate import load_float32
from tools.emoji.glyphs import Glyphs
from tools.emoji.scenes import Layout, ObjectGroup, compose, sample_layout

VERSION = "0.2"
"""Version of the shipped dataset; any change of an image or mask is a new one."""

_BATCH = 25


def build_with(*, out: Path, font: Path, pipeline: Path, annotator: Path, size: int, seed: int) -> None:
    """Build the dataset with the pipeline and the annotator of two folders, and say how many masks it has."""
    splits = build_dataset(
        out,
        pipeline=load_float32(pipeline),
        annotator=Annotator(annotator),
        font=font,
        size=size,
        seed=seed,
    )
    for name, examples in splits.items():
        masks = [mask for example in examples for mask in example.masks]
        found = sum(mask is not None for mask in masks)
        print(f"{name}: {len(examples)} examples, {found} of {len(masks)} nouns with a mask")


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


def realistic_captions(count: int, rng: np.random.Generator) -> list[SceneCaption]:
    """Describe `count` usual scenes, no text twice, every noun first equally often."""
    captions: dict[str, SceneCaption] = {}
    while True:
        for name in rng.permutation(list(NOUNS)):
            background = str(rng.choice(NOUNS[name].usual))
            others = [noun.name for noun in NOUNS.values() if background in noun.usual and noun.name != name]
            kinds = int(rng.choice([1, 2, 3], p=[0.4, 0.42, 0.18]))
            chosen = [str(name), *rng.choice(others, min(kinds - 1, len(others)), replace=False)]
            if len(chosen) == 1 and rng.random() < 0.3:
                groups: tuple[ObjectGroup, ...] = (
                    ObjectGroup(chosen[0], int(rng.choice([2, 3], p=[0.7, 0.3]))),
                )
            else:
                groups = tuple(
                    ObjectGroup(str(noun), 1, ("", "", "", "big", "small")[rng.integers(5)])
                    for noun in chosen
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


def _plural(parsed: SceneCaption) -> tuple[bool, ...]:
    """Tell which nouns are plural: those that a numeral counts ("sheep" and "fish" don't show it)."""
    numerals = {token.end for token in parsed.tokens if token.pos == "NUM"}
    return tuple(noun.start - 1 in numerals for noun in parsed.nouns)


def _forms(lemma: str) -> Forms:
    return Forms(lemma, NOUNS[lemma].plural)


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


CARD = (
    card_head("cc-by-4.0", examples=450)
    + (Path(__file__).parent / "cards" / "dataset.md")
    .read_text(encoding="utf-8")
    .format(version=VERSION, steps=STEPS, guidance_scale=f"{GUIDANCE_SCALE:g}")
    + HOW_TO_CITE
)
"""The dataset's card; what its annotation section says is added from its examples."""
