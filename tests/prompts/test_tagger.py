import json
from pathlib import Path

import pytest

from daam_bench.prompts import tagger as loading
from daam_bench.prompts.tagger import SHIPPED, load_pipeline
from daam_bench.types.errors import InputError
from tools.tagger.accuracy import evaluate
from tools.tagger.conllu import read_conllu

spacy = pytest.importorskip("spacy")

TREEBANK = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ud_english_ewt_test.conllu.gz"


def test_the_shipped_pipeline_is_small_and_says_its_licence():
    size = sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file())
    assert size < 10_000_000
    assert "CC BY-SA 4.0" in (SHIPPED / "README.md").read_text()
    assert json.loads((SHIPPED / "meta.json").read_text())["license"] == "CC BY-SA 4.0"


def test_the_shipped_pipeline_loads_with_spacy_alone():
    assert [token.lemma_ for token in spacy.load(SHIPPED)("two dogs")][-1] == "dog"


@pytest.mark.skipif(not TREEBANK.exists(), reason=f"needs {TREEBANK.name} beside the repository")
def test_its_meta_file_states_the_accuracies_it_has():
    stated = json.loads((SHIPPED / "meta.json").read_text())["performance"]["test"]
    measured = evaluate(load_pipeline(), read_conllu(TREEBANK))
    assert measured.words == stated["words"]
    assert measured.upos == pytest.approx(stated["upos"], abs=1e-3)
    assert measured.lemma == pytest.approx(stated["lemma"], abs=1e-3)


def test_a_loaded_pipeline_is_taken_as_it_is():
    nlp = load_pipeline()
    assert load_pipeline(nlp) is nlp
    assert load_pipeline(SHIPPED) is nlp


def test_an_unknown_name_says_how_to_get_it():
    with pytest.raises(InputError, match="python -m spacy download en_core_web_xx"):
        load_pipeline("en_core_web_xx")


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path):
    with pytest.raises(InputError, match="no spaCy pipeline that can be loaded"):
        load_pipeline(tmp_path)


def test_a_pipeline_without_a_tagger_is_refused():
    with pytest.raises(InputError, match="sets no POS"):
        load_pipeline(spacy.blank("en"))


def test_without_spacy_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'daam-bench\[nlp\]'"):
        load_pipeline()


def test_a_torn_pipeline_is_refused_in_one_line(tmp_path):
    for source in SHIPPED.rglob("*"):
        target = tmp_path / "torn" / source.relative_to(SHIPPED)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    model = tmp_path / "torn" / "tok2vec" / "model"
    model.write_bytes(model.read_bytes()[:5000])
    with pytest.raises(InputError, match="can be loaded"):
        load_pipeline(tmp_path / "torn")
