"""What the sheets of masks to check and of evaluated images show."""

import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from daam_bench.emoji.annotator import Finding
from tests.figures.sheet_texts import texts_of
from tests.tiny_dataset import generated_example
from tools.emoji.checking.regions import colour_regions, space_of
from tools.emoji.checking.sheets import check_sheet
from tools.emoji.evaluate import PromptResult, contact_sheet

EXAMPLE = generated_example("one", "cat", "moon")


def outline_colours(figure):
    return [to_hex(patch.get_edgecolor()) for patch in figure.axes[0].patches]


def test_a_sheet_has_the_image_the_outlines_and_the_numbered_regions():
    figure = check_sheet(EXAMPLE)
    assert len(figure.axes[0].get_images()) == 3
    assert outline_colours(figure) == ["#ffffff", "#ff008c"]
    texts = texts_of(figure)
    assert texts[:3] == [
        ("one   a cat and a moon", "#1c1e24"), ("cat     ", "#ff008c"), ("moon (no mask)", "#005aff")
    ]  # fmt: skip
    regions = colour_regions(EXAMPLE.query.image, space_of(blind=False))
    numbers = [text for text, colour in texts if colour == "#ffffff"]
    assert numbers == [str(number) for number in range(regions.max() + 1)]


def test_a_number_stands_in_its_region():
    regions = colour_regions(EXAMPLE.query.image, space_of(blind=True))
    axes = check_sheet(EXAMPLE, blind=True).axes[0]
    left, right, bottom, top = axes.get_images()[1].get_extent()
    for text in axes.texts:
        if to_hex(text.get_color()) == "#ffffff":
            x, y = text.get_position()
            row, column = (y - top) / (bottom - top), (x - left) / (right - left)
            assert regions[int(row * regions.shape[0]), int(column * regions.shape[1])] == int(
                text.get_text()
            )


def test_a_blind_sheet_shows_no_mask():
    figure = check_sheet(EXAMPLE, blind=True)
    assert len(figure.axes[0].get_images()) == 2
    assert outline_colours(figure) == []
    assert "moon" in [text for text, _ in texts_of(figure)]


def test_evaluated_images_stand_row_by_row_and_what_is_missing_is_named_in_red(tmp_path):
    mask = np.zeros((8, 8), dtype=bool)
    drawings = [
        PromptResult("plural", "a cat", Image.new("RGB", (8, 8), colour), [Finding("cat", drawn, mask)], 1)
        for colour, drawn in (("navy", True), ("teal", False), ("olive", True))
    ]
    contact_sheet(drawings, tmp_path / "sheet.png", columns=2, enlarge=12)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    side, caption = 12 * 8, 50
    assert sheet.shape == (2 * (side + caption), 2 * (side + 8), 3)
    for (row, column), colour in {(0, 0): (0, 0, 128), (0, 1): (0, 128, 128), (1, 0): (128, 128, 0)}.items():
        top, left = row * (side + caption) + caption, column * (side + 8) + 4
        assert (sheet[top : top + side, left : left + side] == colour).all()
    red = (np.abs(sheet - (0xB0, 0, 0x20)) < 60).all(axis=-1)
    assert red[:caption, side + 8 :].any()
    red[:caption, side + 8 :] = False
    assert not red.any()
