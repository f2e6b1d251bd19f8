"""Images that may come from anyone are looked at before they are decoded; words are found in prompts."""

import numpy as np
import pytest
from PIL import Image

from daam_bench.annotate import castorini_experiment
from daam_bench.annotate.castorini_experiment import alpha_mask, find_words, read_png
from daam_bench.types.errors import InputError
from tests.annotate.experiments import HEIGHT, WIDTH, huge_png, png


def error_of(path) -> str:
    with pytest.raises(InputError) as caught:
        read_png(path)
    return str(caught.value)


@pytest.mark.parametrize("size", [(9_000, 9_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_an_image_that_promises_too_many_pixels_is_not_decoded(tmp_path, size, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "a.png").write_bytes(huge_png(*size))
    assert "pixels" in error_of(tmp_path / "a.png")


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(castorini_experiment, "MAX_FILE_BYTES", 50)
    (tmp_path / "a.png").write_bytes(png())
    assert error_of(tmp_path / "a.png") == "it has more than 50 bytes"


@pytest.mark.parametrize("content", [b"", b"GIF89a", png()[:-30], png()[:30], huge_png(8, 0)])
def test_what_is_no_whole_png(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert error_of(tmp_path / "a.png") == "it is no whole PNG"


def test_what_is_no_file(tmp_path):
    assert error_of(tmp_path) == "there is no such file"


def test_the_alpha_of_every_kind_of_png_that_has_one():
    transparent = Image.new("RGBA", (WIDTH, HEIGHT))
    transparent.putpixel((3, 2), (0, 0, 0, 1))
    palette = Image.new("P", (WIDTH, HEIGHT))
    palette.info["transparency"] = 0
    palette.putpixel((3, 2), 1)
    grey = Image.new("LA", (WIDTH, HEIGHT))
    grey.putpixel((3, 2), (0, 255))
    for image in (transparent, palette, grey):
        assert np.argwhere(alpha_mask(image)).tolist() == [[2, 3]]
    with pytest.raises(InputError, match="has no alpha channel"):
        alpha_mask(Image.new("RGB", (2, 2)))


def test_a_word_stands_where_no_longer_one_does():
    assert find_words("Hot dog, dog", ["dog", "hot dog"]) == {"hot dog": (0, 7), "dog": (9, 12)}
    assert find_words("hotdog c++ C++", ["dog", "c++", ""]) == {"c++": (7, 10)}
