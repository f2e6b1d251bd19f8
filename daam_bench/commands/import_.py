"""`daam-bench import`: masks from annotation tools into a dataset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.commands import import_daam
from daam_bench.commands.problems import say_problems
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.types import Example


def add_parser(subparsers: Any) -> None:
    """Add `import`: masks from annotation tools into a dataset."""
    parser = subparsers.add_parser("import", help="bring masks from annotation tools into a dataset")
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="COCO JSON (CVAT, FiftyOne and others), Label Studio's JSON, or experiments of castorini/daam",
    )
    parser.add_argument("--into", metavar="DATASET", help="the dataset that was exported: a folder")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write the annotated dataset there (default: in its place)"
    )
    parser.add_argument("--by", required=True, metavar="NAME", help="who annotated")
    parser.add_argument("--how", metavar="TEXT", help="how (default: by hand, imported)")
    parser.add_argument("--split", metavar="NAME", help="the only split that the files are of")
    parser.add_argument(
        "--format",
        choices=("coco", "label-studio", import_daam.FORMAT),
        help="default: recognised from the content",
    )
    parser.add_argument(
        "--complete",
        action="store_true",
        help="COCO JSON: images without any annotation are annotated too, nothing was drawn "
        "(default: they are not annotated yet)",
    )
    import_daam.add_options(parser)
    parser.set_defaults(handler=import_masks)


def import_masks(arguments: argparse.Namespace) -> None:
    """Bring masks into a dataset; name every record that can't be used."""
    from daam_bench.annotate.found import put_in
    from daam_bench.annotate.import_masks import find_masks
    from daam_bench.datasets.describe import with_annotation
    from daam_bench.datasets.locate import SHIPPED
    from daam_bench.datasets.whole import load_whole
    from daam_bench.datasets.write import write_dataset
    from daam_bench.types import Annotation

    by, how = _line(arguments.by, "--by"), _line(arguments.how or "by hand, imported", "--how")
    annotation = Annotation(by, how, datetime.now(UTC).date().isoformat())
    if import_daam.is_daam(arguments):
        import_daam.import_experiments(arguments, annotation)
        return
    if arguments.into is None:
        raise InputError("name the dataset that was exported, which the masks go into, with --into")
    output = arguments.output or Path(arguments.into).expanduser()
    if arguments.output is None and (arguments.into == SHIPPED or not output.is_dir()):
        raise InputError(f"{arguments.into} can't be changed in its place; name a new folder with --output")
    whole = load_whole(arguments.into)
    findings = find_masks(
        arguments.files,
        _chosen(whole.splits, arguments.split),
        format=arguments.format,
        complete=arguments.complete,
    )
    say_problems(findings.problems)
    if not findings.found:
        raise InputError(
            f"none of the {len(findings.problems)} records above can be used; the dataset is as it was"
            if findings.problems
            else "nothing is annotated in there; the dataset is as it was"
        )
    splits = put_in(whole.splits, findings.found, annotation)
    try:
        write_dataset(output, splits, with_annotation(whole.card, splits))
    except OSError as error:
        raise InputError(f"can't write {output}: {error.strerror or error}; name another --output") from error
    masks = [mask for found in findings.found for mask in found.masks.values()]
    sys.stdout.write(
        f"{len(findings.found)} images: {sum(mask is not None for mask in masks)} masks, "
        f"{sum(mask is None for mask in masks)} nouns not drawn; {len(findings.problems)} problems\n"
        f"written to {output}\n"
    )


def _chosen(splits: Mapping[str, Sequence[Example]], name: str | None) -> Mapping[str, Sequence[Example]]:
    if name is None:
        return splits
    if name not in splits:
        raise InputError(f"no split {name!r} in the dataset; it holds {', '.join(splits)}")
    return {name: splits[name]}


def _line(text: str, option: str) -> str:
    line = " ".join(text.split())
    if not line or not line.isprintable():
        raise InputError(f"{option} must be a line of text, not {text!r:.60}")
    return line
