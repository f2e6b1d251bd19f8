"""Make the emoji world: `python -m tools.emoji train`, `evaluate`, `build`, ..."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daam_bench.console import Parser, run_command
from daam_bench.emoji import ANNOTATOR, GUIDANCE_SCALE, PIPELINE, STEPS
from daam_bench.types.errors import InputError
from tools.emoji import DEBIAN_FONT
from tools.emoji.check_commands import add_check_parsers
from tools.emoji.detector_commands import add_detector_parsers


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = Parser(prog="python -m tools.emoji", description="Make the emoji world.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    _add_train_judge(commands)
    _add_evaluate(commands)
    _add_build(commands)
    add_check_parsers(commands)
    add_detector_parsers(commands)
    arguments = parser.parse_args(argv)
    return run_command(arguments.handler, arguments)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train", help="train the emoji pipeline: tokenizer, autoencoder, then text encoder and denoiser"
    )
    parser.add_argument("--config", default="small", help="a TOML file or a shipped name (default: small)")
    parser.add_argument("--out", type=Path, default=Path("runs/emoji"), help="folder (default: runs/emoji)")
    _add_font(parser)
    parser.add_argument("--start", type=Path, help="a pipeline whose weights to start from")
    parser.add_argument("--samples", type=int, help="samples in all, instead of the configuration's")
    parser.add_argument("--minutes", type=float, help="stop the denoiser's training after this time")
    parser.add_argument("--processes", type=int, help="CPU processes (default: one a core)")
    parser.add_argument(
        "--mend-decoder", action="store_true", help="train only the decoder of --start's autoencoder"
    )
    parser.set_defaults(handler=_train)


def _train(arguments: argparse.Namespace) -> None:
    from tools.emoji.training import train_pipeline

    if arguments.mend_decoder and arguments.start is None:
        raise InputError("--mend-decoder needs --start PIPELINE, the pipeline whose decoder to train on")
    train_pipeline(
        config=arguments.config,
        out=arguments.out,
        font=arguments.font,
        start=arguments.start,
        samples=arguments.samples,
        minutes=arguments.minutes,
        processes=arguments.processes,
        mend_decoder=arguments.mend_decoder,
    )


def _add_train_judge(commands: Any) -> None:
    parser = commands.add_parser("train-annotator", help="train the segmenter that judges what is drawn")
    parser.add_argument("--out", type=Path, default=Path("runs/judge"), help="folder (default: runs/judge)")
    _add_font(parser)
    _add_pipeline(parser)
    parser.add_argument("--samples", type=int, default=100_000, help="scenes to train on (default: 100,000)")
    parser.add_argument("--start", type=Path, help="an annotator whose training to go on with")
    parser.set_defaults(handler=_train_judge)


def _train_judge(arguments: argparse.Namespace) -> None:
    from daam_bench.emoji.annotator import Annotator
    from tools.emoji.train_annotator import held_out_quality, train_annotator

    size = _image_size(arguments.pipeline)
    train_annotator(
        vae_folder=arguments.pipeline / "vae",
        font=arguments.font,
        image_size=size,
        out=arguments.out,
        samples=arguments.samples,
        start=arguments.start,
    )
    print(held_out_quality(Annotator(arguments.out), font=arguments.font, image_size=size))


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate", help="noun recall on a fixed list of prompts, with a contact sheet"
    )
    _add_pipeline(parser)
    _add_judge(parser)
    parser.add_argument(
        "--guidance", type=float, default=GUIDANCE_SCALE, help=f"guidance scale (default: {GUIDANCE_SCALE:g})"
    )
    parser.add_argument("--steps", type=int, default=STEPS, help=f"inference steps (default: {STEPS})")
    parser.add_argument("--output", type=Path, default=Path("results/emoji-evaluation"), help="folder")
    parser.set_defaults(handler=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from daam_bench.emoji.annotator import Annotator
    from tools.emoji.evaluate import contact_sheet, draw_prompts, summarize

    annotator = Annotator(arguments.annotator)
    pipeline = _load(arguments.pipeline)
    drawings = draw_prompts(pipeline, annotator, steps=arguments.steps, guidance=arguments.guidance)
    summary = summarize(drawings)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n")
    contact_sheet(drawings, arguments.output / "contact_sheet.png")
    print(f"{'prompts':<14}{'number':>8}{'noun recall':>14}{'complete':>11}")
    for kind, values in summary.items():
        print(f"{kind:<14}{values['prompts']:>8}{values['noun_recall']:>14.2f}{values['complete']:>11.2f}")
    print(f"contact sheet: {arguments.output / 'contact_sheet.png'}")


def _add_build(commands: Any) -> None:
    parser = commands.add_parser(
        "build", help="build the emoji dataset: draw the splits and propose their masks"
    )
    parser.add_argument("--out", type=Path, required=True, help="dataset folder")
    _add_font(parser)
    _add_pipeline(parser)
    _add_judge(parser)
    parser.add_argument("--size", type=int, default=150, help="examples a split (default: 150)")
    parser.add_argument("--seed", type=int, default=0, help="seed of prompts and scenes (default: 0)")
    parser.set_defaults(handler=_build)


def _build(arguments: argparse.Namespace) -> None:
    from daam_bench.emoji.annotator import Annotator
    from tools.emoji.dataset import build_dataset

    splits = build_dataset(
        arguments.out,
        pipeline=_load(arguments.pipeline),
        annotator=Annotator(arguments.annotator),
        font=arguments.font,
        size=arguments.size,
        seed=arguments.seed,
    )
    for name, examples in splits.items():
        masks = [mask for example in examples for mask in example.masks]
        drawn = sum(mask is not None for mask in masks)
        print(f"{name}: {len(examples)} examples, {drawn} of {len(masks)} nouns with a mask")


def _add_font(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--font", type=Path, default=DEBIAN_FONT, help=f"NotoColorEmoji.ttf (default: {DEBIAN_FONT})"
    )


def _add_pipeline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pipeline", type=Path, default=PIPELINE, help="pipeline folder (default: the shipped one)"
    )


def _add_judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--annotator", type=Path, default=ANNOTATOR, help="its folder (default: the shipped one)"
    )


def _image_size(pipeline: Path) -> int:
    return int(json.loads((pipeline / "vae" / "config.json").read_text())["sample_size"])


def _load(pipeline: Path) -> Any:
    import torch
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(pipeline, torch_dtype=torch.float32)
    loaded.set_progress_bar_config(desc="drawing", leave=False)
    return loaded


if __name__ == "__main__":
    sys.exit(main())
