from collections import Counter

import pytest

from daam_bench.datasets.caption_sources import SourceCaption
from daam_bench.datasets.plan import (
    DUPLICATE,
    FEW_NOUNS,
    TAKEN_IMAGE,
    TOO_LONG,
    Picker,
    check_same,
    make_plan,
    read_plan,
    write_plan,
)
from daam_bench.types.errors import InputError
from tests.datasets.words import CAPTIONS, parse


def fits(prompt: str) -> bool:
    return len(prompt) < 40


def picked_ids(seed: int = 0, size: int = 4, **options) -> list[str]:
    picked = Picker(CAPTIONS, parse, fits, **options).pick(size, seed)
    return [caption.id for caption in picked.captions]


def test_the_same_seed_picks_the_same_captions_and_another_others():
    assert picked_ids(seed=1) == picked_ids(seed=1)
    assert len({tuple(picked_ids(seed=seed)) for seed in range(8)}) > 4


@pytest.mark.parametrize("seed", range(8))
def test_one_caption_an_image_none_twice_all_with_nouns_and_short_enough(seed):
    picked = Picker(CAPTIONS, parse, fits).pick(7, seed)
    names = {caption.id for caption in picked.captions}
    assert len(names) == 7
    assert not {"11", "12"} <= names
    assert not {"13", "14"} <= names
    assert not {"15", "18"} & names
    assert sum(picked.passed_over.values()) <= len(CAPTIONS) - 7


def test_it_counts_what_is_passed_over_and_says_so_when_too_little_is_left():
    with pytest.raises(InputError) as error:
        Picker(CAPTIONS, parse, fits).pick(8, seed=0)
    assert "only 7 of 11 captions can be used, 8 are wanted" in str(error.value)
    for reason in (TAKEN_IMAGE, DUPLICATE, TOO_LONG, FEW_NOUNS):
        assert f"1 {reason}" in str(error.value)


def test_a_least_number_of_nouns():
    picked = Picker(CAPTIONS, parse, fits, min_nouns=2).pick(3, seed=0)
    assert all(len(caption.nouns) >= 2 for caption in picked.nouns)


def test_it_parses_no_more_than_it_needs():
    asked = []
    many = [SourceCaption(str(number), f"the cat {number}") for number in range(5000)]
    Picker(many, lambda texts: asked.extend(texts) or parse(texts), fits).pick(5, seed=0)
    assert len(asked) < 300


def test_a_plan_has_the_captions_and_their_swap():
    plan = make_plan({}, Picker(CAPTIONS, parse, fits), size=5, seed=3)
    plain, swapped = plan.prompts[:5], plan.prompts[5:]
    assert [prompt.id for prompt in plan.prompts][::5] == ["coco_gen-000", "unreal_gen-000"]
    assert [prompt.seed for prompt in plan.prompts] == [0, 1, 2, 3, 4] * 2
    texts = {caption.id: caption.text for caption in CAPTIONS}
    for one, other in zip(plain, swapped, strict=True):
        assert one.source.caption_id == other.source.caption_id
        assert one.text == texts[one.source.caption_id]
        assert one.source.swapped_from == ()
        assert [swap.text for swap in other.source.swapped_from] == [noun.text for noun in one.nouns]
        assert [swap.by for swap in other.source.swapped_from] == [noun.text for noun in other.nouns]
    lemmas = [Counter(noun.lemma for prompt in half for noun in prompt.nouns) for half in (plain, swapped)]
    assert lemmas[0] == lemmas[1]


def test_a_caption_whose_swap_is_too_long_gives_way_to_another():
    texts = ["a teddy bear", "a red cat on the red grass", "a dog", "the hat"]
    captions = [SourceCaption(text, text) for text in texts]
    plans = [make_plan({}, Picker(captions, parse, short), size=2, seed=seed) for seed in range(20)]
    assert all(short(prompt.text) for plan in plans for prompt in plan.prompts)
    assert any(TOO_LONG in plan.passed_over for plan in plans)


def short(prompt: str) -> bool:
    """Take the red cat's caption, but not with a teddy bear in the cat's place."""
    return len(prompt) < 30


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = make_plan({"size": 5, "generation": {"steps": 2}}, Picker(CAPTIONS, parse, fits), size=5, seed=0)
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {}, "passed_over": {}, "prompts": [{}]}'])
def test_what_is_no_plan(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(InputError, match="can't be read as the plan of a dataset"):
        read_plan(tmp_path / "plan.json")


def test_other_settings_are_named(tmp_path):
    before = {"size": 5, "generation": {"steps": 2, "dtype": "float32"}}
    check_same(tmp_path / "plan.json", before, before, "stop")
    now = {"size": 5, "generation": {"steps": 3, "dtype": "float32"}}
    with pytest.raises(InputError, match=r"was started with steps 2 \(now 3\); .* or stop$"):
        check_same(tmp_path / "plan.json", before, now, "stop")
