"""A small real dataset folder, written by the package's own writer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from daam_bench.datasets.write import write_dataset
from daam_bench.types import RLE, Annotation, Example, Generation, Noun, Query, Source, Token
from daam_bench.types.masks import encode

SIZE = 32
"""Height and width of the images."""

_SCENES = (("cat", "pizza"), ("dog", "tree"), ("boat", "moon"), ("cat", "cake"), ("bird", "apple"))
_IN_COCO = {"cat", "pizza", "dog", "boat", "cake", "bird", "apple"}
_ANNOTATION = Annotation("tests", "drawn", "2024-01-01")


def make_dataset(folder: Path) -> Path:
    """Write a dataset of two hand-drawn splits of five examples, and return its folder.

    Every example has a noun on the left and one on the right, both drawn but for the moon of the third one.
    """
    splits = {
        "coco_gen": [generated_example(f"coco-{index}", *pair) for index, pair in enumerate(_SCENES)],
        "unreal_gen": [generated_example(f"unreal-{i}", *pair[::-1]) for i, pair in enumerate(_SCENES)],
    }
    write_dataset(folder, splits, "# A tiny dataset\n")
    return folder


def generated_example(name: str, left: str, right: str, generation: Generation | None = None) -> Example:
    """Return an example with a disc for each noun, no mask for the "moon"."""
    image = Image.new("RGB", (SIZE, SIZE), "white")
    masks: list[RLE | None] = []
    for noun, box, colour in ((left, (2, 6, 13, 25), "orange"), (right, (18, 4, 29, 15), "navy")):
        if noun == "moon":
            masks.append(None)
            continue
        ImageDraw.Draw(image).ellipse(box, fill=colour)
        mask = Image.new("1", (SIZE, SIZE))
        ImageDraw.Draw(mask).ellipse(box, fill=1)
        masks.append(encode(np.asarray(mask)))
    prompt, nouns, tokens = _parse(f"a {left} and a {right}", (left, right))
    query = Query(name, prompt, image, nouns, seed=None if generation is None else 1, generation=generation)
    return Example(query, tuple(masks), tokens, Source(f"caption of {name}"), _ANNOTATION)


def make_generated_dataset(folder: Path, pipeline: object, generation: Generation) -> Path:
    """Write a dataset whose images `pipeline` draws (with masks made up: their left halves)."""
    import diffusers
    import torch

    scheduler = getattr(diffusers, generation.scheduler)
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)

    def draw(name: str, pair: Sequence[str], seed: int) -> Example:
        prompt, nouns, tokens = _parse("a {} and a {}".format(*pair), pair)
        image = pipeline(
            prompt,
            num_inference_steps=generation.steps,
            guidance_scale=generation.guidance_scale,
            height=generation.height,
            width=generation.width,
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images[0]
        mask = np.zeros((generation.height, generation.width), dtype=bool)
        mask[:, : generation.width // 2] = True
        query = Query(name, prompt, image, nouns, seed, generation)
        return Example(query, (encode(mask), encode(~mask)), tokens, Source(None), _ANNOTATION)

    splits = {
        split: [
            draw(f"{split}-{index}", pair, seed=100 * place + index) for index, pair in enumerate(_SCENES)
        ]
        for place, split in enumerate(("coco_gen", "unreal_gen"))
    }
    write_dataset(folder, splits, "# Drawn by a tiny model\n")
    return folder


def _parse(prompt: str, nouns: Sequence[str]) -> tuple[str, tuple[Noun, ...], tuple[Token, ...]]:
    tokens: list[Token] = []
    found: list[Noun] = []
    for word in prompt.split():
        start = tokens[-1].end + 1 if tokens else 0
        end = start + len(word)
        tokens.append(Token(word, "NOUN" if word in nouns else "X", start, end))
        if word in nouns:
            found.append(Noun(word, word, start, end, word if word in _IN_COCO else None))
    return prompt, tuple(found), tuple(tokens)
