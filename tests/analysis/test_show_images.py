"""Looking at images that no model generated."""

import pytest
from PIL import Image

from daam_bench.analysis.show_images import LARGEST, fitting_size, look_at, read_image
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import tiny_sd


@pytest.fixture(scope="module")
def pipeline():
    return tiny_sd()


@pytest.mark.parametrize(
    ("size", "fitting"),
    [((16, 16), (16, 16)), ((1600, 1600), (16, 16)), ((3, 3), (16, 16)), ((400, 100), (32, 8))],
)
def test_the_model_sees_the_image_s_proportions_at_its_own_area(pipeline, size, fitting):
    assert fitting_size(pipeline, size) == fitting


def test_a_large_image_is_shown_large_and_its_maps_are_the_model_s(pipeline):
    traced = look_at(pipeline, "a cat", Image.new("RGB", (1600, 800), "red"))
    assert traced.image.size == (LARGEST, LARGEST // 2)
    assert traced.maps["cat"].shape == (6, 11)


def test_a_image_is_read_upright_and_on_white(tmp_path):
    turned = Image.new("RGB", (20, 10), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (10, 20)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_what_is_no_image_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (64, 64)).save(tmp_path / "torn.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "torn.png").read_bytes()[:60])
    for name in ("text.png", "torn.png", "none.png", "."):
        with pytest.raises(InputError) as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)
