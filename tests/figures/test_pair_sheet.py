"""The contact sheet: which pairs, in which order, and what each of their images shows."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from daam_bench.figures.pair_sheet import SIDE, Card, card_panels, choose, contact_sheet, write_sheet
from daam_bench.figures.sheet import DOTS, PREDICTED, TRUE
from daam_bench.files.heat_maps import HeatMapsWriter, NounHeatMap
from daam_bench.files.predictions import PredictionsWriter
from daam_bench.scoring.score import score
from daam_bench.types import Prediction
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode, encode
from tests.figures.sheet_texts import texts_of
from tests.scoring.tiny_split import HEADER, left, make_split
from tests.tiny_dataset import generated_example

EXAMPLE = generated_example("one", "cat", "dog")
CAT, DOG = (decode(mask) for mask in EXAMPLE.masks)


def card(heat_map: HeatMap | None = None) -> Card:
    return Card(EXAMPLE, noun=0, iou=0.5, prediction=DOG, heat_map=heat_map)


def pixels_of(figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS)
    return np.asarray(Image.open(buffer).convert("RGB")).astype(int)


def near(pixels, colour):
    """Where pixels have much the colour #rrggbb."""
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return (np.abs(pixels - wanted) < 40).all(axis=-1)


def test_the_panels_are_image_heat_map_prediction_and_ground_truth_each_with_its_own_mask():
    heat_map = HeatMap(np.eye(4))
    image, heat, prediction, truth = card_panels(card(heat_map), with_map=True)
    assert [image.title, heat.title, prediction.title, truth.title] == [
        "image", "heat map", "prediction", "ground truth"
    ]  # fmt: skip
    assert heat.heat_map is heat_map
    assert image.heat_map is image.outline is image.paled is heat.outline is heat.paled is None
    for panel, colour, mask in ((prediction, PREDICTED, DOG), (truth, TRUE, CAT)):
        assert list(panel.outline) == [colour]
        assert np.array_equal(panel.outline[colour], mask)
        assert np.array_equal(panel.paled, ~mask)


def test_without_heat_maps_there_are_three_panels():
    assert [panel.title for panel in card_panels(card(), with_map=False)] == [
        "image", "prediction", "ground truth"
    ]  # fmt: skip


def test_a_missing_prediction_is_an_empty_mask():
    prediction = card_panels(replace(card(), prediction=None), with_map=False)[1]
    assert not prediction.outline[PREDICTED].any()
    assert prediction.paled.all()


def test_prediction_and_ground_truth_are_seen_under_their_captions_in_their_colours():
    figure = contact_sheet([[card()], [card()], [card()]], "Title")
    pixels = pixels_of(figure)[118 + 40 :, 20:]
    image, prediction, truth = (
        pixels[:SIDE, (SIDE + 6) * place : (SIDE + 6) * place + SIDE] for place in range(3)
    )
    captions = [(text, colour) for text, colour in texts_of(figure) if text in ("prediction", "ground truth")]
    assert captions[:2] == [("prediction", PREDICTED), ("ground truth", TRUE)]
    assert not near(image, PREDICTED).any()
    assert not near(image, TRUE).any()
    for shown, colour, mask in ((prediction, PREDICTED, DOG), (truth, TRUE, CAT)):
        rows, columns = np.nonzero(near(shown, colour))
        expected = [side * SIDE / mask.shape[0] for side in (*np.nonzero(mask.any(1))[0][[0, -1]],)]
        assert rows.min() == pytest.approx(expected[0], abs=2)
        assert rows.max() == pytest.approx(expected[1] + SIDE / mask.shape[0], abs=2)
        middle = np.nonzero(mask.any(0))[0].mean() * SIDE / mask.shape[1]
        assert columns.mean() == pytest.approx(middle, abs=4)


def test_a_heat_map_is_seen_in_the_second_panel_alone():
    figure = contact_sheet([[card(HeatMap(np.eye(4)))], [card()], [card()]], "Title")
    pixels = pixels_of(figure)[118 + 40 :, 20:]
    corner = [pixels[8, (SIDE + 6) * place + 8] for place in range(4)]
    assert [tuple(colour) == (255, 255, 255) for colour in corner] == [True, False, True, True]
    assert corner[1][2] < 220, "the top of the map is yellow"


def test_the_columns_are_best_median_and_worst_with_their_scores_from_the_top():
    cards = [[replace(card(), iou=iou) for iou in ious] for ious in ((0.9, 0.8), (0.5, 0.4), (0.1, 0.2))]
    texts = [text.strip() for text, _ in texts_of(contact_sheet(cards, "Title"))]
    wanted = [text for text in texts if text in ("best", "median", "worst") or text.startswith("IoU")]
    assert wanted == [
        "best", "IoU 0.90", "IoU 0.80", "median", "IoU 0.50", "IoU 0.40", "worst", "IoU 0.10", "IoU 0.20"
    ]  # fmt: skip


def test_best_median_and_worst():
    best, median, worst = choose(range(11), 3)
    assert best == [0, 1, 2]
    assert median == [4, 5, 6]
    assert worst == [10, 9, 8]


def test_fewer_pairs_than_places():
    assert [len(section) for section in choose([0, 1], 5)] == [2, 2, 2]


def test_a_heat_map_takes_a_fourth_image():
    plain = contact_sheet([[card()], [card()], [card()]], "Title")
    soft = contact_sheet([[card(HeatMap(np.eye(4)))], [card()], [card()]], "Title")
    assert (soft.get_figwidth() - plain.get_figwidth()) * DOTS > 3 * SIDE


def test_a_long_prompt_is_cut_around_its_noun():
    short = card()
    query = short.example.query
    padding = "very long words " * 30
    noun = replace(query.nouns[0], start=len(padding) + 2, end=len(padding) + 5)
    longer = replace(query, prompt=padding + query.prompt + padding, nouns=(noun, query.nouns[1]))
    long_card = replace(short, example=replace(short.example, query=longer))
    figure = contact_sheet([[long_card]] * 3, "Title")
    texts = [text for text, _ in texts_of(figure)]
    place = texts.index("cat", texts.index("cat  ") + 1)
    assert texts[place - 1].startswith("…")
    assert texts[place + 1].endswith("…")
    label = pixels_of(figure)[118 + 19 : 118 + 38, 20 : 20 + 3 * (SIDE + 6)]
    assert near(label, PREDICTED).any()
    assert not near(label[:, -4:], "#70747e").any()


def test_a_run_s_files_give_its_sheet(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(
        "daam_bench.figures.pair_sheet.contact_sheet",
        lambda sections, title: shown.update(sections=sections) or contact_sheet(sections, title),
    )
    split = make_split([[("cat", "cat", left(3))], [("dog", "dog", left(3))]])
    with PredictionsWriter(tmp_path / "predictions.jsonl", HEADER, taus=(0.3, 0.4)) as writer:
        for name, columns in (("0", 3), ("1", 1)):
            writer.append(
                [Prediction(name, 0, 0.3, encode(left(6))), Prediction(name, 0, 0.4, encode(left(columns)))]
            )
    with HeatMapsWriter(tmp_path / "heat_maps.jsonl", HEADER) as writer:
        writer.append(
            NounHeatMap(name, 0, np.full((2, 2), value, np.float32)) for name, value in (("0", 1), ("1", 2))
        )
    results = {tmp_path: score(split, tmp_path / "predictions.jsonl", resamples=1)}
    write_sheet(tmp_path / "pairs.png", results, tau="0.4", title="Title", rows=1)
    [best], _, [worst] = shown["sections"]
    assert [(best.iou, worst.iou)] == [(1, pytest.approx(1 / 3))]
    assert np.array_equal(best.prediction, left(3))
    assert np.array_equal(worst.prediction, left(1))
    assert [float(found.heat_map.values.max()) for found in (best, worst)] == [1, 2]
    assert Image.open(tmp_path / "pairs.png").width == 3 * (4 * (SIDE + 6) - 6 + 36) - 36 + 40
    with pytest.raises(InputError, match=r"no pair was scored at tau 0\.9"):
        write_sheet(tmp_path / "pairs.png", results, tau="0.9", title="Title")
