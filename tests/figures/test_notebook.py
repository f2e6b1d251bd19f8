"""What a notebook shows of heat maps."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.types.heat_map import HeatMap
from tests.leaderboard.site.parsed import Page
from tests.tiny_pipelines import tiny_tokenizer, tokenize


def maps_of(prompt: str | None, **settings: str) -> ImageHeatMaps:
    values = np.random.default_rng(0).random((16, 4, 6), dtype=np.float32)
    return ImageHeatMaps(
        values, prompt, () if prompt is None else (tokenize(tiny_tokenizer(), prompt),), **settings
    )


def test_a_heat_map_is_shown_as_an_image_of_its_values_at_a_readable_size() -> None:
    heat_map = HeatMap(np.array([[0.0, 1.0, 3.0], [3.0, 0.0, 0.0]]))
    image = Image.open(io.BytesIO(heat_map._repr_png_()))
    assert 200 < image.width < 300
    assert image.width * 2 == image.height * 3
    cell = image.width // 3
    cells = image.resize((3, 2), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.asarray(cells), np.asarray(heat_map.paint()))
    assert image.getpixel((0, 0)) == image.getpixel((cell - 1, cell - 1))


def test_a_large_heat_map_is_shown_as_it_is() -> None:
    image = Image.open(io.BytesIO(HeatMap(np.ones((300, 500)))._repr_png_()))
    assert image.size == (500, 300)


def parsed(folder: Path, html: str) -> Page:
    (folder / "shown.html").write_text(html, encoding="utf-8")
    return Page(folder / "shown.html")


def test_the_maps_of_an_image_are_shown_word_by_word(tmp_path: Path) -> None:
    page = parsed(tmp_path, maps_of("a cat on grass")._repr_html_())
    words = ["a", "cat", "on", "grass"]
    assert [caption.text for caption in page.all("figcaption")] == words
    assert page.values("alt") == [f"map of {word}" for word in words]


def test_overlays_are_shown_beside_their_image(tmp_path: Path) -> None:
    html = maps_of("a cat").overlay(Image.new("RGB", (600, 400), "green"))._repr_html_()
    assert parsed(tmp_path, html).values("alt") == ["image", "map of a", "map of cat"]
    assert len(html) < 400_000


def test_a_prompt_cannot_break_out_of_the_notebook(tmp_path: Path) -> None:
    html = maps_of("<script>a</script>\"><img src=x onerror='a'>")._repr_html_()
    page = parsed(tmp_path, html)
    assert {element.tag for element in page.elements} == {"div", "figure", "img", "figcaption"}
    assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
    assert page.values("onerror") == []


def test_maps_without_words_fall_back_on_their_repr() -> None:
    assert maps_of(None)._repr_html_() is None
    assert maps_of("a cat", no_words="the prompts differ")._repr_html_() is None
