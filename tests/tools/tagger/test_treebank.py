import gzip
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daam_bench.types.errors import InputError
from tools.tagger.treebank import TreebankWord, augment, read_conllu

TWO_SENTENCES = """\
# text = I don't
1\tI\tI\tPRON\tPRP\tNumber=Sing|Person=1\t_\t_\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t_\t_\t_\t_
3\tn't\tnot\tPART\tRB\t_\t_\t_\t_\t_
3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_

1\tcats\tcat\tNOUN\tNNS\tNumber=Plur\t_\t_\t_\t_
"""


def test_multiword_ranges_and_empty_nodes_are_no_words(tmp_path):
    path = tmp_path / "some.conllu"
    path.write_text(TWO_SENTENCES)
    first, second = read_conllu(path)
    assert [word.form for word in first] == ["I", "do", "n't"]
    assert second == (TreebankWord("cats", "cat", "NOUN", "Plur"),)


def test_a_gzipped_file_reads_the_same(tmp_path):
    plain, packed = tmp_path / "some.conllu", tmp_path / "some.conllu.gz"
    plain.write_text(TWO_SENTENCES)
    packed.write_bytes(gzip.compress(TWO_SENTENCES.encode()))
    assert read_conllu(plain) == read_conllu(packed)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a cat on a bed\n", "line 1"),
        (b"1\tcat\tcat\tSUBSTANTIVE\tNN\t_\n", "UPOS"),
        (b"\n\n", "no sentence"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_what_is_no_conllu_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "bad.conllu"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        read_conllu(path)
    assert "bad.conllu" in str(error.value)


def test_a_torn_gzip_file_is_refused(tmp_path):
    path = tmp_path / "torn.conllu.gz"
    path.write_bytes(gzip.compress(TWO_SENTENCES.encode())[:40])
    with pytest.raises(InputError, match="can't read"):
        read_conllu(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="can't read"):
        read_conllu(tmp_path / "none.conllu")


WORDS = st.builds(
    TreebankWord,
    form=st.sampled_from(["The", "cat", "Sits", "."]),
    lemma=st.sampled_from(["the", "cat", "sit", "."]),
    pos=st.sampled_from(["DET", "NOUN", "PROPN", "PUNCT", "VERB"]),
    number=st.just(""),
)


@given(st.lists(WORDS, min_size=1, max_size=8).map(tuple), st.integers(0, 99))
def test_a_sentence_keeps_a_run_of_its_words_and_their_tags(sentence, seed):
    changed = augment(sentence, Random(seed))
    assert changed
    tagged = [(word.form.lower(), word.pos) for word in changed]
    whole = [(word.form.lower(), word.pos) for word in sentence]
    assert any(whole[start : start + len(tagged)] == tagged for start in range(len(whole)))


def test_all_kinds_of_change_occur():
    sentence = (
        TreebankWord("Rex", "Rex", "PROPN", "Sing"),
        TreebankWord("saw", "see", "VERB", ""),
        TreebankWord("The", "the", "DET", ""),
        TreebankWord("Cats", "cat", "NOUN", "Plur"),
        TreebankWord(".", ".", "PUNCT", ""),
    )
    seen = {tuple(word.form for word in augment(sentence, Random(seed))) for seed in range(200)}
    assert ("rex", "saw", "the", "cats", ".") in seen
    assert ("Rex", "saw", "The", "Cats") in seen
    assert ("The", "Cats", ".") in seen
