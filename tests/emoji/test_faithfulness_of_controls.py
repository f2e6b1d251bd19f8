"""Faithfulness on the shipped emoji model: DAAM is ahead of its controls, which are at or below 0."""

import pytest

from daam_bench.analysis.effects_report import read_faithfulness
from daam_bench.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nouns(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faithfulness")
    options = ["--split", "coco_gen", "--limit", "6", "--device", "cpu", "--output", str(folder)]
    assert main(["faithfulness", *options]) == 0
    return read_faithfulness(folder / "faithfulness.json").splits["coco_gen"].methods["daam"].groups["noun"]


@pytest.mark.parametrize("control", ["another word's", "shifted", "weights shuffled"])
def test_a_map_that_knows_nothing_of_the_word_is_no_better_than_chance(nouns, control):
    score, own = nouns.soft[control], nouns.soft["map"]
    assert score.ci95[0] <= 0
    assert score.mean < 0.1 < 0.4 < own.ci95[0]
    assert score.ahead == 1


@pytest.mark.parametrize("control", ["another word's", "shifted", "weights shuffled", "centre"])
def test_so_is_a_mask(nouns, control):
    score, own = nouns.hard["0.4"][control], nouns.hard["0.4"]["map"]
    assert score.mean <= 0 < 0.3 < own.ci95[0]


def test_a_random_order_holds_less_of_the_effect_than_its_area(nouns):
    assert nouns.soft["random"].mean == 0
    assert nouns.soft["random"].raw < 0


def test_blurring_a_map_makes_it_less_faithful(nouns):
    assert nouns.soft["blurred"].behind.low > 0
