"""How well an emoji pipeline follows its prompts: noun recall on a fixed list of them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.util import montage

from daam_bench.diffusion.defaults import usual_generation
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.emoji.annotator import Annotator, Finding, count_objects
from daam_bench.emoji.world_nouns import BACKGROUNDS, NOUNS
from daam_bench.figures.panels import DOTS, Panel, Sheet
from daam_bench.figures.style import INK, save, styled
from daam_bench.prompts.swap import NounCaption
from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals
from daam_bench.types.errors import InputError
from tools.emoji.captions import caption
from tools.emoji.scenes import Layout, ObjectGroup

KINDS = {"one noun": 37, "two nouns": 37, "three nouns": 26, "plural": 20}
"""Prompts of each kind, in report order."""


@dataclass(frozen=True, slots=True)
class PromptResult:
    """An image of an evaluation prompt and what the annotator finds in it."""

    kind: str
    prompt: str
    image: Image.Image
    findings: list[Finding]
    expected: int

    @property
    def complete(self) -> bool:
        """Whether every noun is depicted, and as often as the prompt says."""
        if self.kind == "plural":
            return self.findings[0].depicted and count_objects(self.findings[0].mask) == self.expected
        return all(finding.depicted for finding in self.findings)


def evaluate_pipeline(
    *,
    name: str,
    pipeline: Path | None,
    annotator: Path,
    guidance: float | None,
    steps: int | None,
    images: int = 1,
    output: Path,
) -> None:
    """Generate the evaluation prompts, write noun recall and a contact sheet.

    The generator `name` generates as its datasets' images were, but for what is given. The seed of a prompt's
    first image is its place in the list, that of each further one the number of prompts more. The sheet shows
    the first ones.

    Raises:
        InputError: `images`, those of each prompt, is less than 1.
    """
    if images < 1:
        raise InputError(f"--images is {images}: every prompt needs at least one")
    prompts, generator = evaluation_prompts(), load_pipeline(str(pipeline or name))
    generation = usual_generation(generator, name, steps=steps, guidance_scale=guidance)
    listed = prompts * images
    texts = [parsed.text for _, _, parsed in listed]
    generated = generate(generator, texts, range(len(texts)), generation, batch_size=20)
    made = [one.image for one in generated]
    nouns = [[noun.lemma for noun in parsed.nouns] for _, _, parsed in listed]
    results = [
        PromptResult(kind, parsed.text, image, findings, sum(group.count for group in layout.groups))
        for (kind, layout, parsed), image, findings in zip(
            listed, made, Annotator(annotator).find(made, nouns), strict=True
        )
    ]
    summary = summarize(results)
    output.mkdir(parents=True, exist_ok=True)
    (output / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n")
    contact_sheet(results[: len(prompts)], output / "contact_sheet.png")
    print(f"{'prompts':<14}{'images':>8}{'noun recall':>22}{'complete':>22}")
    for kind, of_kind in summary.items():
        shares = "".join(f"{_in_brackets(of_kind[name]):>22}" for name in ("noun_recall", "complete"))
        print(f"{kind:<14}{of_kind['images']:>8}{shares}")
    print(f"contact sheet: {output / 'contact_sheet.png'}")


def evaluation_prompts() -> list[tuple[str, Layout, NounCaption]]:
    """Return (kind, layout, caption) of each prompt; every call gives the same 120.

    "one noun" and "two nouns" name every noun once, and twice. Half of the backgrounds are usual.
    """
    rng = np.random.default_rng(2210)
    prompts = []
    for nouns_each, (kind, count) in enumerate(KINDS.items(), start=1):
        names = [name for _ in range(4) for name in rng.permutation(list(NOUNS))]
        for index in range(count):
            chosen = dict.fromkeys(names[index * nouns_each : (index + 1) * nouns_each])
            groups = tuple(ObjectGroup(name) for name in chosen)
            if kind == "plural":
                groups = (ObjectGroup(names[index], 2),)
            usual = NOUNS[groups[0].noun].usual
            background = usual[0] if index % 2 == 0 else BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
            layout = Layout(groups, background)
            prompts.append((kind, layout, caption(layout, rng)))
    return prompts


def summarize(results: Sequence[PromptResult]) -> dict[str, dict[str, Any]]:
    """Return for each kind of prompt its images, its noun recall and its share of complete images.

    Noun recall and share are (value, low, high) in [0, 1], with a 95 % bootstrap interval over prompts.
    """
    summary = {}
    for kind in dict.fromkeys(result.kind for result in results):
        chosen = [result for result in results if result.kind == kind]
        summary[kind] = {
            "images": len(chosen),
            "noun_recall": _share(
                [(one.prompt, [finding.depicted for finding in one.findings]) for one in chosen]
            ),
            "complete": _share([(one.prompt, [one.complete]) for one in chosen]),
        }
    return summary


def _share(answers: Sequence[tuple[str, list[bool]]]) -> tuple[float, float, float]:
    """Return the share of yes among images' answers, each with its prompt, and its interval over prompts."""
    of_prompts: dict[str, list[bool]] = {}
    for prompt, found in answers:
        of_prompts.setdefault(prompt, []).extend(found)
    sums = np.array([sum(found) for found in of_prompts.values()], np.float64)
    counts = np.array([len(found) for found in of_prompts.values()])
    (interval,) = confidence_intervals([ImageTotals(sums, counts)])
    assert interval is not None
    return float(sums.sum() / counts.sum()), *interval


def _in_brackets(share: tuple[float, float, float]) -> str:
    value, low, high = share
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


@styled
def contact_sheet(
    results: Sequence[PromptResult], path: Path, *, columns: int = 10, enlarge: int = 3
) -> None:
    """Write all images with their prompts as a PNG; nouns that are not depicted are named in red."""
    side, margin, caption = results[0].image.width * enlarge, 4, 50
    around = ((caption, 0), (margin, margin), (0, 0))
    large = [result.image.resize((side, side), Image.Resampling.NEAREST) for result in results]
    tiles = [np.pad(np.asarray(image.convert("RGB")), around, constant_values=255) for image in large]
    rows = -(-len(results) // columns)
    grid = Image.fromarray(montage(tiles, fill=[255] * 3, grid_shape=(rows, columns), channel_axis=-1))
    sheet = Sheet(grid.width, grid.height)
    sheet.image(0, 0, Panel("", grid), max(grid.size))
    for index, result in enumerate(results):
        left, top = index % columns * (side + 2 * margin), index // columns * (side + caption)
        lines = [(text, INK) for text in textwrap.wrap(result.prompt, side // 7)[:2]]
        missing = ", ".join(finding.noun for finding in result.findings if not finding.depicted)
        if missing:
            lines.append((f"missing: {missing}", "#b00020"))
        for above, line in enumerate(reversed(lines), start=1):
            sheet.words(left + margin, top + caption - 5 - 14 * above, [line], 12)
    save(sheet.figure, path, dpi=DOTS)
