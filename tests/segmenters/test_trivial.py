import numpy as np

from daam_bench.datasets.load import load_split
from daam_bench.segmenters.trivial import RandomHalf, WholeImage


def test_whole_image_is_true_everywhere(tiny_dataset):
    queries = load_split(tiny_dataset, "coco_gen").queries()
    assert all(mask.all() and mask.shape == (32, 32) for row in WholeImage().segment(queries) for mask in row)


def test_random_covers_half(tiny_dataset):
    masks = RandomHalf().segment(load_split(tiny_dataset, "coco_gen").queries())
    assert abs(np.mean(masks) - 0.5) < 0.02


def test_random_depends_on_seed_example_and_noun_but_not_on_order(tiny_dataset):
    queries = load_split(tiny_dataset, "coco_gen").queries()
    forwards, backwards = RandomHalf().segment(queries), RandomHalf().segment(queries[::-1])[::-1]
    np.testing.assert_array_equal(forwards, backwards)
    masks = {mask.tobytes() for row in forwards for mask in row}
    other_seed = {mask.tobytes() for row in RandomHalf(seed=1).segment(queries) for mask in row}
    assert len(masks | other_seed) == 4 * len(queries)


def test_random_is_the_same_on_every_machine(tiny_dataset):
    mask = RandomHalf(seed=7).segment(load_split(tiny_dataset, "coco_gen").queries())[0][0]
    assert "".join(map(str, mask[0, :16].astype(int))) == "1100010011001111"
