"""What `segment` writes, what it refuses, and how it goes on after being killed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from daam_bench.datasets.load import load_split
from daam_bench.files.json_lines import LinesWriter
from daam_bench.files.predictions import read_heat_maps, read_predictions
from daam_bench.segmenters.segment import count_drifted, segment
from daam_bench.segmenters.trivial import RandomHalf, WholeImage
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode
from tests.segmenters.methods import Gradient, Returns


@pytest.fixture
def split(tiny_dataset):
    return load_split(tiny_dataset, "coco_gen")


def run(method, split, output, **options):
    return segment(method, split, output, progress=False, **options)


def test_a_hard_method_gives_one_line_a_noun_without_tau(split, tmp_path):
    header, predictions = read_predictions(run(WholeImage(), split, tmp_path))
    predictions = list(predictions)
    assert (header.method, header.split, header.fingerprint) == ("whole", "coco_gen", split.fingerprint)
    expected = [(query.id, noun) for query in split.queries() for noun in range(len(query.nouns))]
    assert [(prediction.id, prediction.noun) for prediction in predictions] == expected
    assert all(prediction.tau is None and decode(prediction.mask).all() for prediction in predictions)
    assert not (tmp_path / "heat_maps.jsonl").exists()


def test_a_heat_map_is_resized_then_cut_at_every_tau(split, tmp_path):
    predictions = list(read_predictions(run(Gradient(), split, tmp_path, taus=(0.2, 0.7), limit=1))[1])
    assert [prediction.tau for prediction in predictions] == [0.2, 0.7, 0.2, 0.7]
    heat_map = Gradient().segment(split.queries()[:1])[0][0]
    for prediction in predictions:
        expected = heat_map.resize((32, 32)).threshold(prediction.tau)
        np.testing.assert_array_equal(decode(prediction.mask), expected)


def test_heat_maps_are_kept_at_their_own_size(split, tmp_path):
    run(Gradient(), split, tmp_path)
    _, maps = read_heat_maps(tmp_path / "heat_maps.jsonl")
    assert {entry.values.shape for entry in maps} == {(8, 8)}


def test_a_float_array_is_a_heat_map(split, tmp_path):
    array = np.array([[0, 1], [0, 0]], dtype=np.float16)
    run(Returns(lambda queries: [[array] * len(query.nouns) for query in queries]), split, tmp_path)
    prediction = next(read_predictions(tmp_path / "predictions.jsonl")[1])
    np.testing.assert_array_equal(decode(prediction.mask), HeatMap(array).resize((32, 32)).threshold(0.4))


def nothing_but(split, found):
    """A method that gives `found` for the last example's first noun and nothing for any other."""
    last = split.queries()[-1].id
    return Returns(
        lambda queries: [
            [found if query.id == last and not i else None for i in range(2)] for query in queries
        ]
    )


@pytest.mark.parametrize(
    ("found", "taus"), [(np.ones((32, 32), bool), {None}), (np.ones((2, 2)), {0.4}), (None, {None})]
)
def test_no_prediction_is_a_line_of_the_methods_kind_without_a_mask(split, tmp_path, found, taus):
    predictions = list(read_predictions(run(nothing_but(split, found), split, tmp_path, batch_size=1))[1])
    assert len(predictions) == 10
    assert {prediction.tau for prediction in predictions} == taus
    given = [prediction.mask is not None for prediction in predictions]
    assert given == [False] * 8 + [found is not None, False]


def good(query):
    return [np.ones((32, 32), bool) for _ in query.nouns]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda queries: None, "returned a NoneType; return a list of lists, one a query"),
        (lambda queries: good(queries[0]), "example 'coco-0'"),
        (lambda queries: [good(query) for query in queries][:-1], "returned 4 results for 5 queries"),
        (lambda queries: [good(query)[:1] for query in queries], "1 segmentations for 2 nouns"),
        (
            lambda queries: [[np.ones((31, 32), bool)] * 2] * 5,
            "shape (31, 32), but the image's (height, width) is",
        ),
        (lambda queries: [[np.ones((32, 32), np.uint8)] * 2] * 5, "an array of uint8; return a boolean mask"),
        (
            lambda queries: [[np.full((4, 4), np.nan)] * 2] * 5,
            "noun 'cat': a heat map must hold finite values",
        ),
        (lambda queries: [[-np.ones((4, 4))] * 2] * 5, "finite values >= 0"),
        (lambda queries: [[np.ones(4)] * 2] * 5, "(height, width)"),
        (lambda queries: [[np.ma.ones((32, 32), bool)] * 2] * 5, "a masked array"),
        (lambda queries: [[np.ma.ones((4, 4))] * 2] * 5, "a masked array"),
        (lambda queries: [[np.ones((4, 4)), np.ones((32, 32), bool)]] * 5, "both hard masks and heat maps"),
    ],
)
def test_what_a_method_may_not_return(split, tmp_path, answer, expected):
    with pytest.raises(InputError) as caught:
        run(Returns(answer), split, tmp_path)
    assert expected in str(caught.value)
    assert "'returns'" in str(caught.value)


def test_a_method_that_changes_its_kind_between_batches(split, tmp_path):
    def answer(queries):
        return [good(query) if query.id != "coco-4" else [np.ones((4, 4))] * 2 for query in queries]

    with pytest.raises(InputError, match="both hard masks and heat maps"):
        run(Returns(answer), split, tmp_path, batch_size=2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"taus": (1.5,)}, "in [0, 1], not 1.5"),
        ({"taus": (float("nan"),)}, "in [0, 1]"),
        ({"taus": ()}, "no tau"),
        ({"batch_size": 0}, "batch size"),
        ({"limit": 0}, "limit"),
    ],
)
def test_bad_arguments(split, tmp_path, options, expected):
    with pytest.raises(InputError) as caught:
        run(WholeImage(), split, tmp_path, **options)
    assert expected in str(caught.value)


def test_a_segmenter_never_sees_a_mask(split, tmp_path):
    seen = []
    run(Returns(lambda queries: seen.extend(queries) or [good(query) for query in queries]), split, tmp_path)
    truths = {mask.counts for example in split for mask in example.masks if mask is not None}
    assert seen
    assert not any(truth in repr(query) for query in seen for truth in truths)


def test_parameters_must_be_json(split, tmp_path):
    method = WholeImage()
    method_with_object = Returns(method.segment)
    method_with_object.parameters = {"device": object()}
    with pytest.raises(InputError, match="no JSON values"):
        run(method_with_object, split, tmp_path)


def test_done_batches_are_not_asked_for_again(split, tmp_path):
    asked = []

    def answer(queries):
        asked.append([query.id for query in queries])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return [good(query) for query in queries]

    with pytest.raises(KeyboardInterrupt):
        run(Returns(answer), split, tmp_path, batch_size=2)
    run(Returns(answer), split, tmp_path, batch_size=2)
    assert asked == [["coco-0", "coco-1"], ["coco-2", "coco-3"], ["coco-2", "coco-3"], ["coco-4"]]


def test_an_interrupted_batch_is_done_again_as_a_whole(split, tmp_path):
    path = run(Gradient(), split, tmp_path, batch_size=2)
    whole, maps = path.read_bytes(), (tmp_path / "heat_maps.jsonl").read_bytes()
    for cut in (len(whole) - 1, len(whole) // 2, whole.index(b"\n") + 1, 10, 0):
        path.write_bytes(whole[:cut])
        asked = []

        class Counting(Gradient):
            def segment(self, queries, asked=asked):
                asked.append(len(queries))
                return super().segment(queries)

        run(Counting(), split, tmp_path, batch_size=2)
        assert path.read_bytes() == whole
        assert (tmp_path / "heat_maps.jsonl").read_bytes() == maps
        assert asked


def test_another_tau_is_added_to_those_there(split, tmp_path):
    run(Gradient(), split, tmp_path, taus=(0.4,))
    run(Gradient(), split, tmp_path, taus=(0.4, 0.5))
    taus = [prediction.tau for prediction in read_predictions(tmp_path / "predictions.jsonl")[1]]
    assert sorted(taus) == [0.4] * 10 + [0.5] * 10


def test_another_methods_predictions_are_kept_unless_told(split, tmp_path):
    run(RandomHalf(seed=0), split, tmp_path)
    with pytest.raises(InputError, match="--restart"):
        run(RandomHalf(seed=1), split, tmp_path)
    run(RandomHalf(seed=1), split, tmp_path, restart=True)
    header, _ = read_predictions(tmp_path / "predictions.jsonl")
    assert header.parameters == {"seed": 1}


class Drifting(Gradient):
    """A soft method that says how far the images it generated are from the dataset's."""

    tolerance = 4.0
    drift: ClassVar[dict[str, float]] = {}

    def segment(self, queries):
        self.drift = {query.id: 1.0 for query in queries}
        return super().segment(queries)


@pytest.mark.parametrize(
    ("interrupted", "written"),
    [
        ("drift.jsonl", (0, 0, 0)),
        ("heat_maps.jsonl", (1, 0, 0)),
        ("predictions.jsonl", (1, 2, 0)),
    ],
)
def test_a_prediction_is_never_in_the_files_before_its_drift_and_its_heat_map(
    split, tmp_path, monkeypatch, interrupted, written
):
    write = LinesWriter.write

    def stopped(self, records):
        if self.path.name == interrupted:
            raise KeyboardInterrupt
        write(self, records)

    monkeypatch.setattr(LinesWriter, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(Drifting(), split, tmp_path, batch_size=1)
    lines = [
        len(path.read_bytes().splitlines()[1:]) if (path := tmp_path / name).exists() else 0
        for name in ("drift.jsonl", "heat_maps.jsonl", "predictions.jsonl")
    ]
    assert tuple(lines) == written
    monkeypatch.undo()
    run(Drifting(), split, tmp_path, batch_size=1)
    assert count_drifted(tmp_path, Drifting.tolerance) == 0
    assert len(list(read_heat_maps(tmp_path / "heat_maps.jsonl")[1])) == 10


def test_heat_maps_that_went_missing(split, tmp_path):
    run(Gradient(), split, tmp_path)
    (tmp_path / "heat_maps.jsonl").unlink()
    with pytest.raises(InputError, match="is gone; use --restart"):
        run(Gradient(), split, tmp_path)


def test_examples_without_nouns_are_passed_over(split, tmp_path, tiny_dataset):
    first = split.examples[0]
    bare = replace(first, query=replace(first.query, nouns=()), masks=())
    asked = []
    method = Returns(lambda queries: asked.extend(queries) or [good(query) for query in queries])
    run(method, replace(split, examples=(bare, *split.examples[1:])), tmp_path)
    assert [query.id for query in asked] == [query.id for query in split.queries()[1:]]


def test_killed_and_run_again_gives_the_same_bytes_and_scores(tiny_dataset, tmp_path):
    def command(output: Path) -> list[str]:
        method = ["--method", "tests.segmenters.methods:Slow", "--tau", "0.3,0.4", "--batch-size", "1"]
        return [
            sys.executable,
            "-m",
            "daam_bench.run",
            "--dataset",
            str(tiny_dataset),
            "--output",
            str(output),
            *method,
        ]

    quick = {**os.environ, "SECONDS_A_BATCH": "0"}
    subprocess.run(command(tmp_path / "whole"), env=quick, check=True, capture_output=True)
    killed = subprocess.Popen(
        command(tmp_path / "killed"), env={**os.environ, "SECONDS_A_BATCH": "60"}, stderr=subprocess.DEVNULL
    )
    predictions = tmp_path / "killed" / "coco_gen" / "predictions.jsonl"
    while not (predictions.exists() and predictions.read_bytes().count(b"\n") > 2):
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert predictions.read_bytes() != (tmp_path / "whole" / "coco_gen" / "predictions.jsonl").read_bytes()
    subprocess.run(command(tmp_path / "killed"), env=quick, check=True, capture_output=True)
    for name in (
        "coco_gen/predictions.jsonl",
        "coco_gen/heat_maps.jsonl",
        "unreal_gen/predictions.jsonl",
        "pairs.csv",
    ):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "killed")]
    assert reports[0]["splits"] == reports[1]["splits"]
