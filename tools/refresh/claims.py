"""The claims that the paper makes of Stable Diffusion's images, beside what a dataset's runs say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daam_bench.analysis.table import LABELS, Results
from daam_bench.scoring.caps import CAP
from daam_bench.scoring.compare import compare
from daam_bench.scoring.conventions import usual_tau
from daam_bench.scoring.results import HARD, SplitScores
from daam_bench.scoring.tables import markdown_table, percent
from tools.refresh.recording import SUPERVISED, Recorded


def claims(found: Recorded) -> str:
    """Return the paper's claims beside what the shipped dataset says of each, with intervals."""
    lines = [*_supervised_claim(found), *_tau_claim(found), *_random_claim(found), *_unreal_claim(found)]
    return "\n".join(lines)


def _difference(a: SplitScores, b: SplitScores, tau_a: str, tau_b: str, *, only_80: bool) -> str:
    found = compare(a, b, tau_a, tau_b)
    gain = found.miou_80 if only_80 else found.miou_inf
    if gain is None:
        return "-"
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def _supervised_claim(found: Recorded) -> Iterator[str]:
    results = found.results
    there = [name for name, report in found.reports.items() if report.track == SUPERVISED]
    if "daam" not in results or not there:
        return
    yield "*Supervised methods are ahead on mIoU_80 and behind on mIoU_inf.* Paired differences to DAAM-0.4:"
    yield ""
    head = [
        "",
        *(f"{split} {metric}" for split in found.splits for metric in ("mIoU_80", "mIoU_inf")),
    ]
    rows = [
        [
            LABELS[name],
            *(
                _difference(
                    results[name][split], results["daam"][split], HARD, usual_tau(results["daam"][split]),
                    only_80=only_80,
                )
                if split in results[name] and split in results["daam"]
                else "-"
                for split in found.splits
                for only_80 in (True, False)
            ),
        ]
        for name in there
    ]  # fmt: skip
    yield markdown_table(head, rows)
    yield ""
    caps = next((row for row in found.table if row.label == LABELS[CAP]), None)
    if caps is not None:
        values = zip(found.splits, caps.values[1::2], strict=True)
        most = ", ".join(f"{percent(value)} on `{split}`" for split, (value, _) in values)
        yield (
            "Behind on mIoU_inf is arithmetic: a detector that knows COCO's classes and nothing else reaches "
            f"at most {most}, were its masks the ground truth."
        )
        yield ""


def _tau_claim(found: Recorded) -> Iterator[str]:
    report = found.reports.get("daam")
    if report is None:
        return
    said = []
    for split, taus in report.splits.items():
        scores = next(iter(taus.values()))
        curve = scores.miou_over_tau or {}
        if scores.oracle_tau is not None:
            best = curve[format(scores.oracle_tau, "g")].miou_inf
            by_tau = ", ".join(f"{percent(found.miou_inf)} at {tau}" for tau, found in taus.items())
            said.append(
                f"on `{split}` {by_tau}; its curve is highest at {scores.oracle_tau:g} ({percent(best)})"
            )
    yield f"*DAAM is best at tau 0.4 and not too sensitive to it.* mIoU_inf {'; '.join(said)}."
    yield ""


def _random_claim(found: Recorded) -> Iterator[str]:
    results = found.results
    if "random" not in results:
        return
    random = results["random"]
    below = {
        split: [LABELS.get(name, name) for name, one in results.items() if _miou(one, split) < level]
        for split in random
        if (level := _miou(random, split))
    }
    worse = "; ".join(f"`{split}`: {', '.join(names)}" for split, names in below.items() if names)
    said = f"Below random halves are {worse}." if worse else "Yes, on every split."
    yield f"*Random masks are worst.* {said}"
    yield ""


def _miou(results: Results, split: str) -> float:
    """Return a method's mIoU_inf on a split; 1 where it was not run there."""
    if split not in results:
        return 1.0
    return results[split][usual_tau(results[split])].miou_inf or 0.0


def _unreal_claim(found: Recorded) -> Iterator[str]:
    rows = [
        [LABELS.get(name, name), *(_gain(report.splits, key) for key in ("miou_80", "miou_inf"))]
        for name, report in found.reports.items()
        if (name == "daam" or report.track == SUPERVISED) and {"coco_gen", "unreal_gen"} <= set(report.splits)
    ]
    if rows:
        yield (
            "*On unreal prompts DAAM holds or gains, and the supervised fall.* `unreal_gen` minus "
            "`coco_gen`, which are other images:"
        )
        yield ""
        yield markdown_table(["", "mIoU_80", "mIoU_inf"], rows)


def _gain(splits: Mapping[str, Mapping[str, Any]], key: str) -> str:
    values = [getattr(taus[usual_tau(taus)], key) for taus in (splits["unreal_gen"], splits["coco_gen"])]
    return "-" if None in values else f"{100 * (values[0] - values[1]):+.1f}"
