"""The page of a faithfulness report: its tables stay narrow."""

from daam_bench.scoring.effects import OWN, GroupScores, MethodScores, RowScore, SplitFaithfulness
from daam_bench.scoring.faithfulness_tables import _split_parts

SCORE = RowScore(0.5, (0.4, 0.6), 9, 9)


def method(groups, *, tau):
    soft = {} if tau == "none" else {OWN: SCORE}
    scores = {group: GroupScores(9, 0, 0.1, None, soft, {tau: {OWN: SCORE}}) for group in groups}
    return MethodScores({}, scores, None, None)


def by_kind(groups, methods):
    parts = _split_parts("coco_gen", SplitFaithfulness(30, 0, methods, {}, {}, None, None))
    head, _, *rows = parts[parts.index("### By kind of word") + 1].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]


def test_many_methods_lie_below_one_another():
    groups = ["noun", "adjective"]
    head, *rows = by_kind(groups, {"a": method(groups, tau="0.4"), "b": method(["noun"], tau="none")})
    assert head == ["", *groups]
    assert rows == [
        ["words", "9", "9"],
        ["R", ".100", ".100"],
        ["F of a", *[".500 [.400, .600]"] * 2],
        ["J at 0.4 of a", *[".500 [.400, .600]"] * 2],
        ["J of b", ".500 [.400, .600]", "-"],
    ]


def test_many_kinds_of_words_lie_below_one_another():
    groups = ["noun", "adjective", "verb", "numeral"]
    head, *rows = by_kind(groups, {"a": method(groups, tau="0.4")})
    assert head == ["", "words", "R", "F of a", "J at 0.4 of a"]
    assert [row[0] for row in rows] == groups
