import gzip

import pytest

from daam_bench.types.errors import InputError
from tools.tagger.conllu import TreebankWord, read_conllu

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
