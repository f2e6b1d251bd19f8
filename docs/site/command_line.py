"""The command line reference, as Markdown, from the parsers themselves."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from html import escape

_WIDTH = "88"

_INTRODUCTION = """\
# Command line

Every command says the same with `--help`. Exit codes: 0 done; 2 bad arguments or bad input, with one line on
stderr that says what is wrong and how to fix it; 130 interrupted, with a line that says how to go on.
`python -m daam_bench.run` is `daam-bench run`.
"""


def command_line_page() -> str:
    """Return the page of `daam-bench` and all its sub-commands."""
    from daam_bench.cli import build_parser

    os.environ["COLUMNS"] = _WIDTH
    sections = [_section(parser, summary) for parser, summary in _commands(build_parser())]
    return "\n".join([_INTRODUCTION, *sections])


def _commands(
    parser: argparse.ArgumentParser, summary: str = ""
) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Yield the parsers that do something, each with its line in its parent's help, in that help's order."""
    subcommands = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subcommands:
        yield parser, summary
    for action in subcommands:
        summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, subparser in action.choices.items():
            yield from _commands(subparser, summaries.get(name, ""))


def _section(parser: argparse.ArgumentParser, summary: str) -> str:
    parts = [f"## {parser.prog}", _sentence(parser.description or summary)]
    usage = parser.format_usage().replace("\n" + " " * len("usage: "), "\n").removeprefix("usage: ").strip()
    parts.append(f"```text\n{usage}\n```")
    if rows := [_row(parser, action) for action in parser._actions if action.dest != "help"]:
        parts.append("\n".join(["| argument | meaning |", "|---|---|", *rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    invocation = formatter._format_action_invocation(action)
    meaning = " ".join(formatter._expand_help(action).split()) if action.help else ""
    return f"| `{invocation}` | {escape(meaning, quote=False).replace('|', '&#124;')} |"


def _sentence(text: str) -> str:
    text = " ".join(text.split()).removesuffix(".")
    return f"{escape(text[:1].upper() + text[1:], quote=False)}."
