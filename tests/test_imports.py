"""The rooms of the package: imports point one way, and in no circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]

LINES = (
    {"types"},
    {"files"},
    {"prompts", "diffusion", "emoji", "engine"},
    {"attribution", "datasets"},
    {"segmenters", "scoring"},
    {"figures"},
    {"annotate", "analysis", "leaderboard"},
    {"console", "job", "several_methods", "run", "evaluation", "commands", "cli", "__main__"},
)
"""The rooms in the order of the design: each imports only what stands on lines before it."""

STATED = {("types", "figures"), ("diffusion", "emoji")}
"""Exceptions: `HeatMap` displays itself with figures when asked to; the shipped model is loaded by name."""


def modules() -> dict[str, Path]:
    """Return every module of the package and of tools by its dotted name."""
    found = {}
    for top in ("daam_bench", "tools"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """Yield the modules of ours that a file names in imports, with the line; also under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in inner]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name in known)


def room(module: str) -> str | None:
    """Return the room of a module of the package; None for the package itself and for tools."""
    parts = module.split(".")
    return parts[1] if parts[0] == "daam_bench" and len(parts) > 1 else None


def test_every_room_has_its_place_in_the_order():
    rooms = {name for module in modules() if (name := room(module))}
    assert rooms <= set().union(*LINES)


def test_imports_point_one_way():
    known = modules()
    place = {name: index for index, line in enumerate(LINES) for name in line}
    wrong = []
    for module, path in known.items():
        for target, line in imports(path, known):
            here, there = room(module), room(target)
            if module.startswith("daam_bench") and target.startswith("tools"):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports tools, which users do not have")
            if here is None or there is None or here == there or (here, there) in STATED:
                continue
            if place[there] >= place[here] and place[here] < len(LINES) - 1:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {here} imports {there}")
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle():
    known = modules()
    graph = {}
    for module, path in known.items():
        targets = {target for target, _ in imports(path, known)}
        # The package itself is a lazy facade: it imports a module when a name of it is asked for.
        targets -= {module, "daam_bench"}
        graph[module] = {target for target in targets if (room(module), room(target)) not in STATED}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_no_class_and_no_file_has_the_name_of_another():
    classes: dict[str, list[str]] = {}
    files: dict[str, list[str]] = {}
    for module, path in modules().items():
        if path.name not in ("__init__.py", "__main__.py"):
            files.setdefault(path.name, []).append(module)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes.setdefault(node.name, []).append(module)
    twice = {name: places for name, places in (classes | files).items() if len(places) > 1}
    assert not twice
