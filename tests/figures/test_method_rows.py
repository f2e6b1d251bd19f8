"""The same images under several methods."""

import numpy as np
import pytest
from PIL import Image

from daam_bench.figures.method_rows import MethodsRow, method_rows
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


def row(maps, ious):
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:9, 3:12] = True
    return MethodsRow("cat", Image.new("RGB", (16, 16), "teal"), mask, maps, ious)


def texts(figure):
    return [(text.get_text(), text.get_color()) for axes in figure.axes for text in axes.texts]


def test_names_stand_above_and_scores_below():
    heat_map = HeatMap(np.eye(4, dtype=np.float32))
    figure = method_rows([row([heat_map, None], [0.61, 0.0])], ["daam-superpixels", "iseg"])
    written = texts(figure)
    assert {text for text, _ in written} == {"daam-", "superpixels", "iseg", "cat", "61", "0"}
    colours = dict(written)
    assert colours["61"] != colours["0"]
    (axes,) = figure.axes
    assert len(axes.images) == 3


def test_the_sheet_grows_with_rows_and_methods():
    maps = [HeatMap(np.eye(4, dtype=np.float32))]
    small = method_rows([row(maps, [0.5])], ["daam"])
    large = method_rows([row(maps * 3, [0.5] * 3)] * 2, ["daam", "iseg", "ovam"])
    assert all(large.get_size_inches() > small.get_size_inches())


@pytest.mark.parametrize(
    ("rows", "methods", "expected"),
    [
        ([], ["daam"], "no image"),
        ([row([None], [0.5])], [], "no method"),
        ([row([None], [0.5])], ["a", "b"], "2 maps"),
    ],
)
def test_nothing_to_draw(rows, methods, expected):
    with pytest.raises(InputError, match=expected):
        method_rows(rows, methods)
