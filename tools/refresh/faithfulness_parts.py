"""The parts of docs/faithfulness.md: all methods, their order and that of mIoU, parts of speech."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from daam_bench.analysis.table import LABELS
from daam_bench.scoring.bootstrap import FEW_IMAGES, Difference
from daam_bench.scoring.conventions import usual_tau
from daam_bench.scoring.effects import (
    NOUN,
    OWN,
    FaithfulnessReport,
    GroupScores,
    RowScore,
    SplitFaithfulness,
)
from daam_bench.scoring.faithfulness_tables import agreement_text, difference_text, number, score_text
from daam_bench.scoring.tables import markdown_table, percent
from tools.method_lists import BASELINE
from tools.refresh.disagreements import DISAGREEMENTS
from tools.refresh.facts import Facts

NOT_YET = "Not measured yet: `make refresh` measures it."


def methods_part(facts: Facts) -> str:
    """Return all methods on each generated split, the highest F first, then hard masks by J; and controls."""
    parts = []
    for dataset, report in facts.faithfulness.items():
        for split, found in report.splits.items():
            parts += [_title(dataset, split, report, found), _methods_table(found)]
            if controls := _controls_table(found):
                parts += [f"The controls of {_name(BASELINE)} there:", controls]
    return "\n\n".join(parts) or NOT_YET


def order_part(facts: Facts) -> str:
    """Return Kendall's tau between the methods' order by faithfulness and by mIoU, split by split."""
    rows = []
    for dataset, report in facts.faithfulness.items():
        for split, found in report.splits.items():
            row = [f"{dataset} `{split}`"]
            for agreement in (found.tau_with_miou, found.tau_with_miou_hard):
                row += [agreement_text(agreement), "-" if agreement is None else str(agreement.methods)]
            rows.append(row)
    head = ["split", "F and mIoU", "methods", "J and mIoU", "methods"]
    return markdown_table(head, rows) if rows else NOT_YET


def words_part(facts: Facts) -> str:
    """Return F and J of one method by part of speech."""
    report = facts.by_word
    if report is None:
        return NOT_YET
    parts = []
    for split, found in report.splits.items():
        groups = found.methods[BASELINE].groups
        rows = [
            [group, str(one.words), str(one.undefined), number(one.effect), *_soft_and_hard(one)]
            for group, one in groups.items()
        ]
        head = ["words", "number", "without an effect", "R", "F", "J"]
        parts += [_title(report.dataset, split, report, found), markdown_table(head, rows)]
    return "\n\n".join(parts)


def disagreements_part(facts: Facts) -> str:
    """Return the figure of the pairs where IoU and J disagree most."""
    if not facts.disagreements:
        return NOT_YET
    return f"![Where the IoU and the J of {_name(BASELINE)} disagree most](images/{DISAGREEMENTS})"


def _title(dataset: str, split: str, report: FaithfulnessReport, found: SplitFaithfulness) -> str:
    left_out = f", {found.left_out} more left out" if found.left_out else ""
    few = "; an interval over so few is too narrow" if found.images < FEW_IMAGES else ""
    first = "the first " if report.partial else ""
    return f"{dataset} `{split}`, {first}{found.images} images{left_out}{few}:"


def _methods_table(found: SplitFaithfulness) -> str:
    nouns = {method: scores.groups[NOUN] for method, scores in found.methods.items() if NOUN in scores.groups}
    rows = []
    for method in sorted(nouns, key=lambda method: _rank(nouns[method])):
        soft, hard = _soft_and_hard(nouns[method])
        row = _hard_row(nouns[method], OWN)
        behind = [
            _against(differences, method) for differences in (found.differences, found.differences_hard)
        ]
        miou = percent(None if row is None else row.miou)
        rows.append([_name(method), soft, behind[0], hard, behind[1], miou])
    minus = f"minus {_name(BASELINE)}"
    return markdown_table(["", "F", minus, "J", minus, "mIoU (%)"], rows)


def _controls_table(found: SplitFaithfulness) -> str | None:
    scores = found.methods.get(BASELINE)
    group = None if scores is None else scores.groups.get(NOUN)
    if group is None:
        return None
    rows = []
    for name in dict.fromkeys([*group.soft, *(name for rows in group.hard.values() for name in rows)]):
        if name != OWN:
            soft, hard = group.soft.get(name), _hard_row(group, name)
            rows.append([name, *_beside(soft), *_beside(hard)])
    own = f"{_name(BASELINE)} exceeds it by"
    return markdown_table(["control", "F", own, "J", own], rows)


def _beside(row: RowScore | None) -> Iterator[str]:
    yield "-" if row is None else score_text(row)
    yield "-" if row is None or row.behind is None else difference_text(row.behind)


def _soft_and_hard(group: GroupScores) -> tuple[str, str]:
    """Return the F of a method's own map, and the J of its mask."""
    soft, hard = group.soft.get(OWN), _hard_row(group, OWN)
    return ("-" if soft is None else score_text(soft)), ("-" if hard is None else score_text(hard))


def _hard_row(group: GroupScores, name: str) -> RowScore | None:
    return group.hard[usual_tau(group.hard)].get(name) if group.hard else None


def _rank(group: GroupScores) -> tuple[int, float]:
    soft, hard = group.soft.get(OWN), _hard_row(group, OWN)
    if soft is not None:
        return 0, -soft.mean
    return 1, 0.0 if hard is None else -hard.mean


def _against(differences: Mapping[str, Difference], method: str) -> str:
    """Return how much a method exceeds the one that all are set against."""
    if (found := differences.get(f"{method} - {BASELINE}")) is not None:
        return difference_text(found)
    if (found := differences.get(f"{BASELINE} - {method}")) is not None:
        return difference_text(Difference(-found.mean, -found.high, -found.low))
    return "-"


def _name(method: str) -> str:
    return LABELS.get(method, method)
