"""Training the small spaCy pipeline on a treebank."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from tools.tagger.accuracy import Accuracy, evaluate
from tools.tagger.augment import augment
from tools.tagger.conllu import Sentence

BATCH_WORDS, LEARN_RATE, DROPOUT, WARMUP = 1000, 2e-3, 0.2, 200
WIDTH, DEPTH = 96, 4
EMBEDDED = {"NORM": 5000, "PREFIX": 1000, "SUFFIX": 2500, "SHAPE": 1000}
"""Features of a word -> rows of their hash table."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to: the best epoch (from 1) and its accuracies."""

    epoch: int
    dev: Accuracy
    test: Accuracy


def build(seed: int) -> Any:
    """Return an untrained English pipeline: word vectors by a CNN, tags with number, edit-tree lemmas."""
    import spacy
    from spacy.util import fix_random_seed

    fix_random_seed(seed)
    nlp = spacy.blank("en")
    nlp.add_pipe(
        "tok2vec",
        config={
            "model": {
                "@architectures": "spacy.Tok2Vec.v2",
                "embed": {
                    "@architectures": "spacy.MultiHashEmbed.v2",
                    "width": WIDTH,
                    "attrs": list(EMBEDDED),
                    "rows": list(EMBEDDED.values()),
                    "include_static_vectors": False,
                },
                "encode": {
                    "@architectures": "spacy.MaxoutWindowEncoder.v2",
                    "width": WIDTH,
                    "depth": DEPTH,
                    "window_size": 1,
                    "maxout_pieces": 3,
                },
            }
        },
    )
    tagger = {
        "@architectures": "spacy.Tagger.v2",
        "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH},
    }
    nlp.add_pipe("morphologizer", config={"model": tagger, "overwrite": True})
    nlp.add_pipe("trainable_lemmatizer", name="lemmatizer", config={"model": tagger, "top_k": 3})
    return nlp


def train(
    sentences: Sequence[Sentence],
    dev: Sequence[Sentence],
    test: Sequence[Sentence],
    out: Path,
    *,
    seed: int = 0,
    epochs: int = 40,
    on_epoch: Callable[[int, Accuracy], None] = lambda _epoch, _accuracy: None,
) -> Trained:
    """Train a pipeline and write the epoch that does best on `dev` to a folder.

    Best is the highest mean of UPOS, lemma and plural-lemma accuracy. What is measured and kept are running
    averages of the parameters. The same seed and versions give the same pipeline.

    Args:
        sentences: Sentences to train on; each epoch augments them in another way.
        dev: Sentences to choose the epoch by.
        test: Sentences to measure the chosen epoch on, once.
        out: Folder of the pipeline; replaced if it exists.
        seed: Seed of parameters, order, augmentation and dropout.
        epochs: Times to go through the sentences.
        on_epoch: Called after each epoch with its number and its accuracy on `dev`.
    """
    import spacy
    from spacy.training.batchers import minibatch_by_words
    from thinc.api import Adam, warmup_linear

    nlp = build(seed)
    # The lemmatizer takes its edit trees from these, so they must be all that there are.
    plain = [_example(nlp, sentence) for sentence in sentences]
    nlp.initialize(lambda: plain)
    steps = epochs * sum(len(sentence) for sentence in sentences) // BATCH_WORDS
    optimizer = Adam(
        warmup_linear(LEARN_RATE, WARMUP, steps), L2=0.01, grad_clip=1.0, L2_is_weight_decay=True
    )
    random = Random(seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        best_folder, best, best_epoch = Path(folder) / "best", -1.0, 0
        for epoch in range(1, epochs + 1):
            examples = [_example(nlp, augment(sentence, random)) for sentence in sentences]
            random.shuffle(examples)
            for batch in minibatch_by_words(examples, size=BATCH_WORDS):
                nlp.update(batch, sgd=optimizer, drop=DROPOUT)
                optimizer.step_schedules()
            with nlp.use_params(optimizer.averages):
                accuracy = evaluate(nlp, dev)
                if _quality(accuracy) > best:
                    best, best_epoch = _quality(accuracy), epoch
                    nlp.to_disk(best_folder)
            on_epoch(epoch, accuracy)
        nlp = spacy.load(best_folder)
        trained = Trained(best_epoch, evaluate(nlp, dev), evaluate(nlp, test))
        _describe(best_folder / "meta.json", trained, seed, epochs)
        if out.exists():
            shutil.rmtree(out)
        best_folder.rename(out)
    logging.getLogger(__name__).info("wrote %s", out)
    return trained


def _quality(accuracy: Accuracy) -> float:
    return (accuracy.upos + accuracy.lemma + accuracy.plural_lemma) / 3


def _example(nlp: Any, sentence: Sentence) -> Any:
    from spacy.tokens import Doc
    from spacy.training import Example

    words = [word.form for word in sentence]
    numbers = [
        f"Number={word.number}" if word.number and word.pos in {"NOUN", "PROPN"} else "_" for word in sentence
    ]
    reference = Doc(
        nlp.vocab,
        words=words,
        pos=[word.pos for word in sentence],
        morphs=numbers,
        lemmas=[word.lemma for word in sentence],
    )
    return Example(Doc(nlp.vocab, words=words), reference)


def _describe(path: Path, trained: Trained, seed: int, epochs: int) -> None:
    """Fill in a pipeline's `meta.json`."""
    meta = json.loads(path.read_text(encoding="utf-8"))
    meta |= {
        "name": "captions_ewt_small",
        "version": "0.1.0",
        "description": "Universal parts of speech, number of nouns, and lemmas; for image captions.",
        "author": "the daam-bench developers",
        "spacy_version": ">=3.8.0,<3.9.0",
        "license": "CC BY-SA 4.0",
        "sources": [
            {
                "name": "Universal Dependencies, English Web Treebank 2.15",
                "url": "https://universaldependencies.org/treebanks/en_ewt/",
                "license": "CC BY-SA 4.0",
                "author": "Natalia Silveira and others",
            }
        ],
        "performance": {
            "dev": asdict(trained.dev),
            "test": asdict(trained.test),
            "epoch": trained.epoch,
            "epochs": epochs,
            "seed": seed,
        },
    }
    path.write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
