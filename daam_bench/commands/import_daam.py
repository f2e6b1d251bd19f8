"""`daam-bench import --format daam`: experiment folders of castorini/daam to a split."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daam_bench.commands.problems import say_problems
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.annotate.experiment import DrawnWith
    from daam_bench.datasets.whole import Whole
    from daam_bench.types import Annotation

FORMAT = "daam"
_SETTINGS = ("model", "scheduler", "steps", "guidance", "dtype")
_ENDINGS = (".tar.gz", ".tgz")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that only experiment folders take."""
    group = parser.add_argument_group(
        "experiment folders of castorini/daam",
        "A folder of them, or a .tar.gz, makes the split --split of a new dataset --output, or one more of "
        "the dataset --into. They don't record how the images were drawn; daam draws them again only if you "
        "do, with all of these:",
    )
    group.add_argument("--model", metavar="PATH|HUB_ID", help="the pipeline that generated them")
    group.add_argument("--revision", help="its revision on the hub")
    group.add_argument("--scheduler", metavar="CLASS", help="the scheduler's class, such as PNDMScheduler")
    group.add_argument("--steps", type=int, metavar="N", help="number of inference steps")
    group.add_argument("--guidance", type=float, metavar="SCALE", help="guidance scale")
    group.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), help="what it computed in")


def is_daam(arguments: argparse.Namespace) -> bool:
    """Tell whether the arguments name experiment folders: by --format, or else by what the files are."""
    if arguments.format is not None:
        return bool(arguments.format == FORMAT)
    return any(file.is_dir() or file.name.endswith(_ENDINGS) for file in arguments.files)


def import_experiments(arguments: argparse.Namespace, annotation: Annotation) -> None:
    """Make a split of experiment folders; name every experiment or word that can't be used."""
    from daam_bench.annotate.daam_folders import import_daam_folders
    from daam_bench.datasets.describe import with_annotation
    from daam_bench.datasets.write import write_dataset

    if len(arguments.files) != 1:
        raise InputError("give one folder of experiments, or one .tar.gz of it; a split is made of one")
    if arguments.split is None:
        raise InputError("name the split that the experiments make: --split coco_gen, or --split unreal_gen")
    if not re.fullmatch(r"[A-Za-z0-9_]+", arguments.split):
        raise InputError(f"{arguments.split!r} is no name for a split; name it coco_gen or unreal_gen")
    drawn_with = _drawn_with(arguments)
    whole, output = _target(arguments)
    found = import_daam_folders(arguments.files[0], annotation, drawn_with)
    say_problems(found.bad)
    if not found.examples:
        raise InputError(
            f"no experiment in {arguments.files[0]} can be used: {len(found.bad)} with problems, "
            f"{found.unmarked} without a <word>.gt.png"
        )
    splits = {name: split.examples for name, split in whole.splits.items()}
    splits[arguments.split] = found.examples
    try:
        write_dataset(output, splits, with_annotation(whole.card, splits))
    except OSError as error:
        raise InputError(f"can't write {output}: {error.strerror or error}; name another --output") from error
    masks = [mask for example in found.examples for mask in example.masks]
    sys.stdout.write(
        f"{len(found.examples)} images: {sum(mask is not None for mask in masks)} masks; "
        f"{len(found.bad)} problems; {found.unmarked} experiments without masks left out\n"
        f"written to {output} as {arguments.split}\n"
    )


def _drawn_with(arguments: argparse.Namespace) -> DrawnWith | None:
    from daam_bench.annotate.experiment import DrawnWith

    given = {name: getattr(arguments, name) for name in _SETTINGS}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if len(missing) == len(given) and arguments.revision is None:
        return None
    if missing:
        raise InputError(f"to record how the images were drawn, give {', '.join(missing)} too")
    if arguments.steps < 1:
        raise InputError(f"--steps must be at least 1, not {arguments.steps}")
    return DrawnWith(
        model=arguments.model,
        revision=arguments.revision,
        scheduler=arguments.scheduler,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
        dtype=arguments.dtype,
    )


def _target(arguments: argparse.Namespace) -> tuple[Whole, Path]:
    """Return the dataset that the split joins (one without splits if it is new), and where it goes."""
    from daam_bench.annotate.daam_card import daam_card
    from daam_bench.datasets.locate import SHIPPED
    from daam_bench.datasets.whole import Whole, load_whole

    output: Path | None = arguments.output
    if arguments.into is not None:
        whole = load_whole(arguments.into)
        if arguments.split in whole.splits:
            raise InputError(f"{arguments.into} has a split {arguments.split} already; name another --split")
        if output is None and arguments.into == SHIPPED:
            raise InputError(f"{SHIPPED} can't be changed in its place; name a new folder with --output")
        return whole, output or Path(arguments.into).expanduser()
    if output is None:
        raise InputError("say where the dataset goes: --output for a new one, --into to add to one")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is there already; name a new folder, or add to the dataset with --into")
    return Whole({}, daam_card(output.absolute().name)), output
