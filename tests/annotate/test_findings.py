"""Names for images and nouns in other tools."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.annotate.findings import file_name, labels
from daam_bench.types import Noun
from daam_bench.types.errors import InputError

ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=16)


@given(ids, ids)
def test_a_file_name_stays_in_its_folder_and_tells_ids_apart(one, other):
    name = file_name(one)
    assert Path(name).name == name
    assert name.isascii()
    assert (name == file_name(other)) == (one == other)


def test_an_id_too_long_for_a_file_name():
    with pytest.raises(InputError, match="too long"):
        file_name("x" * 300)


@given(st.lists(st.sampled_from(["dog", "dog (2)", "dog (3)", " ", "", "man", "man "]), max_size=8))
def test_every_noun_of_a_prompt_has_its_own_label(lemmas):
    found = labels([Noun(lemma, lemma, 0, 0, None) for lemma in lemmas])
    assert len(set(found)) == len(lemmas)
    assert all(label.strip() == label != "" for label in found)
