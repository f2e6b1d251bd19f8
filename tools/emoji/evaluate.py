"""How well an emoji pipeline draws: noun recall on a fixed list of prompts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.util import montage

from daam_bench.diffusion.generate import default_size, draw
from daam_bench.emoji import GUIDANCE_SCALE, STEPS
from daam_bench.emoji.annotator import Annotator, Finding, instances
from daam_bench.figures.panels import Panel
from daam_bench.figures.sheet import DOTS, Sheet
from daam_bench.figures.style import INK, save, styled
from daam_bench.types import Generation
from tools.emoji.prompts import KINDS, evaluation_prompts


@dataclass(frozen=True, slots=True)
class Drawing:
    """An image of an evaluation prompt and what the annotator finds in it."""

    kind: str
    prompt: str
    image: Image.Image
    findings: list[Finding]
    expected: int

    @property
    def complete(self) -> bool:
        """Whether every noun is drawn, and as often as the prompt says."""
        if self.kind == "plural":
            return self.findings[0].drawn and instances(self.findings[0].mask) == self.expected
        return all(finding.drawn for finding in self.findings)


def draw_prompts(
    pipeline: Any, annotator: Annotator, *, steps: int = STEPS, guidance: float = GUIDANCE_SCALE
) -> list[Drawing]:
    """Draw the evaluation prompts (seed = place in the list) and judge each image."""
    prompts = evaluation_prompts()
    height, width = default_size(pipeline)
    scheduler = type(pipeline.scheduler).__name__
    generation = Generation("emoji", None, scheduler, steps, guidance, height, width, "float32")
    images: list[Image.Image] = []
    for first in range(0, len(prompts), 20):
        part = [parsed.text for _, _, parsed in prompts[first : first + 20]]
        drawings = draw(pipeline, part, range(first, first + len(part)), generation)
        images += [drawing.image for drawing in drawings]
    nouns = [[noun.lemma for noun in parsed.nouns] for _, _, parsed in prompts]
    found = annotator.find(images, nouns)
    return [
        Drawing(kind, parsed.text, image, findings, sum(group.count for group in layout.groups))
        for (kind, layout, parsed), image, findings in zip(prompts, images, found, strict=True)
    ]


def summarize(drawings: Sequence[Drawing]) -> dict[str, dict[str, float]]:
    """Return for each kind of prompt its noun recall and its share of complete images, in [0, 1]."""
    summary = {}
    for kind in KINDS:
        chosen = [drawing for drawing in drawings if drawing.kind == kind]
        drawn = [finding.drawn for drawing in chosen for finding in drawing.findings]
        summary[kind] = {
            "prompts": len(chosen),
            "noun_recall": float(np.mean(drawn)),
            "complete": float(np.mean([drawing.complete for drawing in chosen])),
        }
    return summary


@styled
def contact_sheet(drawings: Sequence[Drawing], path: Path, *, columns: int = 10, enlarge: int = 3) -> None:
    """Write all images with their prompts as a PNG; nouns that are not depicted are named in red."""
    side, margin, caption = drawings[0].image.width * enlarge, 4, 50
    around = ((caption, 0), (margin, margin), (0, 0))
    large = [drawing.image.resize((side, side), Image.Resampling.NEAREST) for drawing in drawings]
    tiles = [np.pad(np.asarray(image.convert("RGB")), around, constant_values=255) for image in large]
    rows = -(-len(drawings) // columns)
    grid = Image.fromarray(montage(tiles, fill=[255] * 3, grid_shape=(rows, columns), channel_axis=-1))
    sheet = Sheet(grid.width, grid.height)
    sheet.image(0, 0, Panel("", grid), max(grid.size))
    for index, drawing in enumerate(drawings):
        left, top = index % columns * (side + 2 * margin), index // columns * (side + caption)
        lines = [(text, INK) for text in textwrap.wrap(drawing.prompt, side // 7)[:2]]
        missing = ", ".join(finding.noun for finding in drawing.findings if not finding.drawn)
        if missing:
            lines.append((f"missing: {missing}", "#b00020"))
        for above, line in enumerate(reversed(lines), start=1):
            sheet.words(left + margin, top + caption - 5 - 14 * above, [line], 12)
    save(sheet.figure, path, dpi=DOTS)
