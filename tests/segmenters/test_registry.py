import pytest

from daam_bench.segmenters.registry import (
    OURS,
    find_method,
    get_segmenter,
    make_segmenter,
    method_names,
)
from daam_bench.types.errors import InputError


def message(name: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        get_segmenter(name, **options)
    return str(caught.value)


def test_our_own_methods_are_listed_with_those_of_other_packages():
    assert {"daam", "random", "whole"} <= method_names().keys()
    assert get_segmenter("whole").name == "whole"


def test_a_class_by_its_module():
    assert get_segmenter("tests.segmenters.methods:Gradient", gain=2.0).parameters == {"gain": 2.0}


def test_a_typo_meets_a_guess():
    assert message("daan").startswith(
        "no method 'daan'; did you mean 'daam'? Methods: anchor-diff, clipseg, concept-"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DAAM", "daam"),
        ("Daam_Self", "daam-self"),
        ("drop_word", "drop-word"),
        ("my_module.Centre", "my_module:Centre"),
        ("my_module.py:Centre", "my_module:Centre"),
        ("src/my_module.py:Centre", "src.my_module:Centre"),
    ],
)
def test_another_spelling_meets_a_guess(name, meant):
    assert message(name).startswith(f"no method {name!r}; did you mean {meant!r}? Methods: ")


def test_every_method_of_ours_can_be_loaded():
    for name in OURS:
        assert callable(find_method(name)), name


def test_a_name_like_no_other_meets_the_list():
    assert "did you mean" not in message("xyzzy")
    assert "seg4diff, whole, or module:Class" in message("xyzzy")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_such_module:Method", "needs the module 'no_such_module', which is not installed"),
        ("tests.segmenters.methods:Missing", "can't be loaded from 'tests.segmenters.methods:Missing'"),
        ("tests.segmenters.methods:NOT_CALLABLE", "is no class or function, but a int"),
        ("tests.segmenters.methods:Nameless", "is no method: it lacks name"),
        (":", "can't be loaded"),
    ],
)
def test_what_is_no_method(name, expected):
    assert expected in message(name)


def test_an_option_that_a_method_lacks_is_an_error_if_asked_for_but_not_if_offered():
    assert message("random", device="cpu") == "method 'random' has no option 'device'; its options: seed"
    assert make_segmenter("random", {"seed": 4}, {"device": "cpu"}).parameters == {"seed": 4}


def test_what_is_asked_for_goes_before_what_is_offered():
    assert make_segmenter("random", {"seed": 4}, {"seed": 5}).parameters == {"seed": 4}
