import pytest

from tools.tagger.__main__ import main

pytestmark = pytest.mark.slow

pytest.importorskip("spacy")

CONLLU = """\
1\tTwo\ttwo\tNUM\tCD\tNumType=Card
2\tdogs\tdog\tNOUN\tNNS\tNumber=Plur
3\t.\t.\tPUNCT\t.\t_

"""


@pytest.fixture
def treebank(tmp_path):
    path = tmp_path / "some.conllu"
    path.write_text(CONLLU * 20)
    return path


def test_the_shipped_pipeline_is_measured(treebank, capsys):
    assert main(["evaluate", str(treebank)]) == 0
    assert "UPOS 100.00%  lemma 100.00%" in capsys.readouterr().out


def test_a_pipeline_is_trained_and_can_be_measured(treebank, tmp_path, capsys):
    out = tmp_path / "pipeline"
    files = [word for part in ("train", "dev", "test") for word in (f"--{part}", str(treebank))]
    assert main(["train", *files, "--out", str(out), "--epochs", "1"]) == 0
    assert main(["evaluate", str(treebank), "--pipeline", str(out)]) == 0
    assert "epoch 1: UPOS" in capsys.readouterr().out


def test_a_missing_treebank_is_one_line(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path / "none.conllu")]) == 2
    assert "can't read" in capsys.readouterr().err
