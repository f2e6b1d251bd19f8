"""The checks that functions and commands share, and what others wrote, shown on a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.console import one_line
from daam_bench.types.errors import (
    InputError,
    check_batch_size,
    check_limit,
    check_steps,
    check_tau,
    full_dtype,
    is_hidden,
    printable,
)


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (check_tau, (0, 0.4, 1), (-0.1, 1.1, float("nan")), "tau is a share of the heat map's maximum"),
        (check_batch_size, (1, 16), (0, -1), "the batch size must be at least 1"),
        (check_limit, (None, 1), (0, -1), "--limit must be at least 1 example"),
        (check_steps, (None, 1), (0, -1), "--steps must be at least 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(check, good, bad, message):
    for value in good:
        check(value)
    for value in bad:
        with pytest.raises(InputError, match=f"{message}.*, not {value}"):
            check(value)


@given(st.text())
def test_printable_text_moves_no_cursor_and_stays_on_its_line(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    categories = {unicodedata.category(character) for character in shown if character not in "\u200c\u200d"}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


@pytest.mark.parametrize("code", [0xFDD0, 0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFF, 0x10FFFE])
def test_noncharacters_are_hidden_as_no_xml_holds_all_of_them(code):
    assert is_hidden(chr(code))
    assert not is_hidden(chr(0xFDF0))


@pytest.mark.parametrize("text", ["Zoë", "方法", "👩‍🔬", "a\\b", "نمی‌دانم"])
def test_a_text_without_hidden_characters_is_left_alone(text):
    assert printable(text) == text


def test_an_error_is_one_printable_line():
    assert one_line(InputError("method \x1b[2J\n of \u202eevil")) == r"method \x1b[2J of \u202eevil"


@pytest.mark.parametrize("name", ["bf16", "BF16", "bfloat16", "torch.bfloat16"])
def test_a_dtype_is_understood_however_it_is_written(name):
    assert full_dtype(name) == "bfloat16"


def test_a_dtype_that_is_not_known_stays_as_it_is_for_the_message():
    assert full_dtype("Int8") == "Int8"
