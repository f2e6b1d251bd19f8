"""Running a case study: generate its prompts, annotate the images, and write rows, table and figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from daam_bench.analysis.cases import CASES
from daam_bench.analysis.cases.case import Case, CaseImage, CasePrompt
from daam_bench.analysis.cases.estimates import CaseTable
from daam_bench.analysis.report_files import save_all_formats, write_json_report
from daam_bench.analysis.tracing import generate_traced
from daam_bench.diffusion.generate import batches
from daam_bench.files.text_files import write_csv, write_text
from daam_bench.types import BoolMask, Environment, Generation
from daam_bench.types.checks import check_batch_size, check_tau
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.emoji.annotator import Annotator


@dataclass(frozen=True, slots=True)
class StudiedModel:
    """A model to study.

    Attributes:
        pipeline: The loaded pipeline.
        generation: How it generates.
        annotator: What finds nouns in its images; None for a model that comes without one.
    """

    pipeline: Any
    generation: Generation
    annotator: Annotator | None


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
    model: StudiedModel,
    folder: Path,
    *,
    seeds: int,
    tau: float = 0.4,
    batch_size: int = 16,
    progress: bool = True,
    settings: Mapping[str, Any],
    environment: Environment,
) -> CaseTable:
    """Run a case study and write `NAME.csv`, `NAME.md`, `NAME.json` and the figure as PNG, SVG and PDF.

    Args:
        name: The case study.
        model: The model.
        folder: Where the files go; made if needed.
        seeds: Images a prompt.
        tau: Threshold in [0, 1] for masks of maps.
        batch_size: Images generated at once.
        progress: Show a bar with the time left, on stderr.
        settings: What else the JSON file is to say of how it was made.
        environment: Versions and device.

    Returns:
        The table.

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
            images += _generate(model, batch)
            bar.update(len(batch))
    rows = case.measure(images, tau)
    table = case.summarize(rows)
    save_all_formats(case.figure(rows, images, tau), folder, name)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_csv(folder / f"{name}.csv", columns, [[row[column] for column in columns] for row in rows])
    report = {
        "analysis": name,
        **settings,
        "generation": asdict(model.generation),
        "judged": model.annotator is not None,
        "seeds": seeds,
        "tau": tau,
        "pictures": len(images),
        "table": asdict(table),
        "environment": asdict(environment),
    }
    write_json_report(folder / f"{name}.json", report)
    write_text(folder / f"{name}.md", f"# {case.title}\n\n{table.markdown()}\n")
    return table


def _generate(model: StudiedModel, prompts: Sequence[CasePrompt]) -> list[CaseImage]:
    """Generate prompts, traced, and annotate the images."""
    texts, seeds = [prompt.text for prompt in prompts], [prompt.seed for prompt in prompts]
    traced = generate_traced(model.pipeline, texts, seeds, model.generation)
    masks: list[dict[str, BoolMask | None]] | list[None] = [None] * len(prompts)
    if model.annotator is not None:
        found = model.annotator.find([one.image for one in traced], [prompt.nouns for prompt in prompts])
        masks = [{one.noun: one.mask if one.depicted else None for one in findings} for findings in found]
    return [
        CaseImage(prompt, one.image, one.maps, of_nouns)
        for prompt, one, of_nouns in zip(prompts, traced, masks, strict=True)
    ]
