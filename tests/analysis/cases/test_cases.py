"""The case studies, on made-up images and from the outside with a tiny pipeline."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daam_bench.analysis.cases import CASES, case, numeracy
from daam_bench.analysis.cases.case import CaseImage, CasePrompt
from daam_bench.analysis.cases.study import find_case
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.cli import main
from daam_bench.emoji import ANNOTATOR
from daam_bench.emoji.world_nouns import NOUNS
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import tiny_tokenizer, tokenize

SIZE = 16
LEFT = np.arange(SIZE) < SIZE // 2
LEFT = np.broadcast_to(LEFT, (SIZE, SIZE))
NEITHER = np.zeros((SIZE, SIZE), dtype=bool)


def image_of(
    prompt: CasePrompt, word_maps: dict[str, np.ndarray], masks: dict[str, np.ndarray | None] | None
) -> CaseImage:
    """An image whose words have maps like the given masks, other words an even map."""
    tokenizer = tiny_tokenizer()
    values = np.ones((tokenizer.model_max_length, SIZE, SIZE), dtype=np.float32)
    for word in tokenize(tokenizer, prompt.text).words():
        values[list(word.positions)] = word_maps.get(word.text, 1)
    maps = ImageHeatMaps(values, prompt.text, (tokenize(tokenizer, prompt.text),))
    return CaseImage(prompt, Image.new("RGB", (SIZE, SIZE)), maps, masks)


@pytest.mark.parametrize("name", CASES)
def test_prompts_are_the_emoji_worlds_and_seeded(name):
    prompts = find_case(name).prompts(2)
    assert len({(prompt.text, prompt.seed) for prompt in prompts}) == len(prompts)
    assert {prompt.seed for prompt in prompts} == {0, 1}
    for prompt in prompts:
        assert set(prompt.nouns) <= set(NOUNS)
        assert all(word in prompt.text.split() for word in prompt.words)


def test_an_unknown_case_study():
    with pytest.raises(InputError, match="choose one of numeracy, adjectives, repeated, swapped"):
        find_case("rhymes")


def test_objects_are_counted_in_the_annotators_mask():
    two = NEITHER.copy()
    two[2:6, 2:6] = two[10:14, 10:14] = True
    prompt = CasePrompt("two dog", 0, "two", ("dog",), ("dog",))
    shown = image_of(prompt, {"two": LEFT}, {"dog": two})
    (row,) = find_case("numeracy").measure([shown], 0.4)
    assert (row["asked"], row["depicted"]) == (2, 2)
    assert row["coverage"] == 0.5
    assert row["lift"] == 1
    assert row["correlation"] is None
    (row,) = find_case("numeracy").measure([image_of(prompt, {}, {"dog": None})], 0.4)
    assert (row["depicted"], row["lift"]) == (0, None)


def test_without_an_annotator_objects_are_not_counted_but_looked_for_in_the_nouns_own_map():
    prompt = CasePrompt("two dog", 0, "two", ("dog",), ("dog",))
    (row,) = find_case("numeracy").measure([image_of(prompt, {"two": LEFT, "dog": LEFT}, None)], 0.4)
    assert row["depicted"] is None
    assert row["lift"] == 2


def test_an_adjective_on_its_own_noun():
    prompt = CasePrompt("red cat and dog", 0, "red", ("cat", "dog"), ("cat", "dog"))
    shown = image_of(prompt, {"red": LEFT}, {"cat": LEFT, "dog": ~LEFT})
    (row,) = find_case("adjectives").measure([shown], 0.4)
    assert (row["noun_lift"], row["other_lift"], row["rest_lift"]) == (2, 0, None)
    assert row["noun_area"] == 0.5
    missing = image_of(prompt, {}, {"cat": LEFT, "dog": None})
    assert find_case("adjectives").measure([missing], 0.4) == []


def test_an_adjectives_figure_shows_images_even_if_none_could_be_measured():
    adjectives = find_case("adjectives")
    images = [
        image_of(
            CasePrompt(f"{kind} cat and dog", 0, kind, ("cat", "dog"), ("cat", "dog")),
            {},
            {"cat": None, "dog": None},
        )
        for kind in ("big", "small")
    ]
    rows = adjectives.measure(images, 0.4)
    assert rows == []
    titles = [axes.get_title() for axes in adjectives.figure(rows, images, 0.4).axes]
    assert {"big cat, dog", "small cat, dog"} <= set(titles)


def test_repeated_nouns_are_compared_by_occurrence():
    same = CasePrompt("cat cat", 0, "repeated", ("cat",), ("cat",))
    different = CasePrompt("cat dog", 0, "different", ("cat", "dog"), ("cat", "dog"))
    rows = find_case("repeated").measure(
        [image_of(same, {"cat": LEFT}, None), image_of(different, {"cat": LEFT, "dog": ~LEFT}, None)], 0.4
    )
    assert [row["iou"] for row in rows] == [1, 0]
    assert [round(row["correlation"], 6) for row in rows] == [1, -1]
    assert rows[0]["objects"] is None


def test_a_swapped_noun_takes_its_map_along_or_leaves_it():
    given = CasePrompt("cat dog", 0, "as given", ("cat", "dog"), ("cat", "dog"))
    swapped = CasePrompt("dog cat", 0, "swapped", ("dog", "cat"), ("dog", "cat"))
    word_maps = {"cat": LEFT, "dog": ~LEFT}
    masks = {"cat": LEFT, "dog": ~LEFT}
    followed = [image_of(given, word_maps, masks), image_of(swapped, word_maps, masks)]
    stayed = [image_of(given, word_maps, masks), image_of(swapped, {"dog": LEFT, "cat": ~LEFT}, masks)]
    for images, word, place in ((followed, 1, -1), (stayed, -1, 1)):
        for row in find_case("swapped").measure(images, 0.4):
            assert row["same_word"] == pytest.approx(word)
            assert row["same_place"] == pytest.approx(place)
            assert row["given_points_right"] == 1
            assert row["swapped_points_right"] == (word == 1)


@pytest.fixture
def few_prompts(monkeypatch):
    """Two nouns a case study instead of six, so that it runs in seconds."""
    monkeypatch.setattr(numeracy, "SINGLES", ("dog", "cat"))
    monkeypatch.setattr(case, "PAIRS", (("dog", "cat", "grass"),))


def run(model: Path, output: Path, *more: str) -> int:
    argv = ["cases", "--model", str(model), "--seeds", "1", "--steps", "1", "--device", "cpu"]
    return main([*argv, "--output", str(output), *more])


def test_all_case_studies_of_a_model_without_an_annotator(few_prompts, tiny_model, tmp_path, capsys):
    assert run(tiny_model, tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        f"{name}.{suffix}" for name in CASES for suffix in ("csv", "md", "json", "png", "svg", "pdf")
    }
    with (tmp_path / "out" / "numeracy.csv").open(newline="") as file:
        assert {row["depicted"] for row in csv.DictReader(file)} == {""}
    record = json.loads((tmp_path / "out" / "numeracy.json").read_text())
    assert record["annotated"] is False
    assert record["generation"]["steps"] == 1
    printed = capsys.readouterr().out
    assert all(f"\n{name}\n" in f"\n{printed}" for name in CASES)


def test_an_annotator_counts(few_prompts, tiny_model, tmp_path):
    annotator = shutil.copytree(ANNOTATOR, tmp_path / "annotator")
    assert run(tiny_model, tmp_path / "out", "numeracy", "--annotator", str(annotator)) == 0
    with (tmp_path / "out" / "numeracy.csv").open(newline="") as file:
        assert all(row["depicted"].isdecimal() for row in csv.DictReader(file))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--seeds", "0"), "must be at least 1"),
        (("--batch-size", "0"), "must be at least 1"),
        (("--steps", "0"), "--steps must be at least 1"),
        (("--tau", "2"), "tau is a share"),
        (("--annotator", "/gone"), "in /gone: train it with"),
    ],
)
def test_bad_input_is_one_line(tiny_model, tmp_path, capsys, more, message):
    assert run(tiny_model, tmp_path / "out", *more) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "Writing" not in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out").exists()


def test_an_interrupted_study_says_what_is_kept(tiny_model, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("daam_bench.analysis.cases.study.generate_traced", interrupt)
    assert run(tiny_model, tmp_path / "out", "swapped") == 130
    assert "the case studies that were finished are kept" in capsys.readouterr().err
