from dataclasses import replace

import numpy as np
from PIL import Image

from daam_bench.figures.pair_sheet import SIDE, Card, choose, contact_sheet, fit, outline
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode
from tests.tiny_dataset import generated_example


def card(heat_map: HeatMap | None = None) -> Card:
    example = generated_example("one", "cat", "dog")
    return Card(example, noun=0, iou=0.5, prediction=decode(example.masks[1]), heat_map=heat_map)


def test_small_images_are_enlarged_without_blurring():
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8))
    assert set(fit(image, 50).getdata()) == {(255, 0, 0), (0, 0, 255)}
    assert fit(image, 50).size == (50, 25)


def test_large_images_are_made_smaller():
    assert fit(Image.new("RGB", (300, 600)), 100).size == (50, 100)


def test_the_outline_runs_along_the_mask_and_nowhere_else():
    mask = np.zeros((10, 10), bool)
    mask[2:8, 3:9] = True
    drawn = np.asarray(outline(Image.new("RGB", (10, 10)), mask, (255, 0, 0), 100))
    is_red = (drawn == (255, 0, 0)).all(axis=-1)
    assert is_red[20, 30]
    assert is_red[79, 89]
    assert not is_red[50, 60]
    assert not is_red[10, 10]
    assert drawn[10, 10].mean() > drawn[50, 60].mean()


def test_best_median_and_worst():
    best, median, worst = choose([(number, None) for number in range(11)], 3)
    assert [row for row, _ in best] == [0, 1, 2]
    assert [row for row, _ in median] == [4, 5, 6]
    assert [row for row, _ in worst] == [10, 9, 8]


def test_fewer_pairs_than_places():
    assert [len(section) for section in choose([(0, None), (1, None)], 5)] == [2, 2, 2]


def test_a_heat_map_takes_a_fourth_image():
    plain = contact_sheet([[card()], [card()], [card()]], "Title")
    soft = contact_sheet([[card(HeatMap(np.eye(4)))], [card()], [card()]], "Title")
    assert soft.width - plain.width > 3 * SIDE


def test_a_long_prompt_is_cut_around_its_noun():
    short = card()
    query = short.example.query
    padding = "very long words " * 30
    noun = replace(query.nouns[0], start=len(padding) + 2, end=len(padding) + 5)
    longer = replace(query, prompt=padding + query.prompt + padding, nouns=(noun, query.nouns[1]))
    sheet = contact_sheet([[replace(short, example=replace(short.example, query=longer))]] * 3, "Title")
    pink = (np.asarray(sheet) == (255, 64, 129)).all(axis=-1)
    label = pink[118 + 19 : 118 + 38, : 3 * SIDE]
    assert label.any()
