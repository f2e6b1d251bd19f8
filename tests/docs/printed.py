"""The blocks of code of a page, and running them as they are printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daam_bench import cli, run

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SNIPPET = re.compile(r"^--8<-- \"(?P<path>[^\"]+)\"\n", re.MULTILINE)

_PROGRAMS: dict[tuple[str, ...], Callable[[list[str]], int]] = {
    ("daam-bench",): cli.main,
    ("python", "-m", "daam_bench.run"): run.main,
}


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the file it is said to be, why it isn't run, and its text."""

    language: str
    title: str | None
    reason: str | None
    code: str


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    return [
        Block(
            found["language"],
            found["title"],
            found["reason"],
            _SNIPPET.sub(lambda snippet: (ROOT / snippet["path"]).read_text(), found["code"]),
        )
        for found in _BLOCK.finditer(page.read_text())
    ]


def run_blocks(page: Path, capsys: Any) -> int:
    """Run a page's blocks in the current folder and return how many there were.

    Shell commands and Python are run in order, the Python of a page as one program. A block with a title is
    written as the file that it names.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    ran = 0
    for block in blocks(page):
        if block.reason is not None:
            continue
        if block.title is not None:
            Path(block.title).write_text(block.code)
        elif block.language == "sh":
            for command in block.code.replace("\\\n", " ").splitlines():
                run_command(command, capsys)
        elif block.language == "python":
            exec(compile(block.code, str(page), "exec"), names)
        else:
            continue
        ran += 1
    return ran


def run_command(command: str, capsys: Any) -> None:
    """Run a command of ours in this process, its output into a file where it says so.

    Raises:
        AssertionError: It is no command of ours, or it fails.
    """
    words, _, file = command.partition(" > ")
    arguments = shlex.split(words)
    for program, main in _PROGRAMS.items():
        if tuple(arguments[: len(program)]) == program:
            capsys.readouterr()
            code = main(arguments[len(program) :])
            printed = capsys.readouterr()
            assert code == 0, f"{command}\n{printed.out}{printed.err}"
            if file:
                Path(file.strip()).write_text(printed.out)
            return
    raise AssertionError(f"no command of ours; mark its block with <!-- not run: why -->: {command}")
