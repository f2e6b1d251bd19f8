import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from daam_bench.files.predictions import HeatMapsWriter, NounHeatMap, PredictionsWriter
from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals, paired_difference
from daam_bench.scoring.compare import compare
from daam_bench.scoring.metrics import CURVE_TAUS
from daam_bench.scoring.results import tau_key
from daam_bench.scoring.score import score
from daam_bench.types import RLE, Prediction
from daam_bench.types.errors import InputError, ShapeError
from daam_bench.types.masks import encode
from tests.scoring.tiny_split import HEADER, HEIGHT, WIDTH, complete, left, make_split

NOTHING = left(0)

SPLIT = make_split(
    [
        [("cat", "cat", left(2)), ("lawn", None, left(4))],
        [("cat", "cat", left(6)), ("dog", "dog", None), ("sky", None, NOTHING)],
        [("pizza", "pizza", left(3))],
        [],
    ]
)


def predict(identifier: str, noun: int, columns: int, tau: float | None = None) -> Prediction:
    return Prediction(identifier, noun, tau, encode(left(columns)))


PREDICTIONS = [
    predict("0", 0, 4),  # IoU 1/2
    predict("0", 1, 4),  # IoU 1
    predict("1", 0, 0),  # empty: IoU 0
    predict("1", 1, 5),  # a noun that is not depicted
    predict("1", 2, 5),  # a noun with an empty mask
    Prediction("2", 0, None, None),  # nothing: IoU 0
]


def write(path: Path, predictions=PREDICTIONS, header=HEADER) -> Path:
    with PredictionsWriter(path, header) as writer:
        writer.append(predictions)
    return path


def test_means_over_all_pairs_and_over_those_of_the_80_classes():
    scores = score(SPLIT, PREDICTIONS)["none"]
    assert scores.miou_inf == pytest.approx((0.5 + 1 + 0 + 0) / 4)
    assert scores.miou_80 == pytest.approx((0.5 + 0 + 0) / 3)
    assert (scores.pairs_inf, scores.pairs_80) == (4, 3)
    assert scores.coverage == 2 / 4


def test_per_class_scores_stand_in_cocos_order():
    per_class = score(SPLIT, PREDICTIONS)["none"].per_class
    assert [(name, entry.miou, entry.pairs) for name, entry in per_class.items()] == [
        ("cat", 0.25, 2),
        ("pizza", 0, 1),
    ]


def test_a_negative_noun_is_an_error():
    with pytest.raises(InputError, match="noun -1"):
        score(SPLIT, [predict("0", -1, 2)])


def test_a_file_scores_as_its_predictions_do(tmp_path):
    from_file = score(SPLIT, write(tmp_path / "file"))
    assert from_file.header == HEADER
    assert dict(from_file) == dict(score(SPLIT, PREDICTIONS))
    assert dict(score(SPLIT, str(tmp_path / "file"))) == dict(from_file)


def test_every_tau_is_scored_by_itself_and_in_order():
    predictions = [predict("0", 0, 2, 0.4), predict("0", 0, 4, 0.05), predict("0", 0, 0, 1)]
    scores = score(SPLIT, complete(SPLIT, predictions))
    assert list(scores) == ["0.05", "0.4", "1"]
    assert [entry.miou_inf for entry in scores.values()] == [0.5 / 4, 1 / 4, 0]


def test_zero_has_no_sign():
    tau_key.cache_clear()
    negative = [dataclasses.replace(entry, tau=-0.0) for entry in PREDICTIONS]
    assert list(score(SPLIT, negative)) == ["0"]
    assert score(SPLIT, negative)[0] == score(SPLIT, negative)[-0.0]


def test_the_order_of_predictions_does_not_matter():
    assert dict(score(SPLIT, PREDICTIONS[::-1])) == dict(score(SPLIT, PREDICTIONS))


def test_a_method_that_gave_nothing_scores_0_at_every_pair():
    scores = score(SPLIT, complete(SPLIT, []))["none"]
    assert (scores.miou_inf, scores.miou_80, scores.coverage, scores.pairs_inf) == (0, 0, 0, 4)


def test_without_pairs_of_the_80_classes_there_is_no_score_of_them():
    scores = score(make_split([[("lawn", None, left(2))]]), [predict("0", 0, 2)])["none"]
    assert (scores.miou_80, scores.ci95_80, scores.pairs_80, scores.per_class) == (None, None, 0, {})
    assert (scores.miou_inf, scores.ci95_inf) == (1, (1, 1))


@pytest.mark.parametrize("examples", [[], [[]], [[("dog", "dog", None)]]])
def test_without_any_pair_there_are_no_scores(examples):
    split = make_split(examples)
    scores = score(split, complete(split, []))["none"]
    assert (scores.miou_80, scores.miou_inf, scores.ci95_inf, scores.coverage) == (None, None, None, None)


def test_more_predictions_than_one_block_holds():
    split = make_split([[("cat", "cat", left(1 + number % WIDTH))] for number in range(300)])
    predictions = [predict(str(number), 0, 3) for number in range(300)]
    expected = np.mean([min(3, columns) / max(3, columns) for columns in range(1, 7)])
    assert score(split, predictions)["none"].miou_inf == pytest.approx(expected)


def test_intervals_are_over_images():
    totals = ImageTotals(np.array([1.5, 0, 0]), np.array([2, 1, 1]))
    scores = score(SPLIT, PREDICTIONS, resamples=500, seed=3)["none"]
    assert scores.ci95_inf == confidence_intervals([totals], resamples=500, seed=3)[0]


def test_pairs_are_listed_with_their_iou():
    rows = [
        (row.id, row.noun, row.text, row.coco_class, row.tau, row.iou)
        for row in score(SPLIT, PREDICTIONS).pairs()
    ]
    assert rows == [
        ("0", 0, "cat", "cat", "none", 0.5),
        ("0", 1, "lawn", None, "none", 1),
        ("1", 0, "cat", "cat", "none", 0),
        ("2", 0, "pizza", "pizza", "none", 0),
    ]


@pytest.mark.parametrize(
    ("prediction", "complaint"),
    [
        (predict("9", 0, 1), "no example with that id"),
        (predict("2", 1, 1), "noun 1 of an example that has 1"),
        (predict("3", 0, 1), "noun 0 of an example that has 0"),
        (predict("0", 0, 1), "second prediction of noun 0 at tau none"),
        (Prediction("2", 0, None, encode(left(1, (WIDTH, HEIGHT)))), "resize it to the image"),
        (Prediction("1", 1, 0.5, encode(left(1, (2, 2)))), "resize it to the image"),
    ],
)
def test_a_prediction_that_does_not_fit_the_split_is_named(tmp_path, prediction, complaint):
    predictions = [*PREDICTIONS, prediction]
    with pytest.raises(InputError, match=complaint) as caught:
        score(SPLIT, predictions)
    assert str(caught.value).startswith(f"prediction 7 (id '{prediction.id}')")
    path = tmp_path / "file"
    write(path)
    with PredictionsWriter(tmp_path / "other", HEADER) as writer:
        writer.append([prediction])
    with path.open("ab") as file:
        file.write((tmp_path / "other").read_bytes().splitlines(keepends=True)[1])
    with pytest.raises(InputError, match=complaint) as caught:
        score(SPLIT, path)
    assert str(caught.value).startswith(f"{path}, line 8 (id '{prediction.id}')")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"split": "unreal_gen"}, {"dataset": "other"}, {"fingerprint": "0" * 64}])
def test_predictions_of_another_split_or_dataset_are_an_error(tmp_path, change):
    header = dataclasses.replace(HEADER, **change)
    with pytest.raises(InputError, match=r"file is of|other content"):
        score(SPLIT, write(tmp_path / "file", header=header))


def test_the_same_dataset_may_be_loaded_from_another_folder(tmp_path):
    split = dataclasses.replace(SPLIT, dataset=str(tmp_path / HEADER.dataset))
    assert dict(score(split, write(tmp_path / "file"))) == dict(score(SPLIT, PREDICTIONS))


@pytest.mark.parametrize(
    ("truth", "kind"),
    [(RLE((HEIGHT, WIDTH), "05"), InputError), (encode(left(1, (WIDTH, HEIGHT))), ShapeError)],
)
@pytest.mark.parametrize("predictions", [[Prediction("0", 0, None, None)], [predict("0", 0, 1)]])
def test_a_broken_truth_is_named(truth, kind, predictions):
    split = make_split([[("cat", "cat", truth)]])
    with pytest.raises(InputError, match=r"id '0'.*rebuild the dataset|id '0', noun 0: the runs"):
        score(split, predictions)


def test_an_id_twice_in_a_split_is_an_error():
    split = make_split([[("cat", "cat", left(1))]])
    with pytest.raises(InputError, match="twice"):
        score(dataclasses.replace(split, examples=split.examples * 2), [])


class TestIncomplete:
    """Predictions without a line for every noun: which of them were never asked is not known to be wrong."""

    asked = PREDICTIONS[:4]
    """All of example "0", two nouns of "1", nothing of "2"."""

    def test_are_refused_with_the_count_and_the_first_ids(self, tmp_path):
        with pytest.raises(InputError, match=r"2 of 6 nouns of 'coco_gen' were never asked \(ids '1', '2'\)"):
            score(SPLIT, self.asked)
        path = write(tmp_path / "file", self.asked)
        with pytest.raises(InputError, match="--partial") as caught:
            score(SPLIT, path)
        assert str(caught.value).startswith(f"{path}: incomplete")

    @pytest.mark.parametrize(("images", "ids"), [(3, "'0', '1', '2'"), (4, "'0', '1', '2', ...")])
    def test_no_more_than_three_ids_are_named(self, images, ids):
        split = make_split([[("cat", "cat", left(2)), ("sky", None, None)]] * images)
        with pytest.raises(InputError) as caught:
            score(split, [])
        assert f"(ids {ids})" in str(caught.value)

    def test_none_at_all_are_refused_too(self):
        with pytest.raises(InputError, match="6 of 6 nouns"):
            score(SPLIT, [])

    def test_a_noun_without_a_line_at_one_tau_is_incomplete(self):
        every = complete(SPLIT, [predict("0", 0, 2, 0.3), predict("0", 0, 2, 0.4)])
        with pytest.raises(InputError, match="1 of 6 nouns"):
            score(SPLIT, every[:-1])

    def test_partial_scores_the_nouns_that_were_asked_and_says_so(self):
        scores = score(SPLIT, self.asked, partial=True)
        assert scores.partial
        assert scores["none"].miou_inf == pytest.approx((0.5 + 1 + 0) / 3)
        assert (scores["none"].pairs_inf, scores["none"].images_inf) == (3, 2)
        assert scores["none"].coverage == 2 / 3
        assert not score(SPLIT, PREDICTIONS, partial=True).partial

    def test_partial_scores_of_the_first_examples_are_those_of_the_slice(self, tmp_path):
        first = [prediction for prediction in PREDICTIONS if prediction.id in "01"]
        of_slice = score(SPLIT[:2], first)
        assert of_slice.partial
        assert dict(score(SPLIT, first, partial=True)) == dict(of_slice)

    def test_arrays_for_some_examples_are_incomplete(self):
        some = {"0": [left(2), None], "1": [None, None, None]}
        with pytest.raises(InputError, match="1 of 6 nouns"):
            score(SPLIT, some)
        assert score(SPLIT, some, partial=True)["none"].miou_inf == pytest.approx(1 / 3)

    def test_arrays_of_heat_maps_with_none_among_them_are_complete(self):
        heat = np.ones((HEIGHT, WIDTH), dtype=np.float32)
        given = {"0": [None, heat], "1": [None, None, None], "2": [heat], "3": []}
        scores = score(SPLIT, given, tau=(0.3, 0.4))
        assert list(scores) == ["0.3", "0.4"]
        assert scores["0.3"].coverage == 2 / 4

    def test_scores_over_other_nouns_are_not_compared(self):
        full, part = score(SPLIT, PREDICTIONS), score(SPLIT, self.asked, partial=True)
        with pytest.raises(InputError, match="same examples"):
            compare(full, part, "none", "none")


class TestHeatMaps:
    """The metrics of soft methods."""

    heat = np.linspace(1, 0, WIDTH, dtype=np.float32)[np.newaxis].repeat(HEIGHT, axis=0)

    def write(self, path: Path, maps, header=HEADER) -> Path:
        with HeatMapsWriter(path, header) as writer:
            writer.append(maps)
        return path

    def test_scores_of_maps_at_the_images_size(self, tmp_path):
        maps = [NounHeatMap("0", 0, self.heat), NounHeatMap("2", 0, self.heat[:, ::-1].copy())]
        path = self.write(tmp_path / "maps", maps)
        scores = score(SPLIT, PREDICTIONS, path)["none"]
        backwards = np.mean([1 / 4, 2 / 5, 3 / 6])
        assert scores.average_precision == pytest.approx((1 + backwards) / 4)
        assert scores.pointing_game == 1 / 4
        assert scores.miou_over_tau is not None
        assert list(scores.miou_over_tau) == [format(tau, "g") for tau in CURVE_TAUS]

    def test_the_curve_is_what_the_thresholded_maps_score(self, tmp_path):
        from daam_bench.types.heat_map import HeatMap

        generator = np.random.default_rng(0)
        maps = [
            NounHeatMap(identifier, 0, generator.random((3, 2), dtype=np.float32) * generator.integers(2))
            for identifier in ("0", "1", "2")
        ]
        hard = [
            Prediction(entry.id, 0, tau, encode(HeatMap(entry.values).resize((WIDTH, HEIGHT)).threshold(tau)))
            for entry in maps
            for tau in CURVE_TAUS
        ]
        scores = score(SPLIT, complete(SPLIT, hard), self.write(tmp_path / "maps", maps))
        for tau, at_tau in scores.items():
            point = (at_tau.miou_over_tau or {})[tau]
            assert point.miou_inf == pytest.approx(at_tau.miou_inf)
            assert point.miou_80 == pytest.approx(at_tau.miou_80)

    def test_a_run_s_folder_is_scored_with_its_heat_maps(self, tmp_path):
        folder = tmp_path / "run" / SPLIT.name
        write(folder / "predictions.jsonl")
        maps = self.write(folder / "heat_maps.jsonl", [NounHeatMap("0", 0, self.heat)])
        expected = dict(score(SPLIT, folder / "predictions.jsonl", maps))
        assert expected["none"].pointing_game == 1 / 4
        for given in (tmp_path / "run", folder):
            assert dict(score(SPLIT, given)) == expected

    def test_another_file_of_heat_maps_goes_before_that_of_the_run(self, tmp_path):
        write(tmp_path / "predictions.jsonl")
        self.write(tmp_path / "heat_maps.jsonl", [NounHeatMap("0", 0, self.heat)])
        other = self.write(tmp_path / "other", [])
        assert score(SPLIT, tmp_path, other)["none"].pointing_game == 0

    def test_a_folder_without_predictions_is_an_error(self, tmp_path):
        with pytest.raises(InputError, match=r"no predictions\.jsonl in"):
            score(SPLIT, tmp_path)

    @pytest.mark.filterwarnings("error")
    def test_maps_of_nouns_that_were_not_drawn_do_not_count(self, tmp_path):
        path = self.write(tmp_path / "maps", [NounHeatMap("1", noun, self.heat) for noun in (1, 2)])
        assert score(SPLIT, complete(SPLIT, []), path)["none"].average_precision == 0

    def test_maps_of_another_run_are_an_error(self, tmp_path):
        path = self.write(tmp_path / "maps", [], dataclasses.replace(HEADER, parameters={"steps": 1}))
        with pytest.raises(InputError, match="another run"):
            score(SPLIT, write(tmp_path / "file"), path)

    def test_double_and_unknown_maps_are_errors(self, tmp_path):
        path = self.write(tmp_path / "maps", [NounHeatMap("0", 0, self.heat)])
        with path.open("a") as file:
            file.write(path.read_text().splitlines()[1] + "\n")
        with pytest.raises(InputError, match="second heat map"):
            score(SPLIT, complete(SPLIT, []), path)
        path = self.write(tmp_path / "others", [NounHeatMap("9", 0, self.heat)])
        with pytest.raises(InputError, match="no example with that id"):
            score(SPLIT, complete(SPLIT, []), path)


class TestCompare:
    """Two methods on the same split."""

    def test_the_difference_of_the_means(self):
        better = score(SPLIT, [*PREDICTIONS[:-1], predict("2", 0, 3)])
        comparison = compare(better, score(SPLIT, PREDICTIONS), "none", "none")
        assert comparison.miou_inf is not None
        assert comparison.miou_inf.mean == pytest.approx(1 / 4)
        assert 0 == comparison.miou_inf.low <= comparison.miou_inf.mean <= comparison.miou_inf.high

    def test_a_method_does_not_differ_from_itself(self):
        scores = score(SPLIT, PREDICTIONS)
        difference = compare(scores, scores, "none", "none").miou_80
        assert difference is not None
        assert (difference.mean, difference.low, difference.high) == (0, 0, 0)

    def test_each_method_at_its_own_tau(self):
        a = score(SPLIT, complete(SPLIT, [predict("0", 0, 2, 0.3), predict("0", 0, 4, 0.4)]))
        b = score(SPLIT, complete(SPLIT, [predict("0", 0, 4, 0.3), predict("0", 0, 0, 0.4)]))
        difference = compare(a, b, "0.3", "0.4").miou_inf
        assert difference is not None
        assert difference.mean == pytest.approx(1 / 4)

    def test_each_mean_is_compared_over_its_own_pairs_with_the_seed_and_resamples_given(self):
        better = score(SPLIT, [predict("0", 1, 1), *(p for p in PREDICTIONS if (p.id, p.noun) != ("0", 1))])
        found = compare(better, score(SPLIT, PREDICTIONS), "none", "none", resamples=50, seed=3)
        assert found.miou_80 is not None
        assert found.miou_80.mean == 0
        totals = [
            scores.ious.image_totals("none", only_80=False) for scores in (better, score(SPLIT, PREDICTIONS))
        ]
        assert found.miou_inf == paired_difference(*totals, resamples=50, seed=3)

    def test_slices_of_other_examples_are_not_compared(self):
        one, two = (
            score(
                SPLIT[start : start + 1], [Prediction(str(start), noun, None, None) for noun in range(nouns)]
            )
            for start, nouns in ((0, 2), (2, 1))
        )
        with pytest.raises(InputError, match="same slice"):
            compare(one, two, "none", "none")

    def test_other_splits_and_taus_are_errors(self):
        scores = score(SPLIT, PREDICTIONS)
        other = score(dataclasses.replace(SPLIT, fingerprint="0"), PREDICTIONS)
        with pytest.raises(InputError, match="same split"):
            compare(scores, other, "none", "none")
        with pytest.raises(InputError, match="choose from none"):
            compare(scores, scores, "none", "0.4")


def test_scoring_loads_no_torch(tmp_path):
    import subprocess
    import sys

    script = "import sys, daam_bench.scoring.score, daam_bench.scoring.report; print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(output.strip().lower()) is False
