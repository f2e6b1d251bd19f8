"""What others wrote, shown on a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.console import one_line
from daam_bench.types.errors import InputError
from daam_bench.types.printable import printable


@given(st.text())
def test_printable_text_moves_no_cursor_and_stays_on_its_line(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    categories = {unicodedata.category(character) for character in shown if character not in "\u200c\u200d"}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


@pytest.mark.parametrize("text", ["Zoë", "方法", "👩‍🔬", "a\\b", "نمی‌دانم"])
def test_a_text_without_hidden_characters_is_left_alone(text):
    assert printable(text) == text


def test_an_error_is_one_printable_line():
    assert one_line(InputError("method \x1b[2J\n of \u202eevil")) == r"method \x1b[2J of \u202eevil"
