"""How figures are saved, and that drawing leaves no trace."""

import re

import matplotlib as mpl
import pytest
from PIL import Image

from daam_bench.figures.charts import Bar, bars
from daam_bench.figures.style import COLUMN, new_figure, save, styled
from daam_bench.types.errors import InputError


@pytest.fixture
def figure():
    return bars([Bar("NOUN", 0.3, (0.2, 0.4), "12"), Bar("VERB", 0.5)], axis="share")


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_suffix_says_what_is_written_and_twice_gives_the_same_bytes(figure, tmp_path, suffix, start):
    first = save(figure, tmp_path / "new" / f"one.{suffix}").read_bytes()
    assert first.startswith(start)
    again = bars([Bar("NOUN", 0.3, (0.2, 0.4), "12"), Bar("VERB", 0.5)], axis="share")
    assert save(again, tmp_path / f"two.{suffix}").read_bytes() == first
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"one.{suffix}"}


def test_a_pdf_has_its_fonts_as_truetype(figure, tmp_path):
    content = save(figure, tmp_path / "one.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_an_svg_needs_no_font_and_holds_no_date(figure, tmp_path):
    content = save(figure, tmp_path / "one.svg").read_text()
    assert "<text" not in content
    assert not re.search(r"20\d\d-\d\d-\d\d", content)


def test_a_figure_is_as_wide_as_a_column(figure, tmp_path):
    with Image.open(save(figure, tmp_path / "one.png")) as image:
        assert image.width == pytest.approx(COLUMN / 25.4 * 300, abs=1)
        assert image.getpixel((0, 0))[:3] == (255, 255, 255)


def test_a_figure_can_be_a_jpeg(figure, tmp_path):
    with Image.open(save(figure, tmp_path / "one.JPG")) as image:
        assert (image.format, image.getpixel((0, 0))) == ("JPEG", (255, 255, 255))


@pytest.mark.parametrize("name", ["one.gif", "one", "one.png.gz"])
def test_another_suffix_is_refused_in_one_line(figure, tmp_path, name):
    with pytest.raises(InputError, match=r"one of the suffixes \.png, \.svg, \.pdf") as error:
        save(figure, tmp_path / name)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(figure, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't write"):
        save(figure, tmp_path / "file" / "one.png")


def test_the_callers_settings_neither_matter_nor_change(figure, tmp_path):
    plain = save(figure, tmp_path / "plain.png").read_bytes()
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "axes.edgecolor": "red"}):
        other = bars([Bar("NOUN", 0.3, (0.2, 0.4), "12"), Bar("VERB", 0.5)], axis="share")
        assert save(other, tmp_path / "other.png").read_bytes() == plain
        assert mpl.rcParams["font.size"] == 20


def test_no_figure_is_left_with_pyplot():
    import matplotlib.pyplot as plt

    styled(new_figure)(COLUMN, 40)
    assert plt.get_fignums() == []
