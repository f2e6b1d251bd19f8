import argparse

import pytest

from daam_bench.segmenters.registry import add_options, given_options


def given(*argv):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    return given_options(parser.parse_args(argv))


def test_only_what_was_given_is_an_option():
    assert given() == {}
    assert given("--score", "0.3", "--config", "a.py") == {"score": 0.3, "config": "a.py"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=2", 2),
        ("x=[1, 2]", [1, 2]),
        ('x={"sofa": "couch", "tree": null}', {"sofa": "couch", "tree": None}),
        ("x=null", None),
        ("x=minmax", "minmax"),
        ("x=a=b", "a=b"),
        ("x=", ""),
    ],
)
def test_a_value_is_json_or_else_text(text, value):
    assert given("--option", text) == {"x": value}


def test_options_repeat_and_the_last_one_holds():
    assert given("--seed", "1", "--option", "seed=2", "--option", 'blocks=["up"]') == {
        "seed": 2,
        "blocks": ["up"],
    }


@pytest.mark.parametrize("text", ["threads", "=2"])
def test_what_is_no_option(text):
    with pytest.raises(argparse.ArgumentError, match="is not NAME=VALUE"):
        given("--option", text)
