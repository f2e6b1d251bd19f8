"""Running a case study, and what it leaves behind: rows, table and figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from daam_bench.analysis.cases import CASES
from daam_bench.analysis.cases.case import Case, Table
from daam_bench.analysis.cases.look import World, look
from daam_bench.figures.style import save
from daam_bench.files.text_files import write_csv, write_text
from daam_bench.types import Environment
from daam_bench.types.errors import InputError


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
    world: World,
    folder: Path,
    *,
    seeds: int,
    tau: float = 0.4,
    batch_size: int = 16,
    progress: bool = True,
    settings: Mapping[str, Any],
    environment: Environment,
) -> Table:
    """Run a case study and write `NAME.csv`, `NAME.md`, `NAME.json` and the figure as PNG, SVG and PDF.

    Args:
        name: The case study.
        world: The model.
        folder: Where the files go; made if needed.
        seeds: Images a prompt.
        tau: Threshold in [0, 1] for masks of maps.
        batch_size: Images drawn at once.
        progress: Show a bar with the time left, on stderr.
        settings: What else the JSON file is to say of how it was made.
        environment: Versions and device.

    Returns:
        The table.

    Raises:
        InputError: No such case study, a setting out of range, or a model that can't be traced.
    """
    case = find_case(name)
    if seeds < 1 or batch_size < 1:
        raise InputError(f"seeds and batch size must be at least 1, not {min(seeds, batch_size)}")
    if not 0 <= tau <= 1:
        raise InputError(f"tau is a share of the heat map's maximum in [0, 1], not {tau}")
    pictures = look(world, case.ask(seeds), batch_size=batch_size, name=name, progress=progress)
    rows = case.measure(pictures, tau)
    table = case.summarize(rows)
    figure = case.draw(rows, pictures, tau)
    for suffix in ("png", "svg", "pdf"):
        save(figure, folder / f"{name}.{suffix}")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_csv(folder / f"{name}.csv", columns, [[row[column] for column in columns] for row in rows])
    record = {
        "analysis": name,
        **settings,
        "generation": asdict(world.generation),
        "judged": world.annotator is not None,
        "seeds": seeds,
        "tau": tau,
        "pictures": len(pictures),
        "table": asdict(table),
        "environment": asdict(environment),
    }
    write_text(folder / f"{name}.json", json.dumps(record, indent=2) + "\n")
    write_text(folder / f"{name}.md", f"# {case.title}\n\n{table.markdown()}\n")
    return table
