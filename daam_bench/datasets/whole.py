"""A dataset as a whole: every split and the card, to be changed and written again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from daam_bench.datasets.load import load_split, split_names
from daam_bench.datasets.locate import locate
from daam_bench.types import Split
from daam_bench.types.errors import InputError


class Whole(NamedTuple):
    """Every split of a dataset by name, and its card without `configs`: as `write_dataset` takes them."""

    splits: dict[str, Split]
    card: str


def load_whole(dataset: str | Path) -> Whole:
    """Load every split of a dataset, and its card.

    Args:
        dataset: "emoji", a folder, or a hub id.

    Raises:
        InputError: The dataset is not there, or what is there is none.
    """
    folder = locate(str(dataset))
    names = split_names(folder)
    if not names:
        raise InputError(f"{folder} is no dataset: looked for .parquet files there and found none")
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        card = ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read {folder / 'README.md'}: {error}; fix the dataset's card") from None
    return Whole({name: load_split(dataset, name) for name in names}, without_configs(card))


def without_configs(card: str) -> str:
    r"""Take the YAML `configs` out of a card's head, so that it can be written again.

    >>> without_configs("---\nlicense: mit\nconfigs:\n- config_name: default\n---\n# Birds\n")
    '---\nlicense: mit\n---\n# Birds\n'
    """
    if not (card.startswith("---\n") and "\n---\n" in card[3:]):
        return card
    head, body = card[4:].split("---\n", 1)
    kept: list[str] = []
    inside = False
    for line in head.splitlines(keepends=True):
        if not line.startswith((" ", "-", "#", "\n")):
            inside = line.startswith("configs:")
        if not inside:
            kept.append(line)
    return f"---\n{''.join(kept)}---\n{body}"
