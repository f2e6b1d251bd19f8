"""JSON from outside: what is read of it, and how it is shown."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.files.outside import (
    MAX_DEPTH,
    RecordError,
    hidden_characters,
    parse_json,
    parse_record,
    shown,
)
from daam_bench.types.errors import InputError


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_the_deepest_nesting_that_is_read():
    assert parse_json(nested(MAX_DEPTH)) != []
    with pytest.raises(InputError, match="more than 16 deep"):
        parse_json(nested(MAX_DEPTH + 1))


def test_objects_count_as_deep_as_lists():
    with pytest.raises(InputError, match="more than 16 deep"):
        parse_json(b'{"a": ' + nested(MAX_DEPTH) + b"}")
    assert parse_json(b'{"a": ' + nested(MAX_DEPTH - 1) + b"}")


@pytest.mark.parametrize("number", [2**53, -(2**53)])
def test_the_largest_whole_numbers_that_every_double_holds(number):
    assert parse_json(b"[%d]" % number) == [number]
    with pytest.raises(InputError, match="whole number too large"):
        parse_json(b"[%d]" % (number + (1 if number > 0 else -1)))


def test_a_hidden_character_is_found_wherever_it_is():
    for value in ("\x07", ["a", {"b": "\x07"}], {"a": {"\x07": 1}}):
        assert hidden_characters(value) == "holds the character U+0007, which no screen shows"


def test_an_allowed_character_is_no_problem_but_those_after_it_are():
    assert hidden_characters("a\nb", "\n") is None
    assert "U+0007" in hidden_characters("a\nb\x07", "\n")


def test_a_long_value_is_shown_in_200_characters():
    assert shown("x" * 198) == "'" + "x" * 198 + "'"
    assert shown("x" * 400) == "'" + "x" * 196 + "..."


@given(st.text())
def test_what_is_shown_hides_nothing(text):
    assert hidden_characters(shown(text)) is None


@dataclass(frozen=True)
class Person:
    """A record with a list in it."""

    name: str
    marks: tuple[float, ...]


def test_every_problem_of_a_record_has_its_place():
    with pytest.raises(RecordError) as caught:
        parse_record(Person, {"marks": [1, "2", None]})
    assert [place for place, _ in caught.value.problems] == ["name", "marks[1]", "marks[2]"]
    assert str(caught.value) == (
        '"name": is missing; "marks[1]": input should be a valid number, not \'2\'; '
        '"marks[2]": input should be a valid number, not None'
    )


def test_a_value_that_is_no_record_at_all_has_no_place():
    with pytest.raises(RecordError, match=r"^input should be an object"):
        parse_record(Person, 3)


def test_whole_numbers_are_numbers_and_lists_are_tuples():
    assert parse_record(Person, {"name": "a", "marks": [1, 2.5], "more": 0}) == Person("a", (1.0, 2.5))
