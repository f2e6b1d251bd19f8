"""`daam-bench leaderboard verify`: hosts run methods of entries on a dataset that was not public."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import say
from daam_bench.segmenters.registry import add_options, given_options
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daam_bench.leaderboard.entries import Entry
    from daam_bench.leaderboard.verification import Verification
    from daam_bench.types import Environment, Split


def add_verify(commands: Any) -> argparse.ArgumentParser:
    """Add `leaderboard verify` and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "verify", help="run entries' methods on a fresh dataset, and record their scores"
    )
    parser.add_argument("entry", nargs="+", metavar="ENTRY", help="name of an entry's folder")
    method = "the author's method, as installed here (default: the one of this package that the entry names)"
    parser.add_argument("--method", metavar="NAME|module:Class", help=method)
    dataset = "a dataset that was not public when the method was made"
    parser.add_argument("--dataset", required=True, type=Path, metavar="DIR", help=dataset)
    parser.add_argument("--by", default="a host of the leaderboard", help="who ran it")
    add_options(parser)
    parser.set_defaults(handler=verify)
    return parser


def verify(arguments: argparse.Namespace) -> None:
    """Run each entry's method on the fresh dataset, write its record and print both scores."""
    from daam_bench.datasets.load import load_split, split_names
    from daam_bench.files.folders import put_right
    from daam_bench.leaderboard.verification import check_fresh, verified_beside, write_verification
    from daam_bench.scoring.report import describe_environment

    environment = describe_environment()
    if environment.dirty:
        raise InputError(
            "this checkout has uncommitted changes, so that a record couldn't name the code that ran; "
            "commit them, or verify in a clean checkout"
        )
    if len(arguments.entry) > 1 and (arguments.method or given_options(arguments)):
        raise InputError("--method and its options are one entry's; give the entries one by one")
    entries = [_entry(name, arguments) for name in arguments.entry]
    dataset: Path = arguments.dataset.expanduser()
    put_right(dataset)
    if not dataset.is_dir():
        raise InputError(f"there is no folder {dataset}; give the folder of the fresh dataset with --dataset")
    splits = [load_split(dataset, name) for name in split_names(dataset)]
    for entry in entries:
        check_fresh(splits, entry.report)
    for entry in entries:
        verification = _verified(entry, splits, dataset.name, environment, arguments)
        path = write_verification(arguments.verified or verified_beside(arguments.entries), verification)
        sys.stdout.write("".join(f"{line}\n" for line in _lines(verification)))
        sys.stdout.write(f"{path}: commit it; it holds as long as the entry stays as it is\n")


def _entry(name: str, arguments: argparse.Namespace) -> Entry:
    from daam_bench.files.folders import put_right
    from daam_bench.leaderboard.entries import load_entry
    from daam_bench.leaderboard.names import is_slug

    folder: Path = arguments.entries / name
    put_right(folder)
    if not is_slug(name) or not folder.is_dir():
        raise InputError(f"no entry {name!r} in {arguments.entries}; give the name of its folder")
    return load_entry(folder, arguments.verified)


def _verified(
    entry: Entry,
    splits: Sequence[Split],
    dataset: str,
    environment: Environment,
    arguments: argparse.Namespace,
) -> Verification:
    """Run the method of an entry, and return the record of it."""
    import datetime

    from daam_bench.evaluation import evaluate
    from daam_bench.leaderboard.verification import (
        Verification,
        check_same_method,
        submitted_hash,
        verified_scores,
    )
    from daam_bench.segmenters.registry import OURS, make_segmenter

    submission = entry.submission
    method = arguments.method or submission.method
    if arguments.method is None and method not in OURS:
        raise InputError(
            f"the method {method!r:.80} of {entry.slug} is none of this package; install its authors' and "
            "name it with --method module:Class"
        )
    offers = {"default_model": splits[0].model or _model_of(entry)}
    segmenter = make_segmenter(method, given_options(arguments), offers)
    check_same_method(segmenter.name, submission)
    for name, (here, there) in _differences(segmenter.parameters, submission.parameters).items():
        said = f"{entry.slug} runs with {name} = {here}, the entry says {there}"
        if arguments.method is None:
            raise InputError(f"{said}; name the method that the entry was made with, with --method")
        say(f"note: {said}")
    taus = submission.taus
    scores = {split.name: evaluate(segmenter, split, tau=taus or 0.4, progress=True) for split in splits}
    return Verification(
        entry=entry.slug,
        sha256=submitted_hash(entry.folder),
        by=arguments.by,
        how=f"ran it on {sum(map(len, splits))} images that were not public",
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        method=method,
        parameters=dict(segmenter.parameters),
        dataset=dataset,
        fingerprint={split.name: split.fingerprint for split in splits},
        fresh=verified_scores(scores, taus),
        claimed=verified_scores(entry.report.splits, taus),
        version=environment.version,
        commit=environment.commit,
    )


def _model_of(entry: Entry) -> str | None:
    """Return the generator of the dataset that an entry was scored on; None where that isn't at hand."""
    from daam_bench.datasets.load import load_split
    from daam_bench.leaderboard import SPLITS

    try:
        return load_split(entry.report.dataset, SPLITS[0]).model
    except InputError:
        return None


def _differences(here: Any, there: Any) -> dict[str, tuple[str, str]]:
    """Return the parameters whose values differ as JSON: name -> both values."""
    import json

    def written(parameters: Any, name: str) -> str:
        return json.dumps(parameters[name], ensure_ascii=True) if name in parameters else "nothing"

    both = {name: (written(here, name), written(there, name)) for name in {**there, **here}}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def _lines(verification: Verification) -> list[str]:
    from daam_bench.scoring.tables import percent

    kinds = (("claimed", verification.claimed), ("fresh", verification.fresh))
    return [
        f"{kind:<8} {name:<11} tau {tau:<5} mIoU_80 {percent(found.miou_80):>5}  "
        f"mIoU_inf {percent(found.miou_inf):>5}"
        for kind, splits in kinds
        for name, by_tau in splits.items()
        for tau, found in by_tau.items()
    ]
