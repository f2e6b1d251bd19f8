"""How often a spaCy pipeline is right about words: part of speech, lemma, number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daam_bench.prompts.tagger import PLURALS, is_plural
from tools.tagger.conllu import Sentence


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Fractions of words that a pipeline gets right, in [0, 1], on the file's own tokens.

    Attributes:
        words: Number of words.
        upos: Universal part of speech, over all words.
        lemma: Lemma, over all words, capital letters counting.
        noun_precision: How many of the words tagged NOUN are.
        noun_recall: How many of the NOUNs are tagged so.
        noun_number: Plural or not, over the NOUNs.
        plural_lemma: Lemma, over the plural NOUNs, capital letters not counting.
    """

    words: int
    upos: float
    lemma: float
    noun_precision: float
    noun_recall: float
    noun_number: float
    plural_lemma: float


def evaluate(nlp: Any, sentences: Sequence[Sentence]) -> Accuracy:
    """Measure a spaCy pipeline on sentences, whose tokens it is given."""
    from spacy.tokens import Doc

    docs = nlp.pipe(Doc(nlp.vocab, words=[word.form for word in sentence]) for sentence in sentences)
    pairs = [
        pair
        for doc, sentence in zip(docs, sentences, strict=True)
        for pair in zip(doc, sentence, strict=True)
    ]
    nouns = [(token, word) for token, word in pairs if word.pos == "NOUN"]
    tagged = [word for token, word in pairs if token.pos_ == "NOUN"]
    plurals = [(token, word) for token, word in nouns if word.number in PLURALS]
    return Accuracy(
        words=len(pairs),
        upos=_mean([token.pos_ == word.pos for token, word in pairs]),
        lemma=_mean([token.lemma_ == word.lemma for token, word in pairs]),
        noun_precision=_mean([word.pos == "NOUN" for word in tagged]),
        noun_recall=_mean([token.pos_ == "NOUN" for token, _ in nouns]),
        noun_number=_mean([is_plural(token) == (word.number in PLURALS) for token, word in nouns]),
        plural_lemma=_mean([token.lemma_.lower() == word.lemma.lower() for token, word in plurals]),
    )


def _mean(hits: list[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
