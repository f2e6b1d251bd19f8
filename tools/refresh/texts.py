"""The parts of README and docs that follow from results: Markdown between two marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from daam_bench.analysis.table import LABELS, to_markdown
from daam_bench.datasets.load import GENERATED_SPLITS, SHIPPED
from daam_bench.scoring.breakdown import GroupScore, breakdown
from daam_bench.scoring.conventions import usual_tau
from daam_bench.scoring.faithfulness_tables import agreement_text
from daam_bench.scoring.ranks import RankAgreement
from daam_bench.scoring.tables import format_table, markdown_table, percent, percent_with_interval
from tools.marked_parts import fill_parts
from tools.method_lists import BASELINE, CHOSEN_ON_DEV, ON_TRANSFORMERS, ON_UNETS
from tools.refresh.claims import claims
from tools.refresh.facts import Facts
from tools.refresh.faithfulness_parts import disagreements_part, methods_part, order_part, words_part
from tools.refresh.planned_jobs import SPLITS
from tools.rivals import against_daam


def fill(page: Path, facts: Facts, *, to: Path | None = None) -> list[str]:
    """Write the marked parts of a page again from what is known; see `tools.marked_parts.fill_parts`.

    Without runs on the shipped dataset, parts that are made of them stay as they are.
    """
    known = PARTS if SHIPPED in facts.recorded else PARTS_OF_PUBLISHED
    made = {name: partial(make, facts) for name, make in known.items()}
    return fill_parts(page, made, keep=PARTS.keys() - known.keys(), to=to)


def main_job(facts: Facts) -> str:
    """Return what `make run` prints at its end: DAAM at 0.4 on the generated splits."""
    report = facts.shipped.reports.get("daam")
    if report is None:
        return ""
    splits = {
        name: {tau: scores for tau, scores in taus.items() if tau == "0.4"}
        for name, taus in report.splits.items()
        if name != "scenes"
    }
    return f"```\n{format_table(replace(report, splits=splits))}\n```"


def results_table(facts: Facts) -> str:
    """Return the table of the shipped dataset, heat maps at tau 0.4 alone, the paper's two scores."""
    return to_markdown(facts.shipped.short_table, facts.shipped.splits, more=False)


def rivals(facts: Facts) -> str:
    """Return the methods on the generator beside DAAM, on each of the generated splits."""
    results, parts = facts.shipped.results, []
    listed = dict.fromkeys((*ON_UNETS, *ON_TRANSFORMERS, *CHOSEN_ON_DEV))
    for split in (name for name in facts.shipped.splits if name in GENERATED_SPLITS):
        found = {name: results[name][split] for name in listed if split in results.get(name, {})}
        if BASELINE in found:
            parts.append(f"`{split}`:\n\n{against_daam.to_markdown(against_daam.rows_of(found))}")
    return "\n\n".join(parts)


def leakage_references(facts: Facts) -> str:
    """Return the reference points of leakage, in percent."""
    splits = facts.shipped.splits
    rows = [["the ground truth", *["0"] * len(splits)]]
    for method, name in (
        ("random", "random halves"),
        ("whole", "the whole image"),
        ("daam", "DAAM-0.4, masks"),
    ):
        rows.append([name, *(_of(facts, method, split, "leakage") for split in splits)])
    rows.append(["DAAM, heat maps", *(_of(facts, "daam", split, "map_leakage") for split in splits)])
    return markdown_table(["", *(f"`{split}`" for split in splits)], rows)


def _of(facts: Facts, method: str, split: str, key: str) -> str:
    report = facts.shipped.reports.get(method)
    taus = {} if report is None else report.splits.get(split, {})
    return percent(getattr(taus[usual_tau(taus)], key)) if taus else "-"


def rank_agreement(facts: Facts) -> str:
    """Return between which bounds Kendall's tau lies within a generator, and between every two of them."""
    orders = facts.orders
    if orders is None:
        return "Not measured yet: it takes two splits."
    between: dict[tuple[str, str], list[RankAgreement]] = {}
    on_scenes: dict[tuple[str, str], RankAgreement] = {}
    for places, found in orders.agreements.items():
        datasets, splits = zip(*(orders.columns[place] for place in places), strict=True)
        if found is not None:
            between.setdefault(datasets, []).append(found)
            if set(splits) == {SPLITS[0]}:
                on_scenes[datasets] = found
    rows = []
    for datasets, taus in sorted(between.items(), key=lambda item: len(set(item[0]))):
        name = " and ".join(datasets) if len(set(datasets)) == 2 else f"the splits of {datasets[0]}"
        chosen = [*(end(taus, key=lambda found: found.tau) for end in (min, max)), on_scenes.get(datasets)]
        rows.append([name, str(len(taus)), *map(agreement_text, chosen), str(taus[0].methods)])
    drawn = ", ".join(map(_named, orders.methods))
    said = (
        f"The figure ranks the {len(orders.methods)} methods that every column has ({drawn}). "
        "Kendall's tau of two columns is over those that both have; every pair is in the figure."
    )
    head = ["between", "pairs of columns", "lowest tau", "highest tau", f"both on `{SPLITS[0]}`", "methods"]
    return f"{said}\n\n{markdown_table(head, rows)}"


def conventions(facts: Facts) -> str:
    """Say what the boundary and tau do to the order on each split."""
    orders = facts.orders
    if orders is None:
        return "Not measured yet: it takes two splits."
    rows = []
    columns = zip(orders.columns, orders.changes, orders.by_precision, strict=True)
    for (dataset, split), changes, precision in columns:
        place = f"{dataset} `{split}`"
        for change in changes:
            turned = "; ".join(f"{_named(low)} passes {_named(high)}" for high, low in change.turned)
            tau = "-" if change.agreement is None else f"{change.agreement.tau:.2f}"
            rows.append([place, change.convention, tau, turned or "none", str(change.within_ties)])
        said = "-" if precision is None else f"{precision:.2f}"
        rows.append([place, "average precision (heat maps alone)", said, "not tested", "-"])
    head = ["split", "in place of mIoU_inf at tau 0.4", "Kendall tau", "turned round for sure", "within ties"]
    return markdown_table(head, rows)


def _named(method: str) -> str:
    return LABELS.get(method, method)


def strengths(facts: Facts) -> str:
    """Return each method's mIoU_inf by object size, number of nouns and background, split by split."""
    parts = []
    for split in facts.shipped.splits:
        found = {
            name: breakdown(results[split], usual_tau(results[split]))
            for name, results in facts.shipped.results.items()
            if split in results
        }
        if found:
            parts.append(f"`{split}`:\n\n{_strengths_table(found)}")
    return "\n\n".join(parts)


def _strengths_table(found: Mapping[str, Sequence[GroupScore]]) -> str:
    groups: dict[tuple[str, str], int] = {}
    for one in (one for scores in found.values() for one in scores):
        groups[one.kind, one.group] = max(one.pairs, groups.get((one.kind, one.group), 0))
    head = ["", *(f"{kind}: {group.partition(':')[0]} ({pairs})" for (kind, group), pairs in groups.items())]
    rows = []
    for name, scores in found.items():
        by_group = {(one.kind, one.group): one for one in scores}
        cells = [
            percent_with_interval(by_group[key].miou, by_group[key].interval) if key in by_group else "-"
            for key in groups
        ]
        in_part = any(one.pairs < groups[one.kind, one.group] for one in scores)
        rows.append([LABELS.get(name, name) + (" (partial)" if in_part else ""), *cells])
    return markdown_table(head, rows)


PARTS_OF_PUBLISHED: Mapping[str, Callable[[Facts], str]] = {
    "faithfulness": methods_part,
    "faithfulness-and-miou": order_part,
    "faithfulness-words": words_part,
    "disagreements": disagreements_part,
}
"""Name of a part that follows from published reports alone -> what writes it."""

PARTS: Mapping[str, Callable[[Facts], str]] = {
    "main-job": main_job,
    "results": results_table,
    "claims": lambda facts: claims(facts.shipped),
    "leakage": leakage_references,
    "rank-agreement": rank_agreement,
    "conventions": conventions,
    "strengths": strengths,
    "rivals": rivals,
    **PARTS_OF_PUBLISHED,
}
"""Name of a part -> what writes it."""
