"""Prompts without images: a dataset folder from which `build` generates images with any model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from daam_bench.datasets.card import add_configs, render_card
from daam_bench.datasets.columns import (
    StoredExample,
    StoredNoun,
    StoredSource,
    check_words,
    parse_row,
)
from daam_bench.datasets.load import locate, read_table, split_names
from daam_bench.datasets.plan import SPLITS, Plan, PlannedPrompt, describe_passed_over
from daam_bench.datasets.row_writing import features
from daam_bench.datasets.write import content_digest
from daam_bench.files.folders import replacing_folder
from daam_bench.types import Source
from daam_bench.types.errors import InputError

MOST_WORDS = 40
"""Most words and punctuation marks of a prompt for any model: CLIP's 75 tokens hold them easily."""

_APOSTROPHES = {"'", "\u2019", "`"}

_FILE_NAME = re.compile(r"[\w-]{1,100}")
"""What an id must be for its image to be kept under that name."""

NOT_PLAIN = f"in capitals, with an apostrophe, or with more than {MOST_WORDS} words"


def is_plain(prompt: str) -> bool:
    """Tell whether a prompt suits any model and the noun swap.

    >>> is_plain("a cat on a bed"), is_plain("a man's hat"), is_plain("A CAT")
    (True, False, False)
    """
    words = re.findall(r"\w+|[^\w\s]", prompt)
    return len(words) <= MOST_WORDS and not prompt.isupper() and not _APOSTROPHES & set(words)


def write_prompts(folder: Path, plan: Plan, licence: str, note: str = "") -> None:
    """Write the prompts of a plan as a dataset folder without images.

    It loads with `datasets`; image, generation and masks are null. `note` ends the card's words on the nouns.

    Raises:
        InputError: The folder can't be written.
    """
    schema = features().arrow_schema
    try:
        with replacing_folder(folder) as fresh:
            for split, prompts in _by_split(plan.prompts).items():
                table = pa.Table.from_pylist([_to_row(prompt) for prompt in prompts], schema=schema)
                pq.write_table(table, fresh / f"{split}.parquet", compression="zstd")
            card = _card(folder.resolve().name, plan, licence, note)
            card = add_configs(card, list(_by_split(plan.prompts)), content_digest(fresh))
            (fresh / "README.md").write_text(card, encoding="utf-8")
    except OSError as error:
        raise InputError(f"can't write {folder}: {error.strerror or error}; name another --output") from error


def read_prompts(dataset: str) -> tuple[PlannedPrompt, ...]:
    """Read the prompts of a dataset ("coco", a folder, a hub id), split by split; images are not looked at.

    Raises:
        InputError: There is no such dataset, or a prompt contradicts itself.
    """
    folder = locate(dataset)
    names = [name for name in split_names(folder) if name in SPLITS]
    if not names:
        raise InputError(f"{folder} holds no prompts: looked for {' and '.join(SPLITS)} (.parquet) there")
    found: list[PlannedPrompt] = []
    for split in names:
        for number, row in enumerate(read_table(folder, split).to_pylist()):
            try:
                found.append(_from_row(row, split, number))
            except InputError as error:
                raise InputError(f"{folder / split}.parquet, row {number + 1}: {error}") from None
    for name, count in Counter(prompt.id for prompt in found).items():
        if count > 1 or not _FILE_NAME.fullmatch(name):
            raise InputError(
                f"{folder}: the id {name!r:.60} must name one prompt of all splits, in letters, digits, _, -"
            )
    return tuple(found)


def _by_split(prompts: Sequence[PlannedPrompt]) -> dict[str, list[PlannedPrompt]]:
    splits: dict[str, list[PlannedPrompt]] = {}
    for prompt in prompts:
        splits.setdefault(prompt.split, []).append(prompt)
    return splits


def _to_row(prompt: PlannedPrompt) -> dict[str, Any]:
    stored = StoredExample(
        id=prompt.id,
        prompt=prompt.text,
        seed=prompt.seed,
        generation=None,
        nouns=tuple(StoredNoun(**asdict(noun), mask=None) for noun in prompt.nouns),
        tokens=prompt.tokens,
        source=StoredSource(prompt.source.caption_id, prompt.source.swapped_from),
        annotation=None,
    )
    return asdict(stored) | {"image": None}


def _from_row(row: dict[str, Any], split: str, number: int) -> PlannedPrompt:
    stored = parse_row(row)
    nouns, source = stored.plain_nouns(), stored.source or StoredSource(None, None)
    check_words(stored.id, stored.prompt, nouns, stored.tokens)
    return PlannedPrompt(
        id=stored.id,
        split=split,
        seed=number if stored.seed is None else stored.seed,
        text=stored.prompt,
        nouns=nouns,
        tokens=stored.tokens,
        source=Source(source.caption_id, source.swapped_from or ()),
    )


def _card(name: str, plan: Plan, licence: str, note: str) -> str:
    return render_card(
        "prompts",
        licence=licence,
        examples=len(plan.prompts),
        name=name,
        note=note,
        plan=plan,
        nouns=sum(len(prompt.nouns) for prompt in plan.prompts[: plan.size]),
        in_coco=sum(
            noun.coco_class is not None for prompt in plan.prompts[: plan.size] for noun in prompt.nouns
        ),
        swapped=sum(len(prompt.source.swapped_from) for prompt in plan.prompts),
        passed_over=describe_passed_over(plan.passed_over),
    )
