from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import MAX_SIDE, HeatMap, WordHeatMaps, check_map_size, resize_weights

SIDES = st.integers(1, 24)
TAUS = st.floats(0, 1)
MAPS = arrays(
    np.float32,
    st.tuples(SIDES, SIDES),
    elements=st.floats(0, 1000, width=32, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-3),
)


def interpolated(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    width, height = size
    tensor = torch.from_numpy(values)[None, None]
    resized = torch.nn.functional.interpolate(tensor, (height, width), mode="bicubic", align_corners=False)
    return resized[0, 0].numpy()


@given(MAPS, st.tuples(SIDES, SIDES))
def test_bicubic_resize_is_torch_interpolate_clamped(
    values: NDArray[np.float32], size: tuple[int, int]
) -> None:
    resized = np.asarray(HeatMap(values).resize(size))
    expected = np.maximum(interpolated(values, size), 0)
    np.testing.assert_allclose(resized, expected, atol=1e-5 * max(1.0, values.max()))


def test_resize_to_an_image_matches_torch_within_1e_5() -> None:
    values = np.random.default_rng(0).random((64, 40), dtype=np.float32)
    resized = HeatMap(values).resize((321, 512))
    assert resized.shape == (512, 321)
    np.testing.assert_allclose(resized, np.maximum(interpolated(values, (321, 512)), 0), atol=1e-5)


@given(MAPS, st.integers(1, 5))
def test_nearest_resize_repeats_pixels(values: NDArray[np.float32], factor: int) -> None:
    height, width = values.shape
    resized = HeatMap(values).resize((width * factor, height * factor), "nearest")
    assert np.array_equal(resized, values.repeat(factor, 0).repeat(factor, 1))


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(["bicubic", "nearest"]))
def test_resizing_keeps_a_constant_map(source: int, target: int, interpolation: str) -> None:
    np.testing.assert_allclose(resize_weights(source, target, interpolation).sum(axis=1), 1, atol=1e-6)


@given(MAPS, TAUS)
def test_threshold_is_relative_to_the_maximum(values: NDArray[np.float32], tau: float) -> None:
    mask = HeatMap(values).threshold(tau)
    assert mask.dtype == np.bool_
    if values.max() == 0:
        assert not mask.any()
    else:
        assert np.array_equal(mask, values >= np.float32(tau) * values.max())
        assert mask[np.unravel_index(values.argmax(), values.shape)]


@given(MAPS, TAUS, TAUS)
def test_a_higher_threshold_only_removes_pixels(
    values: NDArray[np.float32], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert not (HeatMap(values).threshold(high) & ~HeatMap(values).threshold(low)).any()


@given(MAPS, st.integers(-3, 5), TAUS)
def test_threshold_doesnt_depend_on_the_scale(values: NDArray[np.float32], power: int, tau: float) -> None:
    scaled = HeatMap(values * np.float32(2.0**power))
    assert np.array_equal(scaled.threshold(tau), HeatMap(values).threshold(tau))


def test_minmax_stretches_the_map_first() -> None:
    heat_map = HeatMap(np.array([[2.0, 3.0, 4.0]]))
    assert heat_map.threshold(0.5).tolist() == [[True, True, True]]
    assert heat_map.threshold(0.5, "minmax").tolist() == [[False, True, True]]


def test_minmax_after_resizing_counts_from_the_negative_overshoot() -> None:
    values = np.zeros((4, 4), dtype=np.float32)
    values[1, 1] = 1
    signed = interpolated(values, (16, 16))
    assert signed.min() < 0
    stretched = (signed - signed.min()) / (signed.max() - signed.min())
    assert np.array_equal(HeatMap(values).resize((16, 16)).threshold(0.1, "minmax"), stretched >= 0.1)


def test_a_constant_map_has_no_minmax_mask() -> None:
    assert not HeatMap(np.full((2, 2), 3.0)).threshold(0.0, "minmax").any()


@pytest.mark.parametrize("tau", [-0.01, 1.01, float("nan")])
def test_tau_outside_its_range_is_refused(tau: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        HeatMap(np.ones((2, 2))).threshold(tau)


@pytest.mark.parametrize(
    "values",
    [
        np.ones(3),
        np.ones((1, 2, 3)),
        np.ones((2, 2), dtype=np.int64),
        np.ones((2, 2), dtype=np.bool_),
        np.ones((0, 2)),
        np.array([[1.0, -0.1]]),
        np.array([[1.0, np.nan]]),
        np.array([[np.inf, 1.0]]),
    ],
    ids=["1-d", "3-d", "integers", "booleans", "empty", "negative", "nan", "infinite"],
)
def test_what_isnt_a_heat_map_is_refused(values: NDArray[np.generic]) -> None:
    with pytest.raises(InputError, match="heat map"):
        HeatMap(values)


def test_a_heat_map_is_a_read_only_float32_copy() -> None:
    given = np.ones((2, 3), dtype=np.float64)
    heat_map = HeatMap(given)
    given[0, 0] = 5
    assert np.asarray(heat_map).dtype == np.float32
    assert np.asarray(heat_map, dtype=np.float64).max() == 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(heat_map)[0, 0] = 1


@pytest.mark.parametrize("size", [(0, 4), (4, -1)])
def test_resizing_to_nothing_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        HeatMap(np.ones((2, 2))).resize(size)


def test_unknown_ways_are_refused() -> None:
    heat_map = HeatMap(np.ones((2, 2)))
    with pytest.raises(InputError, match="lanczos"):
        heat_map.resize((4, 4), "lanczos")
    with pytest.raises(InputError, match="sum"):
        heat_map.threshold(0.5, "sum")
    with pytest.raises(InputError, match="colour map"):
        heat_map.overlay(Image.new("RGB", (4, 4)), colors="nonesuch")
    with pytest.raises(InputError, match="alpha"):
        heat_map.overlay(Image.new("RGB", (4, 4)), alpha=2)


def test_overlay_paints_hot_places_brighter() -> None:
    values = np.zeros((4, 4), dtype=np.float32)
    values[:, 2:] = 1
    overlay = HeatMap(values).overlay(Image.new("L", (40, 20)), alpha=1.0)
    assert (overlay.mode, overlay.size) == ("RGB", (40, 20))
    pixels = np.asarray(overlay).astype(int).sum(axis=2)
    assert pixels[:, -1].min() > pixels[:, 0].max()
    untouched = HeatMap(values).overlay(Image.new("RGB", (40, 20), "red"), alpha=0.0)
    assert np.array_equal(untouched, Image.new("RGB", (40, 20), "red"))
    assert HeatMap(np.zeros((2, 2))).overlay(Image.new("RGB", (4, 4))).size == (4, 4)


def test_heat_maps_load_no_torch() -> None:
    code = "import sys, daam_bench.types.heat_map; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_tensor_of_any_dtype_with_gradients_is_taken(dtype: torch.dtype) -> None:
    values = torch.tensor([[0.5, 1.0], [0.0, 2.0]], dtype=dtype, requires_grad=True)
    np.testing.assert_array_equal(np.asarray(HeatMap(values)), [[0.5, 1], [0, 2]])


def test_a_tensor_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="must be a floating-point array"):
        HeatMap(torch.ones((2, 2), dtype=torch.int64))


def test_numpy_is_a_copy_that_may_be_changed() -> None:
    heat_map = HeatMap(np.ones((2, 3)))
    values = heat_map.numpy()
    values *= 2
    assert values.dtype == np.float32
    assert heat_map.values.max() == 1


def test_resizing_to_an_image_is_resizing_to_its_size() -> None:
    heat_map = HeatMap(np.eye(4))
    image = Image.new("RGB", (8, 6))
    np.testing.assert_array_equal(heat_map.resize(image), HeatMap(np.eye(4)).resize((8, 6)))


def test_the_last_resize_is_remembered_for_its_size_and_interpolation() -> None:
    heat_map = HeatMap(np.eye(4))
    once = heat_map.resize((8, 8))
    assert heat_map.resize(Image.new("L", (8, 8))) is once
    nearest = heat_map.resize((8, 8), "nearest")
    assert not np.array_equal(nearest, once)
    assert heat_map.resize((5, 5)).shape == (5, 5)
    np.testing.assert_array_equal(heat_map.resize((8, 8)), once)


def test_saved_values_are_those_that_numpy_loads(tmp_path: Path) -> None:
    heat_map = HeatMap(np.random.default_rng(0).random((3, 5)))
    heat_map.save(tmp_path / "cat.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "cat.npy"), heat_map.values)


def test_a_saved_image_is_the_painted_map(tmp_path: Path) -> None:
    heat_map = HeatMap(np.eye(4)).resize((20, 10))
    heat_map.save(str(tmp_path / "cat.PNG"))
    with Image.open(tmp_path / "cat.PNG") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(heat_map.paint()))


@pytest.mark.parametrize(
    ("name", "expected"), [("cat.csv", "saved as .npy"), ("gone/cat.npy", "can't write")]
)
def test_what_can_not_be_saved(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        HeatMap(np.eye(4)).save(tmp_path / name)


def test_a_plot_shows_the_image_and_the_map_over_it() -> None:
    figure = HeatMap(np.eye(4)).plot(Image.new("RGB", (40, 20), "green"), "cat")
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["", "cat"]
    plain, overlaid = (np.asarray(axes.images[0].get_array()) for axes in shown)
    assert (plain[..., :3] == (0, 128, 0)).all()
    assert not np.array_equal(plain, overlaid)


def test_importing_heat_maps_imports_no_plotting() -> None:
    code = "import sys, daam_bench.types.heat_map; print({'matplotlib', 'torch'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_the_weights_that_all_resizes_share_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        resize_weights(3, 5)[0, 0] = 1


@pytest.mark.parametrize(
    ("shape", "image"),
    [
        ((MAX_SIDE, 1024), None),
        ((2048, 2048), None),
        ((512, 512), (8, 8)),
        ((700, 600), (600, 700)),
        ((2048, 2048), (4096, 4096)),
    ],
)
def test_a_map_may_have_as_many_pixels_as_its_image_or_512_x_512(
    shape: tuple[int, int], image: tuple[int, int] | None
) -> None:
    check_map_size(shape, image)
    with pytest.raises(InputError, match="resize it to the image"):
        check_map_size((shape[0] + 1, shape[1]), image)


def test_a_map_of_few_pixels_may_not_be_too_long_either() -> None:
    check_map_size((1, MAX_SIDE))
    with pytest.raises(InputError, match=f"1 x {MAX_SIDE + 1};.* {MAX_SIDE} a side at most"):
        check_map_size((1, MAX_SIDE + 1))


class Word(NamedTuple):
    """A word of a prompt."""

    text: str


class Prompt(WordHeatMaps):
    """The maps of "The cat and the dog": a word's map is as high as the word is long."""

    def words(self) -> list[Word]:
        return [Word(text) for text in ["The", "cat", "and", "the", "dog"]]

    def map_of(self, word: Word) -> HeatMap:
        return HeatMap(np.ones((len(word.text), 1)))

    def __getitem__(self, word: str) -> HeatMap:
        return self.map_of(Word(word))


def test_a_mapping_holds_each_word_once_whatever_its_case() -> None:
    maps = Prompt()
    assert list(maps) == ["The", "cat", "and", "dog"]
    assert len(maps) == 4
    assert maps != Prompt()
    assert maps == maps
