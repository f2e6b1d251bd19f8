"""`daam-bench export` and `import`: datasets to annotation tools, and masks from them."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.commands.options import choose_splits
from daam_bench.console import names, say
from daam_bench.types.errors import InputError, full_dtype

if TYPE_CHECKING:
    from daam_bench.annotate.castorini_folders import UnstatedSettings
    from daam_bench.datasets.load import Whole
    from daam_bench.types import RLE, Annotation, Example

_COCO, _LABEL_STUDIO, _DAAM = "coco", "label-studio", "daam"
_MOST_PROBLEMS = 1000
_HOW_GENERATED = ("model", "scheduler", "steps", "guidance", "dtype")
"""Options that say how the images of experiments were generated, all or none of them."""


def add_parser(subparsers: Any) -> None:
    """Add `export` and `import`."""
    parser = subparsers.add_parser("export", help="write a dataset for annotation tools")
    parser.set_defaults(handler=export_dataset)
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="emoji, a folder, or a hub id")
    what = (
        "coco: COCO JSON and the images, for CVAT, FiftyOne and others; "
        "label-studio: tasks with the images in them, and the labeling interface"
    )
    add("--format", required=True, choices=(_COCO, _LABEL_STUDIO), help=what)
    splits = "coco_gen,unreal_gen"
    which = f"splits, separated by commas (default: {splits})"
    add("--split", type=names, default=names(splits), metavar="NAMES", help=which)
    add("--output", required=True, type=Path, metavar="DIR", help="the folder to write; it must be new")

    parser = subparsers.add_parser("import", help="bring masks from annotation tools into a dataset")
    parser.set_defaults(handler=import_masks)
    add = parser.add_argument
    files = (
        "COCO JSON (CVAT, FiftyOne and others), Label Studio's JSON, or a folder of experiments of "
        "castorini/daam"
    )
    add("files", nargs="+", type=Path, metavar="FILE", help=files)
    add("--into", metavar="DATASET", help="the dataset that was exported: a folder")
    where = "write the annotated dataset there (default: in its place)"
    add("--output", type=Path, metavar="DIR", help=where)
    add("--by", required=True, metavar="NAME", help="who annotated")
    add("--how", metavar="TEXT", help="how (default: by hand, imported)")
    add("--split", type=names, metavar="NAME", help="the only split that the files are of")
    formats = (_COCO, _LABEL_STUDIO, _DAAM)
    add("--format", choices=formats, help="default: recognised from the content")
    complete = (
        "COCO JSON: images without any annotation are annotated too, nothing is depicted "
        "(default: they are not annotated yet)"
    )
    add("--complete", action="store_true", help=complete)
    group = parser.add_argument_group(
        "experiment folders of castorini/daam",
        "A folder of them makes the split --split of a new dataset --output, or one more of the dataset "
        "--into. They don't record how the images were generated; daam generates them again only if you "
        "tell, with all of these:",
    )
    add = group.add_argument
    add("--model", metavar="PATH|HUB_ID", help="the pipeline that generated them")
    add("--revision", help="its revision on the hub")
    add("--scheduler", metavar="CLASS", help="the scheduler's class, such as PNDMScheduler")
    add("--steps", type=int, metavar="N", help="number of inference steps")
    add("--guidance", type=float, metavar="SCALE", help="guidance scale")
    add("--dtype", type=full_dtype, choices=("float32", "float16", "bfloat16"), help="what it computed in")


def export_dataset(arguments: argparse.Namespace) -> None:
    """Write a dataset for annotation tools, and say what was written."""
    from daam_bench.annotate.export_files import export_coco, export_label_studio
    from daam_bench.datasets.load import load_split

    splits = [load_split(arguments.dataset, name) for name in arguments.split]
    write = export_coco if arguments.format == _COCO else export_label_studio
    write(splits, arguments.output)
    for split in splits:
        annotated = sum(example.annotation is not None for example in split.examples)
        sys.stdout.write(f"{split.name}: {len(split)} images, {annotated} of them annotated\n")
    sys.stdout.write(f"written to {arguments.output}\n")


def import_masks(arguments: argparse.Namespace) -> None:
    """Bring masks into a dataset; name every record that can't be used."""
    from daam_bench.types import Annotation

    by, how = _line(arguments.by, "--by"), _line(arguments.how or "by hand, imported", "--how")
    annotation = Annotation(by, how, datetime.now(UTC).date().isoformat())
    if arguments.format == _DAAM or (arguments.format is None and any(map(Path.is_dir, arguments.files))):
        _import_experiments(arguments, annotation)
    else:
        _import_files(arguments, annotation)


def _import_files(arguments: argparse.Namespace, annotation: Annotation) -> None:
    """Bring the masks of files into the dataset that was exported."""
    from daam_bench.annotate.findings import put_in
    from daam_bench.annotate.import_files import find_masks
    from daam_bench.datasets.card import with_annotation
    from daam_bench.datasets.load import load_whole
    from daam_bench.datasets.write import write_dataset

    if arguments.into is None:
        raise InputError("name the dataset that was exported, which the masks go into, with --into")
    for option in (*_HOW_GENERATED, "revision"):
        if getattr(arguments, option) is not None:
            raise InputError(f"--{option} goes with a folder of experiments; these are files")
    output = _place(arguments)
    whole = load_whole(arguments.into)
    findings = find_masks(
        arguments.files,
        {name: whole.splits[name] for name in choose_splits(arguments.split, list(whole.splits))},
        format=arguments.format,
        complete=arguments.complete,
    )
    _say_problems(findings.problems)
    if not findings.found:
        raise InputError(
            f"none of the {len(findings.problems)} records above can be used; the dataset is as it was"
            if findings.problems
            else "nothing is annotated in there; the dataset is as it was"
        )
    splits = put_in(whole.splits, findings.found, annotation)
    write_dataset(output, splits, with_annotation(whole.card, splits))
    masks = [mask for found in findings.found.values() for mask in found.values()]
    sys.stdout.write(
        f"{len(findings.found)} images: {_count_masks(masks)} masks, "
        f"{len(masks) - _count_masks(masks)} nouns not depicted; {len(findings.problems)} problems\n"
        f"{_kinds(splits, findings.found)}\nwritten to {output}\n"
    )


def _kinds(
    splits: Mapping[str, Sequence[Example]], found: Mapping[tuple[str, str], Mapping[int, RLE | None]]
) -> str:
    """Say how many of the nouns found stayed as proposed, were edited, or had no proposal."""
    counts: Counter[str | None] = Counter()
    for split, examples in splits.items():
        for example in examples:
            kinds = example.annotation.masks if example.annotation is not None else None
            counts.update(kinds[noun] if kinds else None for noun in found.get((split, example.query.id), ()))
    total = counts.total()
    said = [
        f"{counts[kind] / total:.0%} {meaning}"
        for kind, meaning in (
            ("accepted", "accepted as proposed"),
            ("edited", "edited"),
            ("own", "without a proposal"),
            (None, "with masks before of which the dataset does not say how they came to be"),
        )
        if counts[kind]
    ]
    return f"of {total} nouns {', '.join(said)}"


def _import_experiments(arguments: argparse.Namespace, annotation: Annotation) -> None:
    """Make a split of a folder of experiments; name every experiment or word that can't be used."""
    from daam_bench.annotate.castorini_folders import import_daam_folders
    from daam_bench.datasets.card import with_annotation
    from daam_bench.datasets.write import write_dataset

    if arguments.complete:
        raise InputError("--complete goes with COCO JSON; these are folders of experiments")
    if len(arguments.files) != 1:
        raise InputError("give one folder of experiments; a split is made of one")
    if arguments.split is None:
        raise InputError("name the split that the experiments make: --split coco_gen, or --split unreal_gen")
    split = ",".join(arguments.split)
    if not re.fullmatch(r"[A-Za-z0-9_]+", split):
        raise InputError(f"{split!r} is no name for a split; name it coco_gen or unreal_gen")
    settings = _unstated_settings(arguments)
    whole, output = _target(arguments, split)
    found = import_daam_folders(arguments.files[0], annotation, settings)
    _say_problems(found.bad)
    if not found.examples:
        raise InputError(
            f"no experiment in {arguments.files[0]} can be used: {len(found.bad)} with problems, "
            f"{found.unmarked} without a <word>.gt.png"
        )
    splits = {name: split.examples for name, split in whole.splits.items()}
    splits[split] = found.examples
    write_dataset(output, splits, with_annotation(whole.card, splits))
    sys.stdout.write(
        f"{len(found.examples)} images: "
        f"{_count_masks(mask for example in found.examples for mask in example.masks)} masks; "
        f"{len(found.bad)} problems; {found.unmarked} experiments without masks left out\n"
        "100% of the nouns without a proposal\n"
        f"written to {output} as {split}\n"
    )


def _unstated_settings(arguments: argparse.Namespace) -> UnstatedSettings | None:
    from daam_bench.annotate.castorini_folders import UnstatedSettings
    from daam_bench.types import Generation

    given = {name: getattr(arguments, name) for name in _HOW_GENERATED}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if len(missing) == len(given) and arguments.revision is None:
        return None
    if missing:
        raise InputError(f"to record how the images were generated, give {', '.join(missing)} too")
    if arguments.steps < 1:
        raise InputError(f"--steps must be at least 1, not {arguments.steps}")
    scale = given.pop("guidance")
    return UnstatedSettings(Generation, revision=arguments.revision, guidance_scale=scale, **given)


def _target(arguments: argparse.Namespace, split: str) -> tuple[Whole, Path]:
    """Return the dataset that the split joins (one without splits if it is new), and where it goes."""
    from daam_bench.datasets.card import render_card
    from daam_bench.datasets.load import Whole, load_whole
    from daam_bench.datasets.write import require_new

    output: Path | None = arguments.output
    if arguments.into is not None:
        whole = load_whole(arguments.into)
        if split in whole.splits:
            raise InputError(f"{arguments.into} has a split {split} already; name another --split")
        return whole, _place(arguments)
    if output is None:
        raise InputError("say where the dataset goes: --output for a new one, --into to add to one")
    require_new(output, "name a new folder, or add to the dataset with --into")
    return Whole({}, render_card("castorini", licence="other", name=output.absolute().name)), output


def _place(arguments: argparse.Namespace) -> Path:
    """Return where the dataset --into goes with what is brought in: its own folder, or a new one."""
    from daam_bench.datasets.write import own_folder, require_new

    output: Path | None = arguments.output
    if output is None or output.resolve() == Path(arguments.into).expanduser().resolve():
        return own_folder(arguments.into)
    require_new(output, "import into it with --into, or name a new folder")
    return output


def _count_masks(masks: Iterable[RLE | None]) -> int:
    return sum(mask is not None for mask in masks)


def _line(text: str, option: str) -> str:
    line = " ".join(text.split())
    if not line or not line.isprintable():
        raise InputError(f"{option} must be a line of text, not {text!r:.60}")
    return line


def _say_problems(problems: Sequence[str]) -> None:
    """Print a line for each record that was left out, to stderr; the first thousand of them."""
    for problem in problems[:_MOST_PROBLEMS]:
        say(" ".join(problem.split()))
    if len(problems) > _MOST_PROBLEMS:
        say(f"and {len(problems) - _MOST_PROBLEMS} more")
