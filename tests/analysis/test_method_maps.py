"""What methods say of a split's words, read from their files."""

from dataclasses import replace

import numpy as np
import pytest

from daam_bench.analysis.asked_words import ask
from daam_bench.analysis.effects_files import REFERENCE, EffectsFiles
from daam_bench.analysis.method_maps import MethodMaps, MethodSource, read_maps
from daam_bench.datasets.load import load_split
from daam_bench.engine import InProcess
from daam_bench.scoring.effects import ImageEffects
from daam_bench.segmenters.method_worker import MethodWorker
from daam_bench.segmenters.segment import segment
from daam_bench.types import PredictionsHeader
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import left
from tests.segmenters.methods import Gradient

HEADER = PredictionsHeader("mine", {}, "tiny", "coco_gen", "f" * 64)


def maps_of(*, maps=None, counts=(1, 2, 3)):
    """Masks of so many columns for the words of an image, and heat maps for some."""
    masks = {("a", word): encode(left(count)) for word, count in enumerate(counts)}
    return MethodMaps("mine", HEADER, maps, {"0.4": {**masks, ("b", 0): None}})


def test_a_word_without_a_heat_map_leaves_those_of_the_others():
    given = {("a", 1): np.ones((2, 2), np.float32), ("a", 2): np.eye(2, dtype=np.float32)}
    one = maps_of(maps=given).of_image("a")
    assert set(one.heat_maps) == {("a", 1), ("a", 2)}
    assert set(one.masks["0.4"]) == {("a", 0), ("a", 1), ("a", 2)}
    assert maps_of(maps=given).of_image("b").heat_maps == {}
    assert maps_of().of_image("a").heat_maps is None


def test_a_digest_tells_maps_and_masks_of_an_image_from_others():
    soft = {("a", 0): np.ones((2, 2), np.float32)}
    other = {("a", 0): np.full((2, 2), 0.5, np.float32)}
    digests = [
        one.digest("a")
        for one in (maps_of(), maps_of(counts=(1, 2, 4)), maps_of(maps=soft), maps_of(maps=other))
    ]
    assert len(set(digests)) == 4
    assert maps_of(maps=soft).digest("a") == digests[2]
    assert maps_of(maps=soft).of_image("a").digest("a") == digests[2]
    assert maps_of().digest("b") == maps_of(counts=(1, 2, 4)).digest("b")


def test_the_maps_of_a_run_are_read_back(tiny_dataset, tmp_path):
    split = load_split(tiny_dataset, "coco_gen")[:2]
    segment(InProcess(MethodWorker(Gradient())), split, tmp_path / "coco_gen", taus=(0.3, 0.4))
    (found,) = read_maps([MethodSource(tmp_path)], split)
    assert (found.name, set(found.masks)) == ("gradient", {"0.3", "0.4"})
    assert set(found.heat_maps) == {(example.id, word) for example in split for word in (0, 1)}


def test_effects_of_maps_that_changed_are_missing(tiny_dataset, tmp_path):
    asked = ask(load_split(tiny_dataset, "coco_gen")[:1], ("nouns",))

    def files(methods):
        return EffectsFiles(tmp_path, asked, methods, ("nouns",), dtype=None, restart=False)

    with files([maps_of()]) as kept:
        assert kept.missing("a") == [REFERENCE, "mine"]
        for name in (REFERENCE, "mine"):
            kept.add(name, ImageEffects("a", 0.0, ()))
    with files([maps_of()]) as kept:
        assert kept.missing("a") == []
    with files([maps_of(counts=(1, 2, 4))]) as kept:
        assert kept.missing("a") == ["mine"]
        kept.add("mine", ImageEffects("a", 0.0, ()))
    with files([maps_of(counts=(1, 2, 4))]) as kept:
        assert kept.missing("a") == []


def test_runs_of_one_method_are_told_apart_by_their_folders_or_refused(tiny_dataset, tmp_path):
    split = load_split(tiny_dataset, "coco_gen")[:1]
    for run in ("a/first", "b/first", "b/second"):
        segment(InProcess(MethodWorker(Gradient())), split, tmp_path / run / "coco_gen", taus=(0.4,))
    first, same, second = (MethodSource(tmp_path / run) for run in ("a/first", "b/first", "b/second"))
    assert [one.name for one in read_maps([first, second], split)] == [
        "gradient (first)",
        "gradient (second)",
    ]
    with pytest.raises(InputError, match="two of the runs would be called 'gradient \\(first\\)'"):
        read_maps([first, same], split)


def test_a_method_can_not_have_the_name_of_what_all_share(tiny_dataset, tmp_path):
    asked = ask(load_split(tiny_dataset, "coco_gen")[:1], ("nouns",))
    methods = [replace(maps_of(), name=REFERENCE)]
    with pytest.raises(InputError, match="rename the method"):
        EffectsFiles(tmp_path, asked, methods, ("nouns",), dtype=None, restart=False)
