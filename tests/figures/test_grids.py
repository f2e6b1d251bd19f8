"""The figure of an image and its words."""

import numpy as np
import pytest
from PIL import Image

from daam_bench.figures.grids import show_figure
from daam_bench.figures.panels import outline_shape
from daam_bench.figures.style import save
from daam_bench.types.heat_map import HeatMap

IMAGE = Image.new("RGB", (48, 32), "green")
CORNER = HeatMap(np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_the_image_comes_first_then_every_word_with_its_share():
    figure = show_figure(IMAGE, "a cat", [("cat", CORNER), ("a", HeatMap(np.ones((2, 2))))], tau=0.5)
    share = 100 * CORNER.resize(IMAGE.size).threshold(0.5).mean()
    assert titles(figure) == ["the image", f"cat ({share:.0f} %)", "a (100 %)"]
    assert figure.get_suptitle() == "a cat"
    assert "τ = 0.5" in figure.get_supxlabel()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2), (11, 3)])
def test_many_words_take_several_rows(count, rows):
    figure = show_figure(IMAGE, "words", [(f"word{index}", CORNER) for index in range(count)])
    tops = {round(axes.get_subplotspec().rowspan.start) for axes in figure.axes if axes.get_title()}
    assert len(tops) == rows
    assert len(titles(figure)) == count + 1


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize("tau", [0.0, 0.4, 1.0])
def test_it_is_saved_as_its_suffix_says(tmp_path, suffix, tau):
    figure = show_figure(IMAGE, "a cat", [("cat", CORNER)], tau=tau)
    path = save(figure, tmp_path / f"cat{suffix}")
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


@pytest.mark.filterwarnings("error")
def test_any_prompt_stands_there_as_it_is(tmp_path):
    prompt = r"$\frac{1}{0}$ costs $5 \$ 日本 <b>" + " long" * 80 + "\x1b[2J"
    figure = show_figure(IMAGE, prompt, [("$x$", CORNER), ("$", CORNER)], note="a & b_1^2 $")
    save(figure, tmp_path / "any.png")
    assert len(figure.get_suptitle().splitlines()) > 2


def test_every_word_has_its_own_map_with_the_outline_of_its_mask_and_tau_on_the_scale():
    other = HeatMap(CORNER.values[::-1])
    figure = show_figure(IMAGE, "a cat", [("cat", CORNER), ("a", other)], tau=0.5)
    for axes, heat_map in zip(figure.axes[1:3], (CORNER, other), strict=True):
        mask = heat_map.resize(IMAGE.size).threshold(0.5)
        assert np.array_equal(axes.patches[-1].get_path().vertices, outline_shape(mask).vertices)
        shown = np.asarray(axes.get_images()[0].get_array()).sum(axis=-1)
        rows, columns = (np.linspace(0, side - 1, 3).astype(int) for side in shown.shape)
        brightest = np.unravel_index(shown[np.ix_(rows, columns)].argmax(), (3, 3))
        assert brightest == ((0, 0) if heat_map is CORNER else (2, 0))
    assert len(figure.axes[0].patches) == 0
    bar = figure.axes[-1]
    assert list(bar.get_yticks()) == [0, 0.5, 1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "τ", "1"]


def test_the_scale_s_label_stays_inside_a_figure_of_wide_images():
    wide = HeatMap(np.linspace(0, 1, 192 * 64, dtype=np.float32).reshape(64, 192))
    figure = show_figure(Image.new("RGB", (192, 64)), "a cat", [("cat", wide)])
    figure.canvas.draw()
    label = figure.axes[-1].yaxis.label.get_window_extent()
    assert label.y0 >= 0
    assert label.y1 <= figure.bbox.y1
