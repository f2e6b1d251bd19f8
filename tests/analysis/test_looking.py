"""What the demo does without its page."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from daam_bench.analysis.looking import Looked, Looker, draw
from daam_bench.attribution.trace import trace
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


@pytest.fixture(scope="module")
def looker(tiny_model):
    return Looker(str(tiny_model), device="cpu")


def test_every_word_has_a_map_and_the_same_seed_gives_the_same(looker):
    looked = looker.look("a cat and a cat", steps=2, seed=3)
    assert looked.words == ("a#1", "cat#1", "and", "a#2", "cat#2")
    assert all(isinstance(found, HeatMap) for found in looked.found)
    again = looker.look("a cat and a cat", steps=2, seed=3)
    assert looked.image.tobytes() == again.image.tobytes()
    assert np.array_equal(looked.found[1].values, again.found[1].values)
    assert not np.array_equal(looked.found[1].values, looked.found[4].values)


def test_layers_and_steps_are_those_chosen(looker):
    whole = looker.look("a cat", steps=2).found[1].values
    one = [looker.look("a cat", steps=2, layers=[layer]).found[1].values for layer in looker.layers]
    assert np.allclose(sum(one), whole, rtol=1e-5)
    first = looker.look("a cat", steps=2, last_step=1).found[1].values
    assert (first < whole).any()
    assert (first <= whole + 1e-6).all()


def test_all_steps_are_all_calls_where_the_scheduler_makes_more_of_them(tiny_model):
    looker = Looker(str(tiny_model), device="cpu")
    looker.generation = replace(looker.generation, scheduler="HeunDiscreteScheduler", steps=3)
    pipeline = load_pipeline(str(tiny_model), device="cpu")
    with trace(pipeline) as tracer:
        generate(pipeline, ["a cat"], [0], looker.generation)
    plain = tracer.heat_maps()[0].word(2, 5).values
    for last in (None, 3, 100):
        assert np.array_equal(looker.look("a cat", last_step=last).found[1].values, plain)
    first, second = (looker.look("a cat", last_step=last).found[1].values.sum() for last in (1, 2))
    # Five calls: two of the first step, two of the second, one of the last.
    assert first / plain.sum() == pytest.approx(2 / 5, abs=0.02)
    assert second / plain.sum() == pytest.approx(4 / 5, abs=0.02)


def test_another_method_looks_with_the_pipeline_that_is_loaded(looker):
    assert looker.methods()[0] == "daam"
    for method in ("daam-self", "iseg"):
        assert method in looker.methods()
        looked = looker.look("a cat", steps=2, method=method)
        assert len(looked.found) == 2


def test_a_word_past_the_end_is_told(looker):
    looked = looker.look("a cat " * 60, steps=1)
    assert looked.found[-1] is None
    with pytest.raises(InputError, match=r"no map of .*past the end"):
        draw(looked, looked.words[-1], 0.4)


def test_a_prompt_without_words_is_refused(looker):
    with pytest.raises(InputError, match="no word"):
        looker.look("  ")


def test_the_drawing_is_enlarged_and_marks_the_mask():
    values = np.zeros((8, 8), np.float32)
    values[2:6, 2:6] = 1
    looked = Looked(Image.new("RGB", (64, 64), "blue"), ("cat",), (HeatMap(values),))
    heated, masked, share = draw(looked, "cat", 0.5)
    assert heated.size == masked.size == (512, 512)
    assert 0.2 < share < 0.35
    red = np.asarray(masked)[..., 0]
    assert red[256, 256] == 0
    assert red[0, 0] > 100
    with pytest.raises(InputError, match="no word 'dog'"):
        draw(looked, "dog", 0.5)


def test_a_hard_mask_is_drawn_without_a_map():
    mask = np.zeros((64, 64), bool)
    mask[:32] = True
    heated, _, share = draw(Looked(Image.new("RGB", (64, 64)), ("cat",), (mask,)), "cat", 0.4)
    assert share == 0.5
    assert np.asarray(heated)[0, 0].sum() == 0
