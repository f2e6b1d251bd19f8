"""Train and evaluate the pipeline that tags captions: `python -m tools.tagger train`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daam_bench.console import Parser, run_command
from daam_bench.prompts.tagger import SHIPPED
from tools.tagger.treebank import read_conllu

if TYPE_CHECKING:
    from tools.tagger.tagging import Accuracy


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(build_parser, argv)


def build_parser() -> Parser:
    """Return the parser with both commands."""
    parser = Parser(prog="python -m tools.tagger", description="Make the shipped spaCy pipeline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    training = commands.add_parser("train", help="train a spaCy pipeline on a treebank")
    for name, text in {
        "train": "CoNLL-U file, plain or .gz, to learn from",
        "dev": "one to choose the epoch by",
        "test": "one to measure the result on",
        "out": "folder of the pipeline",
    }.items():
        training.add_argument(f"--{name}", type=Path, required=True, metavar="PATH", help=text)
    training.add_argument("--seed", type=int, default=0, metavar="N", help="seed of it all (default: 0)")
    training.add_argument("--epochs", type=_positive, default=20, metavar="N", help="(default: 20)")
    training.set_defaults(handler=_train, when_interrupted="nothing was written; start it again")
    measuring = commands.add_parser("evaluate", help="measure a spaCy pipeline on a treebank's own tokens")
    measuring.add_argument("file", type=Path, metavar="FILE", help="CoNLL-U file, plain or .gz")
    measuring.add_argument("--pipeline", metavar="NAME", help="name or path (default: the shipped one)")
    measuring.set_defaults(handler=_evaluate)
    return parser


def _train(arguments: argparse.Namespace) -> None:
    from daam_bench.prompts.tagger import require_spacy

    require_spacy()
    from tools.tagger.tagging import train

    trained = train(
        read_conllu(arguments.train),
        read_conllu(arguments.dev),
        read_conllu(arguments.test),
        arguments.out,
        seed=arguments.seed,
        epochs=arguments.epochs,
        on_epoch=lambda epoch, accuracy: _write(f"epoch {epoch}", accuracy),
    )
    _write(f"test, with epoch {trained.epoch}", trained.test)


def _evaluate(arguments: argparse.Namespace) -> None:
    from daam_bench.prompts.tagger import load_pipeline
    from tools.tagger.tagging import evaluate

    sentences = read_conllu(arguments.file)
    pipeline = load_pipeline(arguments.pipeline)
    _write(str(arguments.pipeline or SHIPPED.name), evaluate(pipeline, sentences))


def _write(title: str, accuracy: Accuracy) -> None:
    sys.stdout.write(
        f"{title}: UPOS {accuracy.upos:.2%}  lemma {accuracy.lemma:.2%}  "
        f"NOUN precision {accuracy.noun_precision:.2%}  recall {accuracy.noun_recall:.2%}  "
        f"number {accuracy.noun_number:.2%}  plural lemma {accuracy.plural_lemma:.2%}  "
        f"({accuracy.words:,} words)\n"
    )
    sys.stdout.flush()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a whole number of 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
