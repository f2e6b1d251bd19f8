"""Train and evaluate the pipeline that tags captions: `python -m tools.tagger train`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import Parser, run_command
from daam_bench.prompts.tagger import SHIPPED
from tools.tagger.conllu import read_conllu

if TYPE_CHECKING:
    from tools.tagger.accuracy import Accuracy

_CONLLU = "CoNLL-U file, plain or .gz"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = Parser(prog="python -m tools.tagger", description="Make the shipped spaCy pipeline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    _add_evaluate(commands)
    arguments = parser.parse_args(argv)
    return run_command(arguments.handler, arguments)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train a spaCy pipeline on a treebank")
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help=f"{_CONLLU} to learn from")
    parser.add_argument("--dev", type=Path, required=True, metavar="FILE", help="one to choose the epoch by")
    parser.add_argument(
        "--test", type=Path, required=True, metavar="FILE", help="one to measure the result on"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the pipeline")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of it all (default: 0)")
    parser.add_argument("--epochs", type=_positive, default=20, metavar="N", help="(default: 20)")
    parser.set_defaults(handler=_train, when_interrupted="nothing was written; start it again")


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


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="measure a spaCy pipeline on a treebank's own tokens")
    parser.add_argument("file", type=Path, metavar="FILE", help=_CONLLU)
    parser.add_argument(
        "--pipeline", default=None, metavar="NAME", help="name or path of one (default: the shipped one)"
    )
    parser.set_defaults(handler=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from daam_bench.prompts.tagger import load_pipeline
    from tools.tagger.accuracy import evaluate

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
