"""Running a case study: generate its prompts, annotate the images, and write rows, table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from daam_bench.analysis.cases import CASES
from daam_bench.analysis.cases.case import Case, CaseImage, CasePrompt
from daam_bench.analysis.cases.estimates import CaseTable
from daam_bench.analysis.report_files import save_all_formats, write_json_report
from daam_bench.analysis.tracing import Traced, generate_traced
from daam_bench.diffusion.generate import batches
from daam_bench.files.replacing import write_csv, write_text
from daam_bench.types import BoolMask, Environment, Generation
from daam_bench.types.errors import InputError, check_batch_size, check_tau

if TYPE_CHECKING:
    from daam_bench.emoji.annotator import Annotator


def find_case(name: str) -> Case:
    """Return a case study by its name.

    Raises:
        InputError: There is none of that name.
    """
    if name not in CASES:
        raise InputError(f"there is no case study {name!r}; choose one of {', '.join(CASES)}")
    case: Case = import_module(f"daam_bench.analysis.cases.{name}").CASE
    return case


def study(
    name: str,
    pipeline: Any,
    generation: Generation,
    folder: Path,
    *,
    annotator: Annotator | None,
    seeds: int,
    tau: float = 0.4,
    batch_size: int = 16,
    progress: bool = True,
    environment: Environment,
) -> CaseTable:
    """Run a case study and write `NAME.csv`, `NAME.md`, `NAME.json` and the figure as PNG, SVG and PDF.

    There are `seeds` images a prompt; `tau` in [0, 1] is the threshold for masks of maps. `annotator` finds
    nouns in the images; it is None for a model that comes without one.

    Raises:
        InputError: No such case study, a setting out of range, or a model that can't be traced.
    """
    case = find_case(name)
    if seeds < 1:
        raise InputError(f"the number of seeds must be at least 1, not {seeds}")
    check_batch_size(batch_size)
    check_tau(tau)
    images: list[CaseImage] = []
    prompts = case.prompts(seeds)
    with tqdm(total=len(prompts), desc=name, unit="image", disable=not progress) as bar:
        for batch in batches(prompts, batch_size):
            traced = generate_traced(
                pipeline, [prompt.text for prompt in batch], [prompt.seed for prompt in batch], generation
            )
            masks = _masks(annotator, batch, traced)
            images += [
                CaseImage(prompt, one.image, one.maps, of_nouns)
                for prompt, one, of_nouns in zip(batch, traced, masks, strict=True)
            ]
            bar.update(len(batch))
    rows = case.measure(images, tau)
    table = case.summarize(rows)
    save_all_formats(case.figure(rows, images, tau), folder, name)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_csv(folder / f"{name}.csv", columns, [[row[column] for column in columns] for row in rows])
    report = {
        "analysis": name,
        "model": generation.model,
        "generation": asdict(generation),
        "annotated": annotator is not None,
        "seeds": seeds,
        "tau": tau,
        "images": len(images),
        "table": asdict(table),
        "environment": asdict(environment),
    }
    write_json_report(folder / f"{name}.json", report)
    write_text(folder / f"{name}.md", f"# {case.title}\n\n{table.markdown()}\n")
    return table


def _masks(
    annotator: Annotator | None, prompts: Sequence[CasePrompt], traced: Sequence[Traced]
) -> Sequence[dict[str, BoolMask | None] | None]:
    """Return the annotator's masks of each image's nouns; None for all images without an annotator."""
    if annotator is None:
        return [None] * len(prompts)
    found = annotator.find([one.image for one in traced], [prompt.nouns for prompt in prompts])
    return [{one.noun: one.mask if one.depicted else None for one in findings} for findings in found]
