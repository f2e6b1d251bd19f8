"""`daam-bench propose` and `agreement`: a method's masks to start from, and how far two annotations agree."""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.commands.options import choose_splits
from daam_bench.console import add_engine, engine_of, names, say, say_shard_done, taking_part
from daam_bench.segmenters.registry import add_offload
from daam_bench.types.errors import InputError, full_dtype

if TYPE_CHECKING:
    from daam_bench.annotate.agreement import Agreement, NounAgreement
    from daam_bench.figures.agreement_sheet import Disagreement
    from daam_bench.types import Example, Split

_WORST = 16
_LEMMAS = 10


def add_parser(subparsers: Any) -> None:
    """Add `propose` and `agreement`."""
    parser = subparsers.add_parser("propose", help="fill a dataset's masks with a method's, as proposals")
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="a folder, a hub id, or emoji")
    add("--method", required=True, metavar="NAME|module:Class", help="`daam-bench methods` lists them")
    threshold = "threshold in [0, 1] for heat maps, relative to each map's maximum (default: 0.4)"
    add("--tau", type=float, default=0.4, metavar="T", help=threshold)
    add("--split", type=names, metavar="NAME,...", help="splits to fill (default: all)")
    add("--output", type=Path, metavar="NEWDIR", help="write the result there (default: into DATASET itself)")
    add("--all", action="store_true", dest="every", help="also replace the masks of annotated images")
    add("--batch-size", type=int, default=16, metavar="N", help="images handed to the method at once")
    add("--device", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    add("--dtype", type=full_dtype, help="float32, float16 or bfloat16 (default: the recorded one)")
    add("--model", metavar="PATH|HUB_ID", help="pipeline that the method looks into")
    add_offload(parser)
    add("--seed", type=int, metavar="N", help="seed of a method that is random")
    add_engine(parser)
    add("--restart", action="store_true", help="start over instead of resuming an earlier run")
    parser.set_defaults(
        handler=propose_masks,
        when_interrupted="the dataset is as it was; the same command resumes where it stopped",
    )

    parser = subparsers.add_parser("agreement", help="compare two annotations of the same dataset")
    parser.set_defaults(handler=compare_annotations)
    add = parser.add_argument
    for name in ("a", "b"):
        add(name, metavar=name.upper(), help="a dataset: a folder, a hub id, or emoji")
    add("--split", type=names, metavar="NAME,...", help="splits to compare (default: all that both have)")
    add("--output", type=Path, metavar="DIR", help="write agreement.json, nouns.csv and worst.png there")
    add("--merge", type=Path, metavar="NEWDIR", help="write a dataset with the two annotations merged there")
    prefer = "with --merge: whose word counts where the two are too different to merge"
    add("--prefer", choices=("a", "b"), help=prefer)


def propose_masks(arguments: argparse.Namespace) -> None:
    """Fill the masks of a dataset's unannotated images and write the dataset."""
    from daam_bench.annotate.propose import propose, to_propose
    from daam_bench.datasets.card import with_annotation
    from daam_bench.datasets.load import load_whole
    from daam_bench.datasets.write import own_folder, require_new, write_dataset
    from daam_bench.engine import Local
    from daam_bench.files import DRIFT, HEAT_MAPS, PREDICTIONS
    from daam_bench.files.locks import LOCK
    from daam_bench.segmenters.method_worker import MethodWorker
    from daam_bench.segmenters.registry import find_method
    from daam_bench.types.errors import check_batch_size

    find_method(arguments.method)
    check_batch_size(arguments.batch_size)
    in_place = arguments.output is None
    if in_place:
        output = own_folder(arguments.dataset).resolve()
    else:
        output = arguments.output.absolute()
        require_new(arguments.output, "name a new folder with --output")
    splits, card = load_whole(arguments.dataset)
    chosen = {
        name: found
        for name in choose_splits(arguments.split, list(splits))
        if (found := to_propose(splits[name], every=arguments.every))
    }
    work = output.with_name(f"{output.name}-proposals")
    if not chosen:
        files = {path.name for path in work.rglob("*") if path.is_file()}
        if in_place and files <= {PREDICTIONS, HEAT_MAPS, DRIFT, LOCK}:
            # Of a run that was stopped when it had written its result.
            shutil.rmtree(work, ignore_errors=True)
        raise InputError(
            f"every image of {arguments.dataset} is annotated already; add --all to replace its masks"
        )
    _warn_of_people(chosen, output, in_place=in_place)
    given = {name: getattr(arguments, name) for name in ("device", "dtype", "model", "seed", "offload")}
    make = partial(
        MethodWorker.make,
        arguments.method,
        {name: value for name, value in given.items() if value is not None},
        {"default_model": next(iter(splits.values())).model, "batch_size": arguments.batch_size},
    )
    engine = engine_of(arguments, arguments.device, arguments.method) or Local()
    examples: dict[str, Sequence[Example]] = {name: split.examples for name, split in splits.items()}
    taken = taking_part(arguments.shard, work, arguments.batch_size, restart=arguments.restart)
    with taken as part:
        with engine.start(make) as pool:
            for name in chosen:
                examples[name] = propose(
                    pool,
                    splits[name],
                    part.folder(work) / name,
                    tau=arguments.tau,
                    every=arguments.every,
                    batch_size=arguments.batch_size,
                    restart=arguments.restart,
                    part=part,
                )
        if not part.is_whole:
            say_shard_done(arguments.shard, work)
            return
        count = sum(map(len, chosen.values()))
        if in_place:
            examples, card, kept = _as_it_is_now(arguments.dataset, splits, examples)
            count -= kept
        else:
            require_new(arguments.output, "name a new folder with --output")
        write_dataset(output, examples, with_annotation(card, examples))
        is_done = part.finish()
    try:
        if is_done:
            shutil.rmtree(work)
    except OSError as error:
        raise InputError(f"can't remove {work}: {error.strerror or error}; remove it yourself") from error
    sys.stdout.write(
        f"{output}/: proposals of {part.about['method']} for {count} images ({', '.join(chosen)})\n"
    )


def _as_it_is_now(
    dataset: str, before: Mapping[str, Split], made: Mapping[str, Sequence[Example]]
) -> tuple[dict[str, Sequence[Example]], str, int]:
    """Load a dataset again, for it may have been annotated meanwhile.

    Returns:
        Its examples, with the proposals `made` for those that are as they were before; its card; and how many
        of those with proposals are not.
    """
    from daam_bench.datasets.load import load_whole

    now, card = load_whole(dataset)
    known = {
        (name, old.id): (old, new)
        for name, split in before.items()
        for old, new in zip(split.examples, made[name], strict=True)
    }
    kept = 0

    def newest(name: str, one: Example) -> Example:
        nonlocal kept
        old, new = known.get((name, one.id), (one, one))
        if (old.query.nouns, old.masks, old.annotation) == (one.query.nouns, one.masks, one.annotation):
            return new
        kept += new is not old
        return one

    examples = {name: [newest(name, one) for one in split.examples] for name, split in now.items()}
    if kept:
        say(f"note: {kept} images of {dataset} were annotated meanwhile and stay as they are")
    return dict(examples), card, kept


def _warn_of_people(chosen: dict[str, tuple[Example, ...]], output: Path, *, in_place: bool) -> None:
    """Say when masks would go that are no mere proposals, and refuse where no copy of them would be left."""
    annotations = [example.annotation for examples in chosen.values() for example in examples]
    count = sum(found is not None and not found.is_proposal for found in annotations)
    if not count:
        return
    if in_place:
        raise InputError(
            f"{count} images of {output} have masks that are no mere proposals and would be lost; "
            "write to a new folder with --output"
        )
    say(f"note: the masks of {count} images, which are no mere proposals, are replaced in {output}")


def compare_annotations(arguments: argparse.Namespace) -> None:
    """Compare two annotations, print how far they agree, and write the nouns that they agree on least."""
    from daam_bench.annotate.agreement import agreement, compare_nouns

    if arguments.prefer is not None and arguments.merge is None:
        raise InputError("--prefer says how to merge; give --merge NEWDIR too")
    pairs = _load(arguments)
    nouns = {name: compare_nouns(a, b) for name, (a, b) in pairs.items()}
    summaries = {name: agreement(found) for name, found in nouns.items()}
    sys.stdout.write(
        f"A: {arguments.a}\nB: {arguments.b}\n"
        "IoU in percent over the nouns with a mask in both, with 95 % bootstrap intervals over images\n"
    )
    for name, summary in summaries.items():
        sys.stdout.write(f"\n{_table(name, summary)}\n")
    if arguments.output is not None:
        files = _write(arguments, pairs, nouns, summaries)
        sys.stdout.write(f"\n{arguments.output}/: {', '.join(files)}\n")
    if arguments.merge is not None:
        _merge(arguments, pairs, nouns)


def _merge(
    arguments: argparse.Namespace,
    pairs: Mapping[str, tuple[Split, Split]],
    nouns: Mapping[str, Sequence[NounAgreement]],
) -> None:
    """Write the first dataset with the merged masks."""
    from daam_bench.annotate.merging import merge_annotations
    from daam_bench.datasets.card import with_annotation
    from daam_bench.datasets.load import load_whole
    from daam_bench.datasets.write import require_new, write_dataset

    require_new(arguments.merge, "name a new folder with --merge")
    splits, card = load_whole(arguments.a)
    examples: dict[str, Sequence[Example]] = {name: split.examples for name, split in splits.items()}
    for name, (a, b) in pairs.items():
        examples[name] = merge_annotations(a, b, nouns[name], arguments.prefer)
    write_dataset(arguments.merge, examples, with_annotation(card, examples))
    images = sum(len({noun.id for noun in found}) for found in nouns.values())
    sys.stdout.write(f"\n{arguments.merge}/: the merged masks of {images} images\n")


def _load(arguments: argparse.Namespace) -> dict[str, tuple[Split, Split]]:
    from daam_bench.datasets.load import load_split, locate, split_names

    a, b = (split_names(locate(dataset)) for dataset in (arguments.a, arguments.b))
    shared = [name for name in a if name in b]
    wanted = arguments.split or shared
    for name in wanted:
        if name not in shared:
            raise InputError(f"no split {name!r} in both: A holds {', '.join(a)}; B holds {', '.join(b)}")
    if not wanted:
        raise InputError(f"no split in common: A holds {', '.join(a)}; B holds {', '.join(b)}")
    return {name: (load_split(arguments.a, name), load_split(arguments.b, name)) for name in wanted}


def _table(name: str, summary: Agreement) -> str:
    from daam_bench.scoring.tables import percent, percent_with_interval

    kappa = "-" if summary.kappa is None else f"{summary.kappa:.2f}"
    lines = [
        f"{name}  {summary.images} images, {summary.nouns} nouns",
        f"  mIoU      {percent_with_interval(summary.miou, summary.ci95)} over {summary.both} nouns",
        f"  depicted  {percent(summary.depicted)} agree, Cohen's kappa {kappa}; both {summary.both}, "
        f"only A {summary.only_a}, only B {summary.only_b}, neither {summary.neither}",
    ]
    lowest = list(summary.per_lemma.items())
    lines += [f"  {percent(found.miou):>5}  {lemma} ({found.pairs})" for lemma, found in lowest[:_LEMMAS]]
    if len(lowest) > _LEMMAS:
        lines.append(f"         and {len(lowest) - _LEMMAS} nouns above these")
    return "\n".join(lines)


def _write(
    arguments: argparse.Namespace,
    pairs: Mapping[str, tuple[Split, Split]],
    nouns: Mapping[str, Sequence[NounAgreement]],
    summaries: Mapping[str, Agreement],
) -> list[str]:
    """Write the files and return their names; without any mask there is no sheet."""
    from daam_bench.annotate.agreement import NounAgreement
    from daam_bench.figures.agreement_sheet import agreement_sheet
    from daam_bench.figures.panels import DOTS
    from daam_bench.figures.style import save
    from daam_bench.files.replacing import write_text

    output: Path = arguments.output
    record = {
        "a": arguments.a,
        "b": arguments.b,
        "fingerprint": {name: [a.fingerprint, b.fingerprint] for name, (a, b) in pairs.items()},
        "splits": {name: asdict(summary) for name, summary in summaries.items()},
    }
    write_text(output / "agreement.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["split", *(field.name for field in fields(NounAgreement))])
    writer.writerows([name, *astuple(noun)] for name, found in nouns.items() for noun in found)
    write_text(output / "nouns.csv", table.getvalue())
    worst = [found for name, (a, b) in pairs.items() for found in _worst(a, b, nouns[name], len(pairs))]
    if not worst:
        return ["agreement.json", "nouns.csv"]
    sheet = agreement_sheet(worst, title="Least agreement", names=("A", "B"))
    save(sheet, output / "worst.png", dpi=DOTS)
    return ["agreement.json", "nouns.csv", "worst.png"]


def _worst(a: Split, b: Split, nouns: Sequence[NounAgreement], splits: int) -> list[Disagreement]:
    from daam_bench.figures.agreement_sheet import Disagreement, choose_worst

    ours, theirs = ({example.query.id: example for example in split.examples} for split in (a, b))
    compared = [
        Disagreement(
            example=ours[found.id],
            noun=found.noun,
            iou=found.iou,
            a=ours[found.id].masks[found.noun] if found.depicted_a else None,
            b=theirs[found.id].masks[found.noun] if found.depicted_b else None,
        )
        for found in nouns
    ]
    return choose_worst(compared, max(4, _WORST // splits))
