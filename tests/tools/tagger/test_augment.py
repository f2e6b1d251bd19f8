from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tools.tagger.augment import augment
from tools.tagger.conllu import TreebankWord

WORDS = st.builds(
    TreebankWord,
    form=st.sampled_from(["The", "cat", "Sits", "."]),
    lemma=st.sampled_from(["the", "cat", "sit", "."]),
    pos=st.sampled_from(["DET", "NOUN", "PROPN", "PUNCT", "VERB"]),
    number=st.just(""),
)


@given(st.lists(WORDS, min_size=1, max_size=8).map(tuple), st.integers(0, 99))
def test_a_sentence_keeps_a_run_of_its_words_and_their_tags(sentence, seed):
    changed = augment(sentence, Random(seed))
    assert changed
    tagged = [(word.form.lower(), word.pos) for word in changed]
    whole = [(word.form.lower(), word.pos) for word in sentence]
    assert any(whole[start : start + len(tagged)] == tagged for start in range(len(whole)))


def test_all_kinds_of_change_occur():
    sentence = (
        TreebankWord("Rex", "Rex", "PROPN", "Sing"),
        TreebankWord("saw", "see", "VERB", ""),
        TreebankWord("The", "the", "DET", ""),
        TreebankWord("Cats", "cat", "NOUN", "Plur"),
        TreebankWord(".", ".", "PUNCT", ""),
    )
    seen = {tuple(word.form for word in augment(sentence, Random(seed))) for seed in range(200)}
    assert ("rex", "saw", "the", "cats", ".") in seen
    assert ("Rex", "saw", "The", "Cats") in seen
    assert ("The", "Cats", ".") in seen
