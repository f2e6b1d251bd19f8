import numpy as np
import pytest

from daam_bench.emoji.nouns import BACKGROUNDS, NOUNS
from tools.emoji.captions import caption
from tools.emoji.evaluate import evaluation_prompts
from tools.emoji.scenes import Layout, ObjectGroup, sample_layout
from tools.emoji.tokenizing import MAX_LENGTH, train_tokenizer

PARTS_OF_SPEECH = {"NUM", "DET", "CCONJ", "PUNCT", "NOUN", "ADV", "VERB", "ADP", "ADJ", "PRON"}


@pytest.fixture(scope="module")
def layouts():
    rng = np.random.default_rng(1)
    return [sample_layout(rng) for _ in range(3000)]


@pytest.fixture(scope="module")
def captions(layouts):
    rng = np.random.default_rng(2)
    return [caption(layout, rng) for layout in layouts]


def test_captions_cover_every_part_of_speech_of_the_paper(captions):
    assert {token.pos for parsed in captions for token in parsed.tokens} == PARTS_OF_SPEECH


def test_tokens_spell_the_caption(captions):
    for parsed in captions:
        assert all(parsed.text[token.start : token.end] == token.text for token in parsed.tokens)
        assert "".join(token.text for token in parsed.tokens) == parsed.text.replace(" ", "")


def test_every_group_is_named_once_in_its_number(layouts, captions):
    for layout, parsed in zip(layouts, captions, strict=True):
        forms = {
            NOUNS[group.noun].plural if group.count > 1 else group.noun: group.noun for group in layout.groups
        }
        assert {noun.text: noun.lemma for noun in parsed.nouns} == forms
        assert all(parsed.text[noun.start : noun.end] == noun.text for noun in parsed.nouns)
        assert all(noun.coco_class == NOUNS[noun.lemma].coco_class for noun in parsed.nouns)


def test_backgrounds_are_never_annotated(captions):
    assert not {noun.lemma for parsed in captions for noun in parsed.nouns} & {*BACKGROUNDS, "photo"}


def test_articles_agree_with_the_word_behind_them():
    rng = np.random.default_rng(0)
    texts = [caption(Layout((ObjectGroup("elephant"),), "sand"), rng).text for _ in range(50)]
    assert all("an elephant" in text for text in texts)
    texts = [caption(Layout((ObjectGroup("elephant", 1, "big"),), "sand"), rng).text for _ in range(50)]
    assert any("a big elephant" in text for text in texts)
    assert not any("an big" in text for text in texts)


def test_the_tokenizer_gives_every_word_one_token_and_any_other_word_several(captions):
    tokenizer = train_tokenizer(parsed.text for parsed in captions)
    words = {token.text for parsed in captions for token in parsed.tokens}
    assert all(len(tokenizer(word).input_ids) == 3 for word in words)
    pieces = tokenizer("Two Astronauts, été").input_ids
    assert tokenizer.decode(pieces, skip_special_tokens=True).strip() == "two astronauts , été"
    assert max(len(tokenizer(parsed.text).input_ids) for parsed in captions) <= MAX_LENGTH


def test_the_evaluation_prompts_never_change():
    first, second = evaluation_prompts(), evaluation_prompts()
    assert [parsed.text for _, _, parsed in first] == [parsed.text for _, _, parsed in second]
    assert len(first) == 120
    singles = [parsed.nouns[0].lemma for kind, _, parsed in first if kind == "one noun"]
    assert sorted(singles) == sorted(NOUNS)
