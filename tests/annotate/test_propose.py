"""A method's masks as a first annotation: marked as proposals, never over a person's masks unasked."""

from dataclasses import replace

import numpy as np
import pytest

from daam_bench.annotate.propose import propose
from daam_bench.datasets.load import load_split
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode
from tests.segmenters.methods import Gradient, Returns


@pytest.fixture
def split(tiny_dataset):
    """Five examples, the first two annotated by a person."""
    loaded = load_split(tiny_dataset, "coco_gen")
    bare = [replace(example, masks=(None, None), annotation=None) for example in loaded.examples[2:]]
    return replace(loaded, examples=(*loaded.examples[:2], *bare))


def halves(queries):
    """The left half for the first noun of each query, an empty mask and no prediction for the second."""
    left = np.zeros((32, 32), dtype=bool)
    left[:, :16] = True
    return [[left, None if index % 2 else left & False] for index, _ in enumerate(queries)]


def test_unannotated_examples_get_proposals_and_the_others_stay(split, tmp_path):
    proposed = propose(Returns(halves), split, tmp_path, progress=False)
    assert proposed[:2] == split.examples[:2]
    for example, before in zip(proposed[2:], split.examples[2:], strict=True):
        assert example.query == before.query
        assert example.annotation.by == "returns"
        assert example.annotation.is_proposal
        assert example.annotation.masks == ("proposed", "proposed")
        assert example.annotation.proposal == "returns"
        assert decode(example.masks[0])[:, :16].all()
        assert example.masks[1] is None


def test_every_example_on_request(split, tmp_path):
    proposed = propose(Returns(halves), split, tmp_path, every=True, progress=False)
    assert len(proposed) == 5
    assert all(example.annotation.is_proposal for example in proposed)


def test_how_names_threshold_and_parameters(split, tmp_path):
    soft = propose(Gradient(gain=2.0), split, tmp_path / "soft", tau=0.75, progress=False)[4]
    assert soft.annotation.how == 'proposal: heat maps at tau 0.75, parameters {"gain": 2.0}'
    assert 0.2 < decode(soft.masks[0]).mean() < 0.3
    hard = propose(Returns(halves), split, tmp_path / "hard", progress=False)[4]
    assert hard.annotation.how == "proposal: hard masks, parameters {}"


def test_an_interrupted_run_resumes_where_it_stopped(split, tmp_path):
    seen = []

    def interrupted(queries):
        seen.extend(query.id for query in queries)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return halves(queries)

    with pytest.raises(KeyboardInterrupt):
        propose(Returns(interrupted), split, tmp_path, batch_size=1, progress=False)
    proposed = propose(Returns(interrupted), split, tmp_path, batch_size=1, progress=False)
    assert seen == ["coco-2", "coco-3", "coco-3", "coco-4"]
    assert [example.annotation.is_proposal for example in proposed] == [False, False, True, True, True]


def test_another_method_does_not_resume_it(split, tmp_path):
    propose(Gradient(), split, tmp_path, progress=False)
    with pytest.raises(InputError, match="use --restart"):
        propose(Gradient(gain=3.0), split, tmp_path, progress=False)
    propose(Gradient(gain=3.0), split, tmp_path, progress=False, restart=True)


def test_nothing_to_propose(tiny_dataset, tmp_path):
    annotated = load_split(tiny_dataset, "coco_gen")
    assert propose(Gradient(), annotated, tmp_path / "work") == annotated.examples
    assert not (tmp_path / "work").exists()
