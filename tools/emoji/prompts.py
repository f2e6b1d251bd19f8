"""The fixed list of prompts that noun recall is measured on."""

from __future__ import annotations

import numpy as np

from daam_bench.emoji.nouns import BACKGROUNDS, NOUNS
from tools.emoji.captions import Caption, caption
from tools.emoji.scenes import Group, Layout

KINDS = ("one noun", "two nouns", "three nouns", "plural")
"""The groups of prompts, in report order."""

_PER_KIND = {"one noun": 37, "two nouns": 37, "three nouns": 26, "plural": 20}


def evaluation_prompts() -> list[tuple[str, Layout, Caption]]:
    """Return (kind, layout, caption) of each prompt; every call gives the same 120.

    "one noun" and "two nouns" name every noun once, and twice. Half of the backgrounds are usual.
    """
    rng = np.random.default_rng(2210)
    prompts = []
    for kind, count in _PER_KIND.items():
        names = [name for _ in range(4) for name in rng.permutation(list(NOUNS))]
        for index in range(count):
            if kind == "plural":
                groups: tuple[Group, ...] = (Group(names[index], 2),)
            else:
                nouns_each = KINDS.index(kind) + 1
                chosen = dict.fromkeys(names[index * nouns_each : (index + 1) * nouns_each])
                groups = tuple(Group(name) for name in chosen)
            usual = NOUNS[groups[0].noun].usual
            background = usual[0] if index % 2 == 0 else BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
            layout = Layout(groups, background)
            prompts.append((kind, layout, caption(layout, rng)))
    return prompts
