"""What a method may return, and what its author is told where it returned something else."""

import numpy as np
import pytest
import torch

from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode
from daam_bench.types.segmentations import check_batch, check_query, predictions_of
from tests.scoring.tiny_split import HEIGHT, WIDTH, left, make_split

SPLIT = make_split([[("cat", "cat", left(2)), ("sky", None, left(3))], [("dog", "dog", left(1))]])
QUERIES = SPLIT.queries()
HEAT = np.linspace(1, 0, WIDTH, dtype=np.float32)[np.newaxis].repeat(HEIGHT, axis=0)


def test_masks_heat_maps_and_nothing_are_taken_noun_by_noun():
    mask, nothing = check_query("", QUERIES[0], [left(2), None])
    assert np.array_equal(mask, left(2))
    assert nothing is None
    given, made = check_query("", QUERIES[0], (HeatMap(HEAT), HEAT.astype(np.float64)))
    assert np.array_equal(given.values, HEAT)
    assert np.array_equal(made.values, HEAT)


def test_what_can_be_iterated_in_order_is_a_list():
    for given in (np.stack([left(1), left(2)]), torch.ones(2, HEIGHT, WIDTH), iter([left(1), left(2)])):
        assert len(check_query("", QUERIES[0], given)) == 2


@pytest.mark.parametrize(
    "returned",
    [
        None,
        3,
        "cat",
        b"cat",
        {"cat": left(1), "sky": left(2)},
        {HeatMap(HEAT), HeatMap(HEAT[:2])},
        np.array(1.0),
        np.float32(1),
        torch.tensor(1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_list_is_refused(returned):
    with pytest.raises(
        InputError, match=r"example '0': returned a \w+; return a list of segmentations, one a noun"
    ):
        check_query("", QUERIES[0], returned)
    with pytest.raises(
        InputError, match=r"method 'mine': returned a \w+; return a list of lists, one a query"
    ):
        check_batch("mine", QUERIES, returned)


def test_too_few_or_too_many_are_refused():
    for count in (1, 3):
        with pytest.raises(InputError, match=f"example '0': {count} segmentations for 2 nouns"):
            check_query("", QUERIES[0], [None] * count)
        with pytest.raises(InputError, match=rf"{count} results for 2 queries \(the first is example '0'\)"):
            check_batch("mine", QUERIES, [[None]] * count)


def test_a_wrong_value_is_named_with_its_method_example_and_noun():
    with pytest.raises(InputError, match=r"^method 'mine', example '0', noun 'sky': an array of int64"):
        check_batch("mine", QUERIES, [[None, np.ones((HEIGHT, WIDTH), np.int64)], [None]])


@pytest.mark.parametrize("shape", [(WIDTH, HEIGHT), (HEIGHT, WIDTH, 1), (HEIGHT, WIDTH - 1)])
def test_a_mask_of_another_shape_is_refused(shape):
    with pytest.raises(InputError, match=r"the image's \(height, width\) is \(4, 6\); resize it"):
        check_query("", QUERIES[1], [np.ones(shape, np.bool_)])


def test_a_heat_map_is_thresholded_at_every_tau_and_nothing_is_nothing_at_each():
    found = list(predictions_of(QUERIES[0], 1, HeatMap(HEAT), (0.3, 0.7)))
    assert [(entry.id, entry.noun, entry.tau) for entry in found] == [("0", 1, 0.3), ("0", 1, 0.7)]
    for entry in found:
        assert np.array_equal(decode(entry.mask), np.float32(entry.tau) <= HEAT)
    assert [(entry.tau, entry.mask) for entry in predictions_of(QUERIES[0], 1, None, (0.3, 0.7))] == [
        (0.3, None),
        (0.7, None),
    ]


def test_a_hard_mask_has_no_tau():
    (found,) = predictions_of(QUERIES[1], 0, left(3), (None,))
    assert (found.id, found.noun, found.tau) == ("1", 0, None)
    assert np.array_equal(decode(found.mask), left(3))
