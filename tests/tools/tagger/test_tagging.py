import json

import pytest

from daam_bench.prompts.tagger import load_pipeline
from tools.tagger import tagging
from tools.tagger.accuracy import evaluate
from tools.tagger.conllu import TreebankWord
from tools.tagger.tagging import train

pytest.importorskip("spacy")

THE, STOP = TreebankWord("the", "the", "DET", ""), TreebankWord(".", ".", "PUNCT", "")
SENTENCES = [
    (THE, TreebankWord(noun + "s", noun, "NOUN", "Plur"), TreebankWord(verb, verb, "VERB", ""), STOP)
    for noun in ("cat", "dog", "bird", "horse")
    for verb in ("sleep", "run", "eat")
] * 8


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(tagging, "BATCH_WORDS", 60)
    monkeypatch.setattr(tagging, "WARMUP", 5)
    monkeypatch.setattr(tagging, "WIDTH", 16)
    monkeypatch.setattr(tagging, "DEPTH", 1)
    monkeypatch.setattr(tagging, "EMBEDDED", dict.fromkeys(tagging.EMBEDDED, 100))


def test_a_trained_pipeline_tags_what_it_was_shown(small, tmp_path):
    trained = train(SENTENCES, SENTENCES[:12], SENTENCES[:12], tmp_path / "pipeline", epochs=12)
    assert trained.test.upos > 0.9
    nlp = load_pipeline(tmp_path / "pipeline")
    assert evaluate(nlp, SENTENCES[:12]) == trained.test
    assert [token.pos_ for token in nlp("the dogs run .")] == ["DET", "NOUN", "VERB", "PUNCT"]


def test_the_meta_file_says_what_it_is_made_of_and_how_good_it_is(small, tmp_path):
    train(SENTENCES, SENTENCES[:12], SENTENCES[:12], tmp_path / "pipeline", epochs=1, seed=3)
    meta = json.loads((tmp_path / "pipeline" / "meta.json").read_text())
    assert meta["license"] == "CC BY-SA 4.0"
    assert "Universal Dependencies" in meta["sources"][0]["name"]
    assert meta["performance"]["seed"] == 3
    assert 0 <= meta["performance"]["test"]["upos"] <= 1


def test_the_same_seed_gives_the_same_weights(small, tmp_path):
    for name in "ab":
        train(SENTENCES[:24], SENTENCES[:12], SENTENCES[:12], tmp_path / name, epochs=1, seed=1)
    a, b = ((tmp_path / name / "tok2vec" / "model").read_bytes() for name in "ab")
    assert a == b


def test_an_interrupted_training_leaves_nothing_and_no_older_pipeline_is_lost(small, tmp_path):
    out = tmp_path / "pipeline"
    out.mkdir()
    (out / "kept").write_text("older")

    def interrupt(_epoch, _accuracy):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SENTENCES[:12], SENTENCES[:12], SENTENCES[:12], out, epochs=2, on_epoch=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline"]
    assert (out / "kept").read_text() == "older"
