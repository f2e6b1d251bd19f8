"""How well an emoji pipeline draws: noun recall on a fixed list of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from daam_bench.analysis.cases.measures import count_objects
from daam_bench.diffusion.generate import generate, usual_generation
from daam_bench.diffusion.pipelines import SHIPPED
from daam_bench.emoji import GUIDANCE_SCALE, STEPS
from daam_bench.emoji.annotator import Annotator, Finding
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
            return self.findings[0].drawn and count_objects(self.findings[0].mask) == self.expected
        return all(finding.drawn for finding in self.findings)


def draw_prompts(
    pipeline: Any, annotator: Annotator, *, steps: int = STEPS, guidance: float = GUIDANCE_SCALE
) -> list[Drawing]:
    """Draw the evaluation prompts (seed = place in the list) and judge each image."""
    prompts = evaluation_prompts()
    generation = usual_generation(pipeline, SHIPPED, steps=steps, guidance_scale=guidance)
    texts = [parsed.text for _, _, parsed in prompts]
    generated = generate(pipeline, texts, range(len(texts)), generation, batch_size=20)
    images = [one.image for one in generated]
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


def contact_sheet(drawings: Sequence[Drawing], path: Path, *, columns: int = 10, enlarge: int = 3) -> None:
    """Write all images with their prompts; nouns that were not drawn are named in red."""
    side = drawings[0].image.width * enlarge
    cell, caption_height = side + 8, 46
    rows = -(-len(drawings) // columns)
    sheet = Image.new("RGB", (columns * cell, rows * (side + caption_height)), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for index, drawing in enumerate(drawings):
        left, top = index % columns * cell + 4, index // columns * (side + caption_height)
        lines = [(text, "black") for text in _wrap(drawing.prompt, side, font)[:2]]
        missing = ", ".join(finding.noun for finding in drawing.findings if not finding.drawn)
        if missing:
            lines.append((f"missing: {missing}", "#b00020"))
        for above, (text, colour) in enumerate(reversed(lines), start=1):
            pen.text((left, top + caption_height - 2 - 14 * above), text, fill=colour, font=font)
        enlarged = drawing.image.resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(enlarged, (left, top + caption_height))
    sheet.save(path)


def _wrap(text: str, width: int, font: Any) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
