# ruff: noqa: RUF001 (letters that look like others are the subject)
"""Which names a reader takes for the same, and which text names a folder."""

import pytest

from daam_bench.leaderboard.names import folded, is_slug, look_alike, slug_of


@pytest.mark.parametrize(
    "blank", ["\u200b", "\u200d", "\u2060", "\ufe00", "\ufe0f", "\U000e0100", "\U000e01ef"]
)
def test_what_shows_nothing_is_left_out(blank):
    assert folded(f"da{blank}am") == "daam"


@pytest.mark.parametrize("shown", ["\ufdff", "\ufe10", "-", "é"])
def test_what_shows_something_stays(shown):
    assert folded(f"da{shown}am") != "daam"


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\u00a0", "\u2003", "\u3000", "  "])
def test_spaces_of_all_kinds_are_one_space(space):
    assert folded(f"{space}mask{space}rcnn{space}") == "mask rcnn"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ΗΑΤ", "hat"), ("ηοt", "not"), ("СОСО", "coco"), ("сосо", "coco"), ("ﬁne", "fine"), ("DAAM²", "daam2")],
)
def test_letters_that_look_like_latin_ones_are_those(name, expected):
    assert folded(name) == expected


def test_a_slug_is_as_long_as_a_folder_s_name_may_be_and_ends_in_a_letter():
    assert slug_of("a" * 100) == "a" * 60
    assert slug_of("a" * 59 + " b") == "a" * 59
    assert slug_of("--a__b--") == "a-b"


@pytest.mark.parametrize("slug", ["a", "0", "mask-r-cnn", "con1", "com", "lpt10"])
def test_a_slug(slug):
    assert is_slug(slug)


@pytest.mark.parametrize("slug", ["", "a-", "a\n", "é", "con", "com0", "com9", "lpt1", "nul", "aux", "prn"])
def test_no_slug(slug):
    assert not is_slug(slug)


def test_one_entry_s_slug_may_not_be_another_s_name():
    assert look_alike("First", "second", "Second", "other")
    assert look_alike("Mask R-CNN", "mine", "Other", "mask-r-cnn")
    assert look_alike("One", "same", "Two", "same")
    assert not look_alike("One", "one", "Two", "two")
    # Names without a letter a-z have no slug in common.
    assert not look_alike("方法", "one", "図", "two")
