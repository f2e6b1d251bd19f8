"""The sheet of what two annotations disagree on most."""

from daam_bench.annotate.agreement import NounAgreement
from daam_bench.figures.agreement_sheet import choose_worst


def noun(name: str, iou: float | None, drawn_b: bool = True) -> NounAgreement:
    return NounAgreement(name, 0, "cat", "cat", True, drawn_b, iou)


def test_lowest_first_then_what_only_one_of_them_saw():
    nouns = [noun("a", 0.9), noun("b", 0.1), noun("c", None, False), noun("d", 0.5), noun("e", None, False)]
    assert [chosen.id for chosen in choose_worst(nouns, 4)] == ["b", "d", "c", "e"]
    assert [chosen.id for chosen in choose_worst(nouns, 3)] == ["b", "c", "e"]
    assert [chosen.id for chosen in choose_worst(nouns, 9)] == ["b", "d", "a", "c", "e"]
