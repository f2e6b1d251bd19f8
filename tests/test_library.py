"""The library as DESIGN promises it: the names at the top level, on arrays, tensors, functions and splits."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import daam_bench
from daam_bench import HeatMap, InputError, Split, evaluate, get_segmenter, load_split, score, segment
from daam_bench.job import Settings, run
from daam_bench.scoring.compare import compare
from tests.segmenters.methods import Gradient, Returns, left_to_right


@pytest.fixture
def split(tiny_dataset) -> Split:
    return load_split(tiny_dataset, "coco_gen")


def gradient(query):
    height, width = query.image.height // 4, query.image.width // 4
    return [left_to_right(height, width) for _ in query.nouns]


def middle(query):
    mask = np.zeros((query.image.height, query.image.width), dtype=bool)
    mask[8:24, 8:24] = True
    return [mask for _ in query.nouns]


def test_the_top_level_has_every_name_it_lists():
    assert set(dir(daam_bench)) == set(daam_bench.__all__)
    promised = {"evaluate", "load_split", "score", "segment", "trace", "trace_images", "HeatMap", "Query"}
    assert promised <= set(daam_bench.__all__)
    for name in daam_bench.__all__:
        assert getattr(daam_bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = daam_bench.nothing


def test_the_names_of_scoring_load_no_torch():
    code = (
        "import sys; from daam_bench import HeatMap, Query, Split, evaluate, load_split, score, segment; "
        "print({'torch', 'diffusers', 'matplotlib'} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_without_a_split_the_error_says_which_there_are(tiny_dataset):
    with pytest.raises(InputError, match=r"holds coco_gen, unreal_gen$"):
        load_split(tiny_dataset)


class TestEvaluate:
    """In memory, without folders."""

    def test_the_scores_are_those_of_a_run(self, tiny_dataset, split, tmp_path):
        settings = Settings(
            method="tests.segmenters.methods:Gradient",
            options={},
            dataset=str(tiny_dataset),
            splits=("coco_gen",),
            taus=(0.3, 0.4),
            batch_size=2,
            limit=None,
            output=tmp_path,
            progress=False,
        )
        report = run(settings)
        for method in (Gradient(), gradient):
            assert dict(evaluate(method, split, tau=(0.3, 0.4))) == report.splits["coco_gen"]

    def test_a_function_may_give_masks(self, split, tmp_path):
        scores = evaluate(middle, split)
        assert list(scores) == ["none"]
        assert dict(scores) == dict(score(split, segment(middle, split, tmp_path, progress=False)))

    def test_a_score_is_found_by_its_tau_as_a_number(self, split):
        scores = evaluate(gradient, split, tau=0.4)
        assert scores[0.4] is scores["0.4"]
        assert evaluate(middle, split)[None].pairs_inf == scores[0.4].pairs_inf

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
    def test_tensors_with_gradients_are_taken_where_arrays_are(self, split, dtype):
        def tensors(query):
            return [torch.tensor(found, dtype=dtype, requires_grad=True) for found in gradient(query)]

        def rounded(query):
            return [found.detach().float().numpy() for found in tensors(query)]

        assert dict(evaluate(tensors, split)) == dict(evaluate(rounded, split))
        masks = lambda query: [torch.tensor(found) for found in middle(query)]  # noqa: E731
        assert dict(evaluate(masks, split)) == dict(evaluate(middle, split))

    def test_a_slice_is_evaluated_by_itself(self, split):
        assert evaluate(middle, split[:2])[None].pairs_inf == 4

    def test_a_method_of_the_package(self, split):
        assert evaluate(get_segmenter("whole"), split)[None].coverage == 1

    def test_nothing_is_an_answer_that_scores_0(self, split):
        scores = evaluate(lambda query: [None for _ in query.nouns], split)
        assert list(scores) == ["none"]
        assert (scores[None].miou_inf, scores[None].coverage) == (0, 0)

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            (Gradient, "Gradient is a class; give a method made of it"),
            (3, "a int is no method: it lacks name, parameters, segment, and is no function"),
            (lambda query: [None], "method '<lambda>', example 'coco-0': 1 segmentations for 2 nouns"),
            (lambda query: [np.ones((2, 2)), np.ones((32, 32), bool)], "both hard masks and heat maps"),
        ],
    )
    def test_what_is_no_method(self, split, method, expected):
        with pytest.raises(InputError) as caught:
            evaluate(method, split)
        assert expected in str(caught.value)

    @pytest.mark.parametrize("options", [{"tau": 2.0}, {"tau": ()}, {"batch_size": 0}])
    def test_bad_arguments(self, split, options):
        with pytest.raises(InputError, match=r"tau|batch size"):
            evaluate(middle, split, **options)


class TestScore:
    """Of a file, a run's folder, and arrays."""

    def test_a_folder_is_scored_with_its_heat_maps(self, split, tmp_path):
        path = segment(Gradient(), split, tmp_path / "coco_gen", progress=False)
        by_folder = score(split, tmp_path / "coco_gen")
        assert by_folder["0.4"].average_precision is not None
        assert dict(score(split, str(tmp_path))) == dict(by_folder)
        assert dict(score(split, path, tmp_path / "coco_gen" / "heat_maps.jsonl")) == dict(by_folder)
        assert score(split, path)["0.4"].average_precision is None

    def test_a_folder_without_predictions(self, split, tmp_path):
        with pytest.raises(InputError, match="give the output folder of a run"):
            score(split, tmp_path)

    def test_arrays_example_by_example_and_by_id(self, split):
        expected = dict(evaluate(gradient, split, tau=0.3))
        listed = [gradient(query) for query in split.queries()]
        assert dict(score(split, listed, tau=0.3)) == expected
        by_id = {query.id: [HeatMap(found) for found in gradient(query)] for query in split.queries()}
        assert dict(score(split, by_id, tau=0.3)) == expected
        assert dict(score(split, reversed(list(by_id.items())), tau=[0.3])) == expected

    def test_arrays_that_do_not_fit(self, split):
        with pytest.raises(InputError, match="segmentations of 2 examples for a split of 5"):
            score(split, [middle(query) for query in split.queries()[:2]])
        with pytest.raises(InputError, match="no example 'coco-9'"):
            score(split, {"coco-9": []})
        with pytest.raises(InputError, match=r"example 'coco-0', noun 'cat': a mask of shape \(2, 2\)"):
            score(split, {"coco-0": [np.ones((2, 2), bool), None]})

    def test_slices_are_compared_with_themselves_alone(self, split):
        front, back = evaluate(middle, split[:2]), evaluate(middle, split[3:])
        with pytest.raises(InputError, match="score both methods on the same slice"):
            compare(front, back, "none", "none")


class TestSegment:
    """Functions as methods."""

    def test_a_function_that_was_changed_is_not_resumed(self, split, tmp_path):
        segment(middle, split, tmp_path, progress=False)
        segment(middle, split, tmp_path, progress=False)
        changed = lambda query: middle(query)[::-1]  # noqa: E731
        changed.__name__ = "middle"
        with pytest.raises(InputError, match="--restart"):
            segment(changed, split, tmp_path, progress=False)

    def test_the_name_of_a_function_does_not_depend_on_the_process(self):
        code = (
            "from daam_bench.segmenters.base import as_segmenter\n"
            "def f(query): return [None for noun in query.nouns if noun.text in {'cat', 'dog', 'bird'}]\n"
            "print(as_segmenter(f).parameters)"
        )
        said = {
            subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(said) == 1

    def test_a_method_hears_of_the_whole_split_before_a_slice(self, split):
        heard = []
        method = Returns(lambda queries: [middle(query) for query in queries])
        method.begin_split = lambda name, queries: heard.append((name, [query.id for query in queries]))
        evaluate(method, split[3:])
        assert heard == [("coco_gen", [example.id for example in split])]
