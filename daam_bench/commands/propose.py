"""`daam-bench propose`: a method's masks as a first annotation, for people to check."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import say
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.types import Example


def add_parser(subparsers: Any) -> None:
    """Add `propose`: a method's masks as a first annotation, for people to check."""
    parser = subparsers.add_parser("propose", help="fill a dataset's masks with a method's, as proposals")
    parser.add_argument("dataset", metavar="DATASET", help="a folder, a hub id, or emoji")
    parser.add_argument(
        "--method", required=True, metavar="NAME|module:Class", help="`daam-bench methods` lists them"
    )
    parser.add_argument(
        "--tau",
        type=float,
        default=0.4,
        metavar="T",
        help="threshold in [0, 1] for heat maps, relative to each map's maximum (default: 0.4)",
    )
    parser.add_argument("--split", metavar="NAME,...", help="splits to fill (default: all)")
    parser.add_argument(
        "--output", type=Path, metavar="NEWDIR", help="write the result there (default: into DATASET itself)"
    )
    parser.add_argument(
        "--all", action="store_true", dest="every", help="also replace the masks of annotated images"
    )
    parser.add_argument(
        "--batch-size", type=int, default=16, metavar="N", help="images handed to the method at once"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    parser.add_argument("--dtype", help="float32, float16 or bfloat16 (default: the recorded one)")
    parser.add_argument("--model", metavar="PATH|HUB_ID", help="pipeline that the method looks into")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of a method that throws dice")
    parser.add_argument(
        "--restart", action="store_true", help="begin again instead of going on with an earlier run"
    )
    parser.set_defaults(
        handler=propose_masks,
        when_interrupted="the dataset is as it was; the same command resumes where it stopped",
    )


def propose_masks(arguments: argparse.Namespace) -> None:
    """Fill the masks of a dataset's unannotated images and write the dataset."""
    from daam_bench.annotate.propose import propose, to_propose
    from daam_bench.datasets.describe import with_annotation
    from daam_bench.datasets.whole import load_whole
    from daam_bench.datasets.write import write_dataset
    from daam_bench.segmenters.registry import find_method, make_segmenter

    find_method(arguments.method)
    output = _output(arguments.dataset, arguments.output)
    splits, card = load_whole(arguments.dataset)
    chosen = {
        name: found
        for name in _names(arguments.split, list(splits))
        if (found := to_propose(splits[name], every=arguments.every))
    }
    if not chosen:
        raise InputError(
            f"every image of {arguments.dataset} is annotated already; add --all to replace its masks"
        )
    _warn_of_people(chosen, output, in_place=arguments.output is None)
    given = {name: getattr(arguments, name) for name in ("device", "dtype", "model", "seed")}
    segmenter = make_segmenter(
        arguments.method,
        {name: value for name, value in given.items() if value is not None},
        {"default_model": next(iter(splits.values())).model, "batch_size": arguments.batch_size},
    )
    work = output.with_name(f"{output.name}-proposals")
    examples: dict[str, Sequence[Example]] = {name: split.examples for name, split in splits.items()}
    for name in chosen:
        examples[name] = propose(
            segmenter,
            splits[name],
            work / name,
            tau=arguments.tau,
            every=arguments.every,
            batch_size=arguments.batch_size,
            restart=arguments.restart,
        ).examples
    try:
        write_dataset(output, examples, with_annotation(card, examples))
        shutil.rmtree(work)
    except OSError as error:
        raise InputError(f"can't write {output}: {error.strerror or error}; name another --output") from error
    count = sum(map(len, chosen.values()))
    sys.stdout.write(f"{output}/: proposals of {segmenter.name} for {count} images ({', '.join(chosen)})\n")


def _output(dataset: str, output: Path | None) -> Path:
    """Return where the result goes, checked before any work is done."""
    from daam_bench.datasets.locate import SHIPPED

    own = Path(dataset).expanduser()
    if output is None:
        if dataset == SHIPPED or not own.is_dir():
            raise InputError(f"{dataset} is no folder of yours; name a new one with --output")
        return own.resolve()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is there already; name a new folder with --output")
    return output.absolute()


def _names(given: str | None, known: Sequence[str]) -> list[str]:
    if given is None:
        return list(known)
    names = list(dict.fromkeys(name.strip() for name in given.split(",")))
    for name in names:
        if name not in known:
            raise InputError(f"no split {name!r} in the dataset; it holds {', '.join(known)}")
    return names


def _warn_of_people(chosen: dict[str, tuple[Example, ...]], output: Path, *, in_place: bool) -> None:
    """Say when masks would go that are no mere proposals, and refuse where no copy of them would be left."""
    from daam_bench.annotate.propose import count_checked

    count = sum(count_checked(examples) for examples in chosen.values())
    if not count:
        return
    if in_place:
        raise InputError(
            f"{count} images of {output} have masks that are no mere proposals and would be lost; "
            "write to a new folder with --output"
        )
    say(f"note: the masks of {count} images, which are no mere proposals, are replaced in {output}")
