import pytest

from daam_bench.cli import main

pytest.importorskip("spacy")


def test_one_caption_is_listed_with_reasons(capsys):
    assert main(["nouns", "--caption", "Two dogs in the water."]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Two dogs in the water.",
        "  + dogs (dog, plural): COCO class dog",
        "  - water (water, singular): a mass noun",
    ]


def test_a_summary_counts_lemmas(tmp_path, capsys):
    captions = tmp_path / "captions.txt"
    captions.write_text("A dog in the water.\nTwo dogs.\n")
    assert main(["nouns", str(captions), "--summary"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["2", "+", "dog:", "COCO", "class", "dog"]
    assert "- water: a mass noun" in second


@pytest.mark.parametrize("arguments", [[], ["captions.txt", "--caption", "A dog."]])
def test_captions_come_from_one_place(arguments, capsys):
    assert main(["nouns", *arguments]) == 2
    assert "either CAPTIONS or --caption" in capsys.readouterr().err


def test_an_unknown_pipeline_is_one_line(capsys):
    assert main(["nouns", "--caption", "A dog.", "--pipeline", "en_core_web_xx"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "spacy download en_core_web_xx" in error
