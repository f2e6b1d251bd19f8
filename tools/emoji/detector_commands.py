"""`python -m tools.emoji train-detector` and `evaluate-detector`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from daam_bench.emoji import PIPELINE
from tools.emoji import DEBIAN_FONT
from tools.emoji.detectors import NAMES


def add_detector_parsers(commands: Any) -> None:
    """Add `train-detector` and `evaluate-detector` to the commands of `python -m tools.emoji`."""
    _add_train(commands)
    _add_evaluate(commands)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train-detector", help="train a detector; goes on where it was interrupted")
    _add_detector(parser)
    parser.add_argument("--out", type=Path, help="folder of the training (default: runs/detectors/NAME)")
    parser.add_argument("--steps", type=int, help="steps in all, instead of the config's")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and images (default: 0)")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="WEIGHTS",
        help="the model.safetensors of another detector, whose backbone and neck to start from",
    )
    parser.add_argument(
        "--pipeline",
        type=Path,
        default=PIPELINE,
        help="pipeline through whose autoencoder some images go (default: the shipped one)",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    _add_font(parser)
    parser.set_defaults(handler=_train, when_interrupted="the same command goes on from the last checkpoint")


def _train(arguments: argparse.Namespace) -> None:
    from daam_bench.segmenters.threads import computing_with
    from tools.emoji.detectors.train import train_detector

    with computing_with(arguments.threads):
        train_detector(
            folder=_folder(arguments.name),
            out=arguments.out or Path("runs/detectors") / arguments.name,
            font=arguments.font,
            vae_folder=arguments.pipeline / "vae",
            steps=arguments.steps,
            seed=arguments.seed,
            start=arguments.start,
        )


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate-detector", help="mIoU and mask AP on scenes, mIoU on a dataset")
    _add_detector(parser)
    parser.add_argument("--checkpoint", type=Path, help="weights (default: the shipped ones)")
    parser.add_argument("--scenes", type=int, default=300, help="fresh scenes of each kind (default: 300)")
    parser.add_argument("--dataset", default="emoji", help="dataset (default: emoji)")
    parser.add_argument("--output", type=Path, help="a JSON file to write the figures to")
    _add_font(parser)
    parser.set_defaults(handler=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from daam_bench.segmenters.threads import computing_with
    from tools.emoji.detectors.report import evaluate_detector, table

    with computing_with():
        figures = evaluate_detector(
            _folder(arguments.name),
            weights=arguments.checkpoint,
            font=arguments.font,
            scenes=arguments.scenes,
            dataset=arguments.dataset,
        )
    print(table(figures))
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n")


def _add_detector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", choices=NAMES, required=True, help="which detector")


def _add_font(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--font", type=Path, default=DEBIAN_FONT, help=f"NotoColorEmoji.ttf (default: {DEBIAN_FONT})"
    )


def _folder(name: str) -> Path:
    from daam_bench.segmenters.mmdet.sources import shipped_config

    return shipped_config(name).parent
