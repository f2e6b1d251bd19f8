"""A fresh dataset of scenes, which hosts verify entries on."""

import numpy as np
import pytest

from daam_bench.datasets.load import load_split, split_names
from daam_bench.types.masks import decode
from tools.emoji.__main__ import main
from tools.emoji.dataset import composited, realistic_captions, swap_to_unusual, usual_nouns


def make(output, font, seed: int, count: int = 3):
    options = ["--seed", str(seed), "--count", str(count), "--output", str(output), "--font", str(font)]
    assert main(["scenes", *options]) == 0
    return load_split(output, "scenes")


def test_scenes_are_a_dataset_of_their_own_with_a_mask_for_every_noun(font, tmp_path, capsys):
    split = make(tmp_path / "fresh", font, 7)
    assert split_names(tmp_path / "fresh") == ["scenes"]
    assert [example.id for example in split] == ["scenes-000", "scenes-001", "scenes-002"]
    nouns = [noun for example in split for noun in example.nouns]
    assert all(noun.mask.any() for noun in nouns)
    assert {example.image.size for example in split} == {load_split("emoji", "scenes")[0].image.size}
    assert f"3 scenes, {len(nouns)} nouns" in capsys.readouterr().out
    assert "path: scenes.parquet" in (tmp_path / "fresh" / "README.md").read_text()


def test_the_masks_of_a_scene_are_apart(font, tmp_path):
    for example in make(tmp_path / "fresh", font, 7):
        masks = [decode(mask) for mask in example.masks]
        assert np.sum(masks, axis=0).max() == 1


def test_a_seed_makes_the_same_scenes_again_and_another_makes_others(font, tmp_path):
    fingerprints = [
        make(tmp_path / str(place), font, seed).fingerprint for place, seed in enumerate((7, 7, 8))
    ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_the_shipped_scenes_are_not_among_those_of_any_seed(font, tmp_path):
    shipped = {example.prompt for example in load_split("emoji", "scenes")[:3]}
    assert [example.prompt for example in make(tmp_path / "fresh", font, 0)] != list(shipped)


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--seed", "1", "--count", "0"]])
def test_a_seed_or_count_below_the_least_is_one_line(tmp_path, capsys, wrong):
    assert main(["scenes", *wrong, "--output", str(tmp_path / "fresh")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("wrong", [["--scenes", "0"], ["--size", "-1"]])
def test_a_dataset_without_images_is_one_line(tmp_path, capsys, wrong):
    assert main(["build", *wrong, "--out", str(tmp_path / "data")]) == 2
    assert "--size and --scenes must be at least 1" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_fewer_scenes_of_a_seed_are_the_first_of_more(font):
    few = composited("scenes", 2, font, 64, np.random.default_rng([0, 1]))
    for ours, shipped in zip(few, load_split("emoji", "scenes"), strict=False):
        assert (ours.id, ours.prompt, ours.masks) == (shipped.id, shipped.prompt, shipped.masks)
        assert np.array_equal(ours.image, shipped.image)


def test_swapped_nouns_stand_on_backgrounds_that_are_unusual_for_them():
    plain = realistic_captions(150, np.random.default_rng([0, 0]))
    swapped = swap_to_unusual(plain, 0)
    usual = [(noun.lemma, usual_nouns(caption)) for caption in swapped for noun in caption.nouns]
    assert sum(bool(nouns) for _, nouns in usual) > 150
    assert not [lemma for lemma, nouns in usual if lemma in nouns]
    assert all(swap.text != swap.by for caption in swapped for swap in caption.swaps)
    before, after = (
        sorted(noun.lemma for caption in split for noun in caption.nouns) for split in (plain, swapped)
    )
    assert before == after
