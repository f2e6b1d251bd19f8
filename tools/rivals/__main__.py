"""The methods on the generator, side by side: `python -m tools.rivals choose`, `figure`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from daam_bench.console import Parser, names, run_command
from daam_bench.types.errors import InputError
from tools.marked_parts import fill_parts
from tools.method_lists import ON_UNETS

RESUMES = "what was done is kept; the same command resumes where it stopped"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(build_parser, argv)


def build_parser() -> Parser:
    """Return the parser with its two commands."""
    parser = Parser(prog="python -m tools.rivals", description="The methods on the generator, side by side.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    texts = {
        "choose": "score values of tau and of their options on the split dev",
        "figure": "show the same images under all of them",
    }
    added = {name: commands.add_parser(name, help=text) for name, text in texts.items()}
    for command in added.values():
        add = command.add_argument
        add("--dataset", default="emoji", metavar="emoji|PATH|HUB_ID", help="(default: emoji)")
        add("--methods", type=names, metavar="NAME,...", help="only these")
        add("--device", default="auto", help="(default: auto)")
    add = added["choose"].add_argument
    add("--limit", type=int, metavar="N", help="only the first N images")
    add("--page", type=Path, metavar="FILE", help="a page of the docs to put the table into")
    default = Path("results") / "choices"
    add("--output", type=Path, default=default, metavar="DIR", help=f"(default: {default})")
    model = "the pipeline that is looked into (default: the dataset's generator)"
    add("--model", metavar="PATH|HUB_ID", help=model)
    added["choose"].set_defaults(handler=_choose, when_interrupted=RESUMES)
    added["figure"].add_argument("--split", default="coco_gen", help="(default: coco_gen)")
    added["figure"].add_argument("--images", type=int, default=5, metavar="N", help="(default: 5)")
    figure = Path("docs/images/methods.png")
    added["figure"].add_argument("--output", type=Path, default=figure, metavar="FILE", help=f"({figure})")
    added["figure"].set_defaults(handler=_figure)
    return parser


def _choose(arguments: argparse.Namespace) -> None:
    from tools.rivals.choices import choose, to_markdown

    rows = choose(
        arguments.methods,
        arguments.output,
        dataset=arguments.dataset,
        model=arguments.model,
        limit=arguments.limit,
        device=arguments.device,
    )
    table = to_markdown(rows, arguments.dataset, arguments.model)
    sys.stdout.write(f"{table}\n")
    page = arguments.page
    if page is not None and "choices" not in fill_parts(page, {"choices": lambda: table}):
        raise InputError(
            f"{page} has no place for the table: write <!-- part: choices --> and <!-- end --> where it "
            "should stand, each on a line of its own"
        )


def _figure(arguments: argparse.Namespace) -> None:
    from tools.rivals.methods_figure import draw_methods

    draw_methods(
        arguments.methods or ON_UNETS,
        arguments.output,
        dataset=arguments.dataset,
        split=arguments.split,
        images=arguments.images,
        device=arguments.device,
    )


if __name__ == "__main__":
    sys.exit(main())
