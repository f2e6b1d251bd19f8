"""`daam-bench agreement`: how far two annotations of the same dataset agree."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.annotate.agreement import Agreement, NounAgreement
    from daam_bench.figures.agreement_sheet import Disagreement
    from daam_bench.types import Split

_WORST = 16
_LEMMAS = 10


def add_parser(subparsers: Any) -> None:
    """Add `agreement`: how far two annotations of the same dataset agree."""
    parser = subparsers.add_parser("agreement", help="compare two annotations of the same dataset")
    for name in ("a", "b"):
        parser.add_argument(name, metavar=name.upper(), help="a dataset: a folder, a hub id, or emoji")
    parser.add_argument("--split", metavar="NAME,...", help="splits to compare (default: all that both have)")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write agreement.json, nouns.csv and worst.png there"
    )
    parser.set_defaults(handler=compare_annotations)


def compare_annotations(arguments: argparse.Namespace) -> None:
    """Compare two annotations, print how far they agree, and write the worst."""
    from daam_bench.annotate.agreement import agreement, compare_nouns

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
        try:
            files = _write(arguments, pairs, nouns, summaries)
        except OSError as error:
            raise InputError(
                f"can't write to {arguments.output}: {error.strerror or error}; name another --output"
            ) from error
        sys.stdout.write(f"\n{arguments.output}/: {', '.join(files)}\n")


def _load(arguments: argparse.Namespace) -> dict[str, tuple[Split, Split]]:
    from daam_bench.datasets.load import load_split, split_names
    from daam_bench.datasets.locate import locate

    a, b = (split_names(locate(dataset)) for dataset in (arguments.a, arguments.b))
    shared = [name for name in a if name in b]
    wanted = shared if arguments.split is None else [name.strip() for name in arguments.split.split(",")]
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
        f"  mIoU   {percent_with_interval(summary.miou, summary.ci95)} over {summary.both} nouns",
        f"  drawn  {percent(summary.drawn)} agree, Cohen's kappa {kappa}; both {summary.both}, "
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
    """Write the files and return their names; without any mask there is nothing to draw."""
    from daam_bench.figures.agreement_sheet import agreement_sheet
    from daam_bench.figures.sheet import DOTS
    from daam_bench.figures.style import save

    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    record = {
        "a": arguments.a,
        "b": arguments.b,
        "fingerprint": {name: [a.fingerprint, b.fingerprint] for name, (a, b) in pairs.items()},
        "splits": {name: asdict(summary) for name, summary in summaries.items()},
    }
    (output / "agreement.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    _write_nouns(output / "nouns.csv", nouns)
    worst = _worst(pairs, nouns)
    if not worst:
        return ["agreement.json", "nouns.csv"]
    sheet = agreement_sheet(worst, title="Least agreement", names=("A", "B"))
    save(sheet, output / "worst.png", dpi=DOTS)
    return ["agreement.json", "nouns.csv", "worst.png"]


def _write_nouns(path: Path, nouns: Mapping[str, Sequence[NounAgreement]]) -> None:
    from daam_bench.annotate.agreement import NounAgreement

    columns = [field.name for field in fields(NounAgreement)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", *columns])
        for name, found in nouns.items():
            writer.writerows([name, *(getattr(noun, column) for column in columns)] for noun in found)


def _worst(
    pairs: Mapping[str, tuple[Split, Split]], nouns: Mapping[str, Sequence[NounAgreement]]
) -> list[Disagreement]:
    from daam_bench.figures.agreement_sheet import Disagreement, choose_worst

    worst = []
    for name, (a, b) in pairs.items():
        mine, theirs = ({example.query.id: example for example in split.examples} for split in (a, b))
        found = []
        for noun in nouns[name]:
            one, other = mine[noun.id], theirs[noun.id]
            first = one.masks[noun.noun] if noun.drawn_a else None
            second = other.masks[noun.noun] if noun.drawn_b else None
            found.append(Disagreement(one, noun.noun, noun.iou, first, second))
        worst += choose_worst(found, max(4, _WORST // len(pairs)))
    return worst
