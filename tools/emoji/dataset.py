"""The shipped dataset: prompts, images and masks of its splits."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daam_bench.datasets.card import HOW_TO_CITE, card_head, with_annotation
from daam_bench.datasets.load import DEV
from daam_bench.datasets.row_writing import webp
from daam_bench.datasets.write import write_dataset
from daam_bench.diffusion.defaults import usual_generation
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import SHIPPED, load_pipeline
from daam_bench.emoji import GUIDANCE_SCALE, PIPELINE, STEPS
from daam_bench.emoji.annotator import Annotator
from daam_bench.emoji.world_nouns import BACKGROUNDS, NOUNS
from daam_bench.prompts.inflection import Forms
from daam_bench.prompts.swap import NounCaption, swap_nouns
from daam_bench.types import Annotation, Example, Query, Source
from daam_bench.types.errors import InputError
from daam_bench.types.examples import OWN, PROPOSED
from daam_bench.types.masks import encode
from tools.emoji.captions import caption
from tools.emoji.checking.regions import BY, HOW, propose
from tools.emoji.scenes import Glyphs, Layout, compose, sample_group, sample_layout

VERSION = "1.0"
"""Version of the shipped dataset; any change of an image or mask, and any further split, is a new one."""

SCENES = "scenes"

DEV_COUNT = 200
DEV_SEED = 2210
"""Number and seed of the scenes of the split `dev`: public, and the same in every dataset of this world."""

_BATCH = 25


def build_dataset(
    *, out: Path, font: Path, pipeline: Path, annotator: Path, size: int, scenes: int, seed: int
) -> None:
    """Build `coco_gen` and `unreal_gen` of `size` examples, `scenes` and `dev`; count their masks.

    Image i of a generated split is generated from seed i; none is chosen for its looks. The masks of the
    generated splits are the annotator's proposals, to be checked; those of `scenes` and `dev` are exact.
    Fewer `scenes` of a seed are the first of more. They are stored as lossless WebP, to be small on disk.

    Raises:
        InputError: A split would be empty.
    """
    if size < 1 or scenes < 1:
        raise InputError(f"--size and --scenes must be at least 1, not {size} and {scenes}")
    generator, finder = load_pipeline(str(pipeline)), Annotator(annotator)
    plain = realistic_captions(size, np.random.default_rng([seed, 0]))
    swapped = swap_to_unusual(plain, seed)
    image_size = generator.vae.config.sample_size
    splits: dict[str, Sequence[Example]] = {
        "coco_gen": _generated("coco_gen", plain, generator, finder),
        "unreal_gen": _generated("unreal_gen", swapped, generator, finder),
        SCENES: [
            _as_webp(example)
            for example in composited(SCENES, scenes, font, image_size, np.random.default_rng([seed, 1]))
        ],
        DEV: development_scenes(font, image_size),
    }
    card = dataset_card(sum(map(len, splits.values())))
    write_dataset(out, splits, with_annotation(card, splits))
    for name, examples in splits.items():
        masks = [mask for example in examples for mask in example.masks]
        found = sum(mask is not None for mask in masks)
        print(f"{name}: {len(examples)} examples, {found} of {len(masks)} nouns with a mask")


def swap_to_unusual(captions: Sequence[NounCaption], seed: int) -> list[NounCaption]:
    """Exchange the nouns of captions so that, where it can be, each stands on a background unusual for it."""
    return swap_nouns(captions, seed, lambda lemma: Forms(lemma, NOUNS[lemma].plural), usual_nouns)


def usual_nouns(parsed: NounCaption) -> frozenset[str]:
    """Return the nouns that are usual on the background of a caption; none where it names no background."""
    named = {token.text for token in parsed.tokens} & set(BACKGROUNDS)
    return frozenset(noun.name for noun in NOUNS.values() if named & set(noun.usual))


def fresh_scenes(*, seed: int, count: int, output: Path, font: Path) -> None:
    """Build a dataset of `count` composited scenes with exact masks from a seed, its one split `scenes`.

    They have the size of the shipped dataset's images, and are other scenes than its own, whatever its seed.
    """
    if seed < 0 or count < 1:
        raise InputError(f"--seed must be at least 0 and --count at least 1, not {seed} and {count}")
    image_size = json.loads((PIPELINE / "vae" / "config.json").read_text(encoding="utf-8"))["sample_size"]
    rng = np.random.default_rng([seed, 2])
    splits = {"scenes": composited("scenes", count, font, image_size, rng)}
    write_dataset(output, splits, with_annotation(card_head("cc-by-4.0", examples=count) + _FRESH, splits))
    masks = [mask for example in splits["scenes"] for mask in example.masks]
    print(f"{output}/: {count} scenes, {len(masks)} nouns, all with a mask")


def _as_webp(example: Example) -> Example:
    """Let an example's image be stored as WebP."""
    image = Image.open(BytesIO(webp(example.query.image)))
    image.load()
    return replace(example, query=replace(example.query, image=image))


def realistic_captions(count: int, rng: np.random.Generator) -> list[NounCaption]:
    """Describe `count` usual scenes, no text twice, every noun first equally often."""
    captions: dict[str, NounCaption] = {}
    while True:
        for name in rng.permutation(list(NOUNS)):
            background = str(rng.choice(NOUNS[name].usual))
            others = [noun.name for noun in NOUNS.values() if background in noun.usual and noun.name != name]
            kinds = int(rng.choice([1, 2, 3], p=[0.4, 0.42, 0.18]))
            chosen = [str(name), *rng.choice(others, min(kinds - 1, len(others)), replace=False)]
            groups = [sample_group(str(noun), len(chosen), rng, several=0.3) for noun in chosen]
            parsed = caption(Layout(tuple(groups), background), rng)
            captions.setdefault(parsed.text, parsed)
            if len(captions) == count:
                return list(captions.values())


def development_scenes(font: Path, image_size: int) -> list[Example]:
    """Compose the split `dev`: scenes to choose settings on, which no other split has."""
    return composited(DEV, DEV_COUNT, font, image_size, np.random.default_rng([DEV_SEED, 3]))


def composited(
    split: str, count: int, font: Path, image_size: int, rng: np.random.Generator
) -> list[Example]:
    """Compose `count` scenes, which no model generated, with their exact masks; `split` begins their ids."""
    glyphs = Glyphs(font)
    annotation = Annotation("tools.emoji.scenes", "exact: from the alpha of the composited glyphs", _today())
    examples = []
    for index in range(count):
        scene = compose(sample_layout(rng), glyphs, image_size, rng)
        parsed = caption(scene.layout, rng)
        masks = {group.noun: mask for group, mask in zip(scene.layout.groups, scene.masks, strict=True)}
        query = Query(
            f"{split}-{index:03}", parsed.text, Image.fromarray(scene.image), parsed.nouns, None, None
        )
        rles = tuple(encode(masks[noun.lemma]) for noun in parsed.nouns)
        exact = replace(annotation, masks=(OWN,) * len(rles))
        examples.append(Example(query, rles, parsed.tokens, Source(None), exact))
    return examples


def _generated(
    split: str, captions: Sequence[NounCaption], pipeline: Any, annotator: Annotator
) -> list[Example]:
    generation = usual_generation(pipeline, SHIPPED)
    prompts = [parsed.text for parsed in captions]
    generated = generate(pipeline, prompts, range(len(prompts)), generation, batch_size=_BATCH)
    images = [one.image for one in generated]
    annotation = Annotation(BY, HOW, _today(), proposal=BY)
    proposals = propose(annotator, images, [[noun.lemma for noun in parsed.nouns] for parsed in captions])
    examples = []
    for index, (parsed, image, proposed) in enumerate(zip(captions, images, proposals, strict=True)):
        masks = tuple(None if mask is None else encode(mask) for mask in proposed)
        query = Query(f"{split}-{index:03}", parsed.text, image, parsed.nouns, index, generation)
        source = Source(f"emoji-{index:03}", parsed.swaps)
        proposals_only = replace(annotation, masks=(PROPOSED,) * len(masks))
        examples.append(Example(query, masks, parsed.tokens, source, proposals_only))
    return examples


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


_FRESH = """
# Fresh emoji scenes

Composited scenes of the emoji world with exact masks, which no model generated, made by
`python -m tools.emoji scenes` to verify entries of the leaderboard on. Don't publish them, nor their seed,
before that is done.
"""


def dataset_card(examples: int) -> str:
    """Return the dataset's card; what its annotation section says is added from its examples."""
    text = (Path(__file__).parent / "cards" / "dataset.md").read_text(encoding="utf-8")
    filled = text.format(
        version=VERSION, dev_seed=DEV_SEED, steps=STEPS, guidance_scale=f"{GUIDANCE_SCALE:g}"
    )
    return card_head("cc-by-4.0", examples=examples) + filled + HOW_TO_CITE
