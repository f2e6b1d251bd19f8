"""Make the emoji world: `python -m tools.emoji train`, `evaluate`, `build`, ..."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from daam_bench.console import Parser, run_command
from daam_bench.datasets.load import SHIPPED
from daam_bench.emoji import ANNOTATOR, PIPELINE, SIBLINGS
from tools.emoji import DEBIAN_FONT
from tools.emoji.detectors import NAMES

REQUIRED = object()
"""Stands for the default of an option that must be given."""


@dataclass(frozen=True, slots=True)
class ToolCommand:
    """A command: its function, "module:name" in this package, what `--help` says, its options' defaults.

    Options are passed on as keyword arguments; `explained` replaces what `OPTIONS` says of some. `names` are
    what a `--name` may be. If it `resumes`, the same command resumes it.
    """

    function: str
    text: str
    options: Mapping[str, Any]
    arguments: Sequence[str] = ()
    explained: Mapping[str, str] = field(default_factory=dict)
    epilog: str = ""
    names: Sequence[str] = NAMES
    resumes: bool = False


OPTIONS: dict[str, tuple[Callable[[str], Any] | None, str]] = {
    "annotator": (Path, "its folder"),
    "answers": (Path, "JSON lines"),
    "blind": (None, "without outlines and with other regions, for an annotation from nothing"),
    "by": (str, "who or what looked"),
    "checks": (Path, "JSON lines"),
    "checkpoint": (Path, "weights, instead of the shipped ones"),
    "config": (str, "a TOML file or a shipped name"),
    "count": (int, "examples in all"),
    "dataset": (str, "a folder, a hub id, or emoji"),
    "font": (Path, "NotoColorEmoji.ttf"),
    "guidance": (float, "guidance scale"),
    "ids": (lambda text: text.split(","), "only these examples: ID,..."),
    "images": (int, "images a prompt; the more, the narrower the intervals"),
    "limit": (int, "only the first N examples of each split"),
    "minutes": (float, "stop the denoiser's training after this time"),
    "name": (str, f"which detector: {', '.join(NAMES)}"),
    "out": (Path, "folder of the result"),
    "output": (Path, "folder of the result"),
    "pipeline": (Path, "its folder"),
    "processes": (int, "CPU processes of one thread, by default one a core"),
    "samples": (int, "samples in all, instead of the configuration's"),
    "scenes": (int, "new scenes of each kind"),
    "seed": (int, "seed of everything random"),
    "size": (int, "examples a split"),
    "split": (lambda text: text.split(","), "splits to show: NAME,..."),
    "start": (Path, "a pipeline whose weights to start from"),
    "start-vae": (Path, "a pipeline whose autoencoder and tokenizer alone to take"),
    "steps": (int, "inference steps"),
    "threads": (int, "CPU threads"),
}
"""Option -> the type of its value (None for a flag), and what it means."""

_GENERATORS = (SHIPPED, *SIBLINGS)
_ITS_FOLDER = "its folder (default: where the package looks for it)"
_METAVARS: dict[Any, str] = {Path: "PATH", int: "N", float: "NUMBER"}
_SEED = {"seed": "seed of everything random, instead of the configuration's"}
_SHARED = {"font": DEBIAN_FONT, "processes": None}
_WORLD = {"font": DEBIAN_FONT, "pipeline": PIPELINE}
_WEIGHTS = {"start": None, "samples": None, "minutes": None, "seed": None}

COMMANDS = {
    "train": ToolCommand(
        "unet:train_pipeline",
        "train the emoji pipeline: tokenizer, autoencoder, then text encoder and denoiser",
        {"config": "small", "out": Path("runs/emoji"), "start-vae": None, **_WEIGHTS, **_SHARED},
        explained=_SEED,
        epilog="A second generator of the same world, with the same autoencoder (emoji-seed2): "
        "python -m tools.emoji train --seed 1 --start-vae daam_bench/emoji/pipeline --out runs/emoji-seed2",
        resumes=True,
    ),
    "train-sd3": ToolCommand(
        "sd3:train_sd3",
        "train the emoji diffusion transformer, on the latents of the emoji pipeline's autoencoder",
        {"config": "sd3", "out": Path("runs/sd3"), "start-vae": PIPELINE, **_WEIGHTS, **_SHARED},
        explained=_SEED
        | {"start-vae": "pipeline whose autoencoder and tokenizer to take; its text encoder is the start"},
        resumes=True,
    ),
    "train-decoder": ToolCommand(
        "autoencoder:train_decoder",
        "train only the decoder of a pipeline's autoencoder",
        {"config": "small", "out": Path("runs/decoder"), "start": REQUIRED, **_SHARED},
        explained={"start": "the pipeline"},
        resumes=True,
    ),
    "train-annotator": ToolCommand(
        "train_annotator:train_and_measure",
        "train the segmenter that finds the nouns in images",
        {"out": Path("runs/annotator"), "samples": 100_000, "start": None, **_WORLD},
        explained={"samples": "scenes to train on", "start": "an annotator whose weights to start from"},
    ),
    "train-detector": ToolCommand(
        "detectors.learning:train_detector",
        "train a detector",
        {"name": REQUIRED, "out": None, "steps": None, "seed": 0, "start": None, "threads": 1, **_WORLD},
        explained={
            "out": "folder of the training (default: runs/detectors/NAME)",
            "steps": "steps in all, instead of the config's",
            "start": "the model.safetensors of another detector, whose backbone and neck to start from",
            "pipeline": "pipeline through whose autoencoder some images go",
        },
        resumes=True,
    ),
    "evaluate": ToolCommand(
        "evaluate:evaluate_pipeline",
        "noun recall on a fixed list of prompts, with a contact sheet",
        {
            "name": SHIPPED,
            "pipeline": None,
            "annotator": ANNOTATOR,
            "guidance": None,
            "steps": None,
            "images": 1,
            "output": Path("results/emoji-evaluation"),
        },
        explained={
            "name": f"which generator: {', '.join(_GENERATORS)}",
            "pipeline": _ITS_FOLDER,
            "guidance": "guidance scale (default: its own)",
            "steps": "inference steps (default: its own)",
        },
        names=_GENERATORS,
    ),
    "evaluate-detector": ToolCommand(
        "detectors.quality:evaluate_named_detector",
        "mIoU and mask AP on scenes, mIoU on a dataset",
        {
            "name": REQUIRED,
            "checkpoint": None,
            "scenes": 300,
            "dataset": "emoji",
            "output": None,
            "font": DEBIAN_FONT,
        },
        explained={"output": "a JSON file to write the figures to"},
    ),
    "build": ToolCommand(
        "dataset:build_dataset",
        "build the emoji dataset: generate the splits and propose their masks",
        {"out": REQUIRED, "annotator": ANNOTATOR, "size": 150, "scenes": 1000, "seed": 0, **_WORLD},
        explained={"size": "examples of each generated split", "scenes": "composited scenes"},
    ),
    "scenes": ToolCommand(
        "dataset:fresh_scenes",
        "compose scenes with exact masks from a seed of your own: a dataset that nobody has seen",
        {"seed": REQUIRED, "count": 1000, "output": REQUIRED, "font": DEBIAN_FONT},
        explained={"seed": "a large random number; whoever knows it can make the same scenes"},
    ),
    "sibling": ToolCommand(
        "siblings:build_sibling",
        "build the dataset of a sibling generator: the same prompts, masks proposed",
        {"name": REQUIRED, "pipeline": None, "annotator": ANNOTATOR, "limit": None, "output": REQUIRED},
        explained={
            "name": f"which generator: {', '.join(SIBLINGS)}",
            "pipeline": _ITS_FOLDER,
            "output": "folder of the dataset, such as annotations/NAME",
        },
        names=SIBLINGS,
    ),
    "sheets": ToolCommand(
        "checking.sheets:write_sheets",
        "show each image enlarged, with outlines and numbered regions, to check its masks on",
        {"split": ["coco_gen", "unreal_gen"], "ids": None, "blind": False, "output": REQUIRED},
        ["dataset"],
    ),
    "answers": ToolCommand(
        "checking.decisions:record_answers",
        "make a file of checks from answers to the sheets, JSON lines as in docs/emoji.md",
        {"by": REQUIRED, "blind": False, "output": REQUIRED},
        ["dataset", "answers"],
        explained={"blind": "the sheets were made with --blind", "output": "file of checks"},
    ),
    "check": ToolCommand(
        "checking.decisions:apply_to_dataset",
        "give a dataset the masks that its checks decided on",
        {"output": REQUIRED},
        ["dataset", "checks"],
        explained={"output": "folder of the new dataset"},
    ),
}


_NO_OPTIONS = ("handler", "when_interrupted")
"""What the parsed arguments hold besides a command's options."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(build_parser, argv)


def build_parser() -> Parser:
    """Return the parser with all commands."""
    parser = Parser(prog="python -m tools.emoji", description="Make the emoji world.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        resumes = ". The same command resumes an interrupted training." if command.resumes else "."
        description = f"{command.text[0].upper()}{command.text[1:]}{resumes}"
        sub_parser = commands.add_parser(
            name, help=command.text, description=description, epilog=command.epilog
        )
        _add_options(sub_parser, command)
    parser.set_defaults(handler=_call)
    return parser


def _add_options(parser: argparse.ArgumentParser, command: ToolCommand) -> None:
    for name in command.arguments:
        kind, text = OPTIONS[name]
        nargs = "+" if name == "checks" else None
        parser.add_argument(name, type=kind or str, nargs=nargs, metavar=name.upper(), help=text)
    for name, default in command.options.items():
        kind, text = OPTIONS[name]
        text = command.explained.get(name, text)
        if kind is None:
            parser.add_argument(f"--{name}", action="store_true", help=text)
            continue
        given: dict[str, Any] = {"required": True} if default is REQUIRED else {"default": default}
        if default not in (None, REQUIRED):
            text += f" (default: {','.join(default) if isinstance(default, list) else default})"
        metavar = {"metavar": _METAVARS.get(kind, name.upper())}
        given |= {"choices": command.names} if name == "name" else metavar
        parser.add_argument(f"--{name}", type=kind, help=text, **given)
    if command.resumes:
        parser.set_defaults(when_interrupted="the same command resumes from the last checkpoint")


def _call(arguments: argparse.Namespace) -> None:
    values = {name: value for name, value in vars(arguments).items() if name not in _NO_OPTIONS}
    module, function = COMMANDS[values.pop("command")].function.split(":")
    getattr(import_module(f"tools.emoji.{module}"), function)(**values)


if __name__ == "__main__":
    sys.exit(main())
