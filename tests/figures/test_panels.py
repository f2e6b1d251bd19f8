"""What panels show: images, heat maps over them and outlines."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from daam_bench.figures.grids import in_rows, panel_grid
from daam_bench.figures.panels import Panel, outline_shape
from daam_bench.figures.style import INK, save
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

IMAGE = Image.new("RGB", (32, 24), "white")


def shown(axes):
    """The image in axes, as its pixels."""
    return np.asarray(axes.get_images()[0].get_array())


def test_one_overlay_a_word_beside_the_image_with_a_colour_bar(tmp_path):
    maps = {"cat": HeatMap(np.eye(4)), "pizza": HeatMap(np.ones((4, 4)))}
    panels = [Panel("image", IMAGE), *(Panel(word, IMAGE, found) for word, found in maps.items())]
    figure = panel_grid(in_rows(panels, 2))
    shown = [axes.get_title() for axes in figure.axes if axes.get_images()]
    assert shown == ["image", "cat", "pizza"]
    assert any(axes.get_ylabel() == "share of the map's maximum" for axes in figure.axes)
    save(figure, tmp_path / "overlays.png")


def test_images_alone_have_no_colour_bar():
    figure = panel_grid([[Panel("one", IMAGE), Panel("two", IMAGE)]])
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]


def test_an_outline_is_drawn_only_where_there_is_an_edge():
    mask = np.zeros((24, 32), dtype=bool)
    empty = panel_grid([[Panel("", IMAGE, outline=mask)]]).axes[0]
    mask[5:10, 5:10] = True
    outlined = panel_grid([[Panel("", IMAGE, outline=mask)]]).axes[0]
    assert len(outlined.patches) > len(empty.patches) == 0


def test_no_images_are_refused():
    with pytest.raises(InputError, match="no image"):
        panel_grid([])


def test_an_outline_is_that_of_the_mask_in_its_colour_and_a_second_one_is_dashed():
    mask = np.zeros((24, 32), dtype=bool)
    mask[5:10, 5:20] = True
    other = ~mask
    axes = panel_grid(
        [[Panel("", IMAGE, outline=mask), Panel("", IMAGE, outline={"#e0245e": mask, "#006ee6": other})]]
    ).axes
    assert [to_hex(patch.get_edgecolor()) for patch in axes[0].patches] == ["#ffffff", INK]
    assert [to_hex(patch.get_edgecolor()) for patch in axes[1].patches] == [
        "#ffffff",
        "#e0245e",
        "#006ee6",
    ]
    assert [patch.get_linestyle() == "solid" for patch in axes[1].patches] == [True, True, False]
    for patch, expected in zip(axes[1].patches[1:], (mask, other), strict=True):
        assert np.array_equal(patch.get_path().vertices, outline_shape(expected).vertices)


def test_what_is_paled_is_washed_out_and_nothing_else():
    paled = np.zeros((24, 32), dtype=bool)
    paled[:, :16] = True
    pixels = shown(panel_grid([[Panel("", Image.new("RGB", (32, 24), "black"), paled=paled)]]).axes[0])
    assert (pixels[:, : pixels.shape[1] // 2] > 100).all()
    assert (pixels[:, pixels.shape[1] // 2 :] == 0).all()


def test_a_heat_map_lies_where_its_image_is():
    pixels = shown(panel_grid([[Panel("", IMAGE, HeatMap(np.array([[0.0, 1.0]])))]]).axes[0]).astype(int)
    assert pixels[0, 0].sum() < pixels[0, -1].sum()
    pixels = shown(panel_grid([[Panel("", IMAGE, HeatMap(np.array([[1.0], [0.0]])))]]).axes[0]).astype(int)
    assert pixels[0, 0].sum() > pixels[-1, 0].sum()


def test_a_small_image_is_enlarged_without_blurring():
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8))
    assert {tuple(pixel) for pixel in shown(panel_grid([[Panel("", image)]]).axes[0]).reshape(-1, 3)} == {
        (255, 0, 0),
        (0, 0, 255),
    }


def test_panels_stand_in_their_places_with_rows_below_each_other():
    rows = [[Panel(f"{row}{column}", IMAGE) for column in "abc"[: 3 - row]] for row in range(2)]
    figure = panel_grid(rows)
    figure.savefig(io.BytesIO(), format="png")
    at = {axes.get_title(): axes.get_position() for axes in figure.axes if axes.get_title()}
    assert at["0a"].x0 < at["0b"].x0 < at["0c"].x0
    assert at["0a"].y0 > at["1a"].y0
    assert at["0a"].x0 == pytest.approx(at["1a"].x0)
