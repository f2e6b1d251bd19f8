"""Random but valid examples for property tests."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from daam_bench.types import (
    Annotation,
    Example,
    Generation,
    Noun,
    Query,
    Source,
    Swap,
    Token,
)
from daam_bench.types.examples import MASK_KINDS
from daam_bench.types.masks import encode

LEMMAS = {"cat": "cat", "mouse": None, "wheel": "bicycle", "tree": None, "Ärger": None, "猫": "cat"}


@st.composite
def examples(draw, name: str) -> Example:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    words = draw(st.lists(st.sampled_from([*LEMMAS, "on", "red"]), min_size=1, max_size=6))
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])]).tolist()
    tokens = tuple(Token(word, "X", at, at + len(word)) for word, at in zip(words, starts, strict=True))
    nouns = tuple(
        Noun(token.text, token.text.lower(), token.start, token.end, LEMMAS[token.text])
        for token in tokens
        if token.text in LEMMAS
    )
    mask = hnp.arrays(np.bool_, (height, width)).map(encode)
    generated = draw(st.booleans())
    query = Query(
        id=name,
        prompt=" ".join(words),
        image=Image.fromarray(draw(hnp.arrays(np.uint8, (height, width, 3)))),
        nouns=nouns,
        seed=draw(st.integers(0, 2**40)) if generated else None,
        generation=Generation("emoji", None, "DDIMScheduler", 8, 7.5, height, width, "float32")
        if generated
        else None,
    )
    return Example(
        query=query,
        masks=tuple(draw(st.none() | mask) for _ in nouns),
        tokens=tokens,
        source=Source(
            draw(st.none() | st.just("caption 1")), draw(st.sampled_from([(), (Swap("cat", "dog"),)]))
        ),
        annotation=draw(st.none() | annotations(len(nouns))),
    )


def annotations(nouns: int) -> st.SearchStrategy[Annotation]:
    """Annotations of an example with so many nouns, with and without the masks' history."""
    kinds = st.none() | st.tuples(*[st.sampled_from(MASK_KINDS)] * nouns)
    proposal = st.none() | st.just("daam")
    return st.builds(
        Annotation, st.just("a person"), st.just("by hand"), st.just("2024-05-01"), kinds, proposal
    )


def splits() -> st.SearchStrategy[dict[str, Sequence[Example]]]:
    """Datasets of one to three splits of one to three examples each."""
    rows = st.integers(1, 3).flatmap(lambda count: st.tuples(*(examples(f"ex{i}") for i in range(count))))
    return st.dictionaries(st.sampled_from(["coco_gen", "unreal_gen", "scenes"]), rows, min_size=1)
