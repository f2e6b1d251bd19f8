"""Which pairs IoU and J disagree on most, and the figure of them."""

import numpy as np
import pytest
from PIL import Image

from daam_bench.analysis.asked_words import ask
from daam_bench.analysis.measure_effects import Measured
from daam_bench.analysis.method_maps import MethodMaps
from daam_bench.scoring.effects import OWN, ImageEffects, MaskEffect, WordEffect
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import HEADER, left, make_split
from tools.refresh.disagreements import EACH_WAY, most_apart, write_disagreements
from tools.refresh.measuring import MeasuredSplit

SIZE = (16, 16)


def test_the_largest_differences_of_ranks_come_first_each_way():
    first, second = [0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.2, 0.3, 0.1, 0.4]
    above, below = most_apart(first, second, 5)
    assert above == [3, 4]  # ranks 4 - 1 and 5 - 4
    assert below == [0]  # rank 1 - 5
    assert most_apart(first, second, 1) == ([3], [0])
    assert most_apart(first, first, 5) == most_apart([0.5, 0.5], [0.1, 0.1], 5) == ([], [])
    assert most_apart([], [], 5) == ([], [])


def measured(js, *, effect=True):
    """A split of images of a cat whose masks are the better the later, with these J."""
    split = make_split([[("cat", "cat", left(8, SIZE))] for _ in js])
    asked = ask(split, ("nouns",))
    masks, maps, effects = {}, {}, {}
    for place, (example, j) in enumerate(zip(split, js, strict=True)):
        mask = MaskEffect(j + 0.5, 0.5, place / 20)
        word = WordEffect("cat", 0, "noun", 0.1, None, {}, {"0.4": {OWN: mask}} if effect else {})
        effects[example.id] = ImageEffects(example.id, 0.0, (word,))
        masks[example.id, 0] = encode(left(place, SIZE))
        maps[example.id, 0] = np.eye(4, dtype=np.float32)
    said = MethodMaps("daam", HEADER, maps, {"0.4": masks})
    return MeasuredSplit(asked, [said], Measured(tuple(effects), 0, {"daam": effects}))


def test_the_figure_shows_five_pairs_each_way(tmp_path):
    js = list(np.linspace(0.4, -0.1, 12))
    assert write_disagreements([measured(js)], tmp_path / "images" / "disagree.png")
    with Image.open(tmp_path / "images" / "disagree.png") as figure:
        few = tmp_path / "few.png"
        assert write_disagreements([measured(js[:4])], few)
        with Image.open(few) as smaller:
            assert figure.width == smaller.width
            assert figure.height - smaller.height == pytest.approx((EACH_WAY - 2) * 204, abs=1)


def test_pairs_that_agree_or_have_no_effect_are_no_figure(tmp_path):
    path = tmp_path / "disagree.png"
    for one in (measured([0.1, 0.2, 0.3]), measured([0.3, 0.2], effect=False)):
        assert not write_disagreements([one], path)
    assert not write_disagreements([measured([0.3, 0.2])], path, "ovam")
    assert not path.exists()
