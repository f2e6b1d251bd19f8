"""What a perfect detector of a closed vocabulary reaches."""

import pytest

from daam_bench.scoring.caps import CAP, cap_report, closed_vocabulary_cap
from tests.scoring.tiny_split import left, make_split

SPLIT = make_split(
    [
        [("cat", "cat", left(2)), ("moon", None, left(3))],
        [("dog", "dog", left(4)), ("cat", "cat", None)],
        [("rocket", None, left(1))],
    ]
)


def test_a_detector_of_cocos_classes_is_capped_by_the_share_of_their_nouns():
    scores = closed_vocabulary_cap(SPLIT)["none"]
    assert scores.miou_80 == 1
    assert scores.miou_inf == pytest.approx(2 / 4)
    assert scores.coverage == pytest.approx(2 / 4)
    assert scores.leakage == 0
    assert (scores.pairs_80, scores.pairs_inf) == (2, 4)


def test_the_interval_resamples_images():
    low, high = closed_vocabulary_cap(SPLIT)["none"].ci95_inf
    assert low == 0
    assert high == pytest.approx(1)


def test_the_report_is_that_of_no_method_but_the_cap():
    report = cap_report([SPLIT])
    assert (report.method, report.track) == (CAP, "closed vocabulary")
    assert report.splits["coco_gen"]["none"].miou_inf == pytest.approx(0.5)
