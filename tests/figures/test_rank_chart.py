"""The figure of ranks by generator and split."""

import pytest

from daam_bench.figures.rank_chart import RankColumn, rank_chart
from daam_bench.scoring.ranks import RankAgreement
from daam_bench.types.errors import InputError
from tests.figures.sheet_texts import texts_of


def texts(figure):
    return [text for text, _ in texts_of(figure)]


COLUMNS = [
    RankColumn("emoji\nscenes", {"daam": 0.5, "iseg": 0.4, "whole": 0.1, "seg4diff": 0.3}),
    RankColumn("emoji-sd3\nscenes", {"daam": 0.4, "iseg": 0.6, "whole": 0.2}),
    RankColumn("emoji-seed2\nscenes", {"iseg": 0.3, "daam": 0.3, "whole": 0.2}),
]
AGREEMENT = RankAgreement(0.333, -0.2, 0.75, 3)


def test_equal_methods_share_their_mean_rank():
    assert COLUMNS[2].ranks(["daam", "iseg", "whole"]) == [1.5, 1.5, 3]
    assert COLUMNS[1].ranks(["daam", "iseg", "whole"]) == [2, 1, 3]


def test_only_methods_of_all_columns_are_ranked():
    figure = rank_chart(
        COLUMNS,
        {(0, 1): AGREEMENT, (0, 2): None, (1, 2): AGREEMENT},
        labels={"daam": "DAAM"},
        note="* proposed",
    )
    upper, lower = figure.axes
    assert sorted(line.get_ydata().tolist() for line in upper.lines) == [[1, 2, 1.5], [2, 1, 1.5], [3, 3, 3]]
    assert "DAAM, iseg" in texts(figure)
    assert not any("seg4diff" in text for text in texts(figure))
    assert sum("0.33\n[-0.20, 0.75]" in text for text in texts(figure)) == 2
    assert lower.get_xlabel().endswith("intervals over images\n* proposed")
    assert lower.get_images()[0].get_array().shape == (2, 2)


def test_fewer_than_two_methods_or_columns_is_one_line():
    for columns in ([], COLUMNS[:1], [RankColumn("a", {"daam": 1}), RankColumn("b", {"daam": 1})]):
        with pytest.raises(InputError, match="at least two"):
            rank_chart(columns, {})
