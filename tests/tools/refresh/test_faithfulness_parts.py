"""The parts of docs/faithfulness.md say what the reports say."""

import pytest

from daam_bench.scoring.effects import (
    BLURRED,
    GROUND_TRUTH,
    OWN,
    RANDOM,
    FaithfulnessReport,
    ImageEffects,
    MaskEffect,
    WordEffect,
)
from daam_bench.scoring.faithfulness import AREAS
from daam_bench.scoring.report import describe_environment
from daam_bench.scoring.word_effects import score_split
from tools.refresh.facts import Facts
from tools.refresh.faithfulness_parts import (
    NOT_YET,
    disagreements_part,
    methods_part,
    order_part,
    words_part,
)

IDS = [str(image) for image in range(30)]


def effects(curves, masks, group="noun"):
    word = WordEffect("cat", 0, group, 0.1, None, curves, masks)
    return {name: ImageEffects(name, 0.0, (word,)) for name in IDS}


def method(value, iou, *, soft=True, group="noun"):
    """A method whose words have J = value - 0.1, and F above 0 as much as its curve lies above the line."""
    curve = tuple(area + value * (1 - area) for area in AREAS)
    masks = {"0.4" if soft else "none": {OWN: MaskEffect(value, 0.1, iou)}}
    return {}, effects({OWN: curve, BLURRED: AREAS} if soft else {}, masks, group)


def report_of(methods, *, partial=False):
    masks = {"none": {GROUND_TRUTH: MaskEffect(0.5, 0.2)}}
    found = score_split(IDS, effects({RANDOM: AREAS}, masks), methods, left_out=2)
    return FaithfulnessReport(
        "1", "emoji", {"coco_gen": "f" * 64}, ("nouns",), AREAS, (0.5,), partial, describe_environment(),
        {"coco_gen": found},
    )  # fmt: skip


@pytest.fixture(scope="module")
def facts():
    methods = {
        "daam": method(0.5, 0.6),
        "ovam": method(0.7, 0.5),
        "random": method(0.3, 0.2, soft=False),
        "jvp": method(0.4, 0.55),
    }
    return Facts(
        {}, None, {"emoji": report_of(methods)}, report_of({"daam": method(0.5, None)}, partial=True)
    )


def rows_of(text):
    """Return the rows of the first table, by the first cell."""
    lines = [line for line in text.split("\n\n")[1].splitlines() if line.startswith("| ")]
    return {
        cells[0]: cells[1:] for line in lines[1:] if (cells := [c.strip() for c in line[1:-1].split("|")])
    }


def test_methods_stand_in_the_order_of_f_and_hard_masks_after_them(facts):
    text = methods_part(facts)
    assert text.startswith("emoji `coco_gen`, 30 images, 2 more left out:\n\n| ")
    rows = rows_of(text)
    assert list(rows)[1:] == ["ovam", "DAAM", "jvp", "Random 50 %"]
    assert rows["DAAM"][1] == rows["DAAM"][3] == "-"
    assert rows["ovam"][2:] == [".600 [.600, .600]", "+.200 [+.200, +.200]", "50.0"]
    assert rows["Random 50 %"][0] == "-"
    assert rows["Random 50 %"][2:4] == [".200 [.200, .200]", "-.200 [-.200, -.200]"]
    assert rows["jvp"][1].startswith("-.")


def test_the_controls_stand_below(facts):
    controls = methods_part(facts).partition("The controls of DAAM there:")[2]
    assert "| blurred | .000 [.000, .000] | +." in controls
    assert "| ground truth | - | - | .300 [.300, .300] | +.100 [+.100, +.100] |" in controls


def test_the_order_by_faithfulness_is_set_beside_that_of_miou(facts):
    assert "| emoji `coco_gen` | -0.33 [-0.33, -0.33] | 3 | 0.33 [0.33, 0.33] | 4 |" in order_part(facts)


def test_parts_of_speech_have_their_effect_and_scores(facts):
    text = words_part(facts)
    assert text.startswith("emoji `coco_gen`, the first 30 images")
    assert rows_of(text)["noun"][:3] == ["30", "0", ".100"]


def test_what_is_not_measured_is_said():
    for part in (methods_part, order_part, words_part, disagreements_part):
        assert part(Facts({}, None)) == NOT_YET
    assert "(images/disagree.png)" in disagreements_part(Facts({}, None, disagreements=True))
