"""Submissions of the tiny dataset, made the way an outsider makes them, and ways to damage them."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from daam_bench.cli import main

SPLITS = ("coco_gen", "unreal_gen")
DESCRIBED = ["--author", "A. Person", "--licence", "CC-BY-4.0", "--description", "Says what it says."]
FLAGS = ["--truth", "none", "--no-supervised", "--open-vocabulary"]


def run_method(dataset: Path, output: Path, method: str = "tests.segmenters.methods:Gradient") -> Path:
    """Run a method over the dataset, and return the output folder."""
    options = ["--dataset", str(dataset), "--method", method, "--tau", "0.3,0.4"]
    assert main(["run", *options, "--output", str(output)]) == 0
    return output


def pack_run(dataset: Path, run: Path, output: Path, *options: str, name: str = "Gradient") -> int:
    """Pack a run, and return the exit code."""
    given = ["--name", name, *DESCRIBED, *FLAGS, "--dataset", str(dataset), "--output", str(output)]
    return main(["submit", "pack", str(run), *given, *options])


def members_of(archive: Path) -> dict[str, bytes]:
    """Return a zip file's members: name -> content."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_folder(folder: Path, members: Mapping[str, bytes]) -> Path:
    """Write the members as files of a folder."""
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def edited(content: bytes, line: int, edit: Callable[[dict], object]) -> bytes:
    """Return JSON lines with one of them, counted from 1, edited in place."""
    lines = content.splitlines(keepends=True)
    record = json.loads(lines[line - 1])
    edit(record)
    lines[line - 1] = (json.dumps(record) + "\n").encode()
    return b"".join(lines)
