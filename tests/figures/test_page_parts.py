"""What pages share."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from daam_bench.figures.page_parts import image_address, image_kind, map_record, prompt_pieces


def test_a_prompt_is_cut_at_its_spans_by_characters_not_bytes():
    assert [tuple(piece) for piece in prompt_pieces("🐟🐟 a cat, a dog", [(12, 15), (5, 8)])] == [
        ("🐟🐟 a ", None),
        ("cat", 1),
        (", a ", None),
        ("dog", 0),
    ]


def test_a_span_that_overlaps_an_earlier_one_gets_no_piece():
    assert [tuple(piece) for piece in prompt_pieces("teddy bear", [(0, 10), (6, 10)])] == [("teddy bear", 0)]


@pytest.mark.parametrize(("side", "kind"), [(256, "png"), (257, "webp")])
def test_small_images_are_kept_lossless(side, kind):
    assert image_kind(Image.new("RGB", (side, 10))) == kind


def test_an_image_is_an_address_that_holds_it():
    image = Image.radial_gradient("L").convert("RGB").resize((9, 5))
    start, data = image_address(image, "png").split(",")
    assert start == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), np.asarray(image))


def test_a_heat_map_is_little_endian_float32_row_by_row():
    record = map_record(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32).T)
    assert record["size"] == [3, 2]
    assert np.frombuffer(base64.b64decode(record["values"]), "<f4").tolist() == [1, 4, 2, 5, 3, 6]
