"""What is run: which methods on which splits of which datasets, and how much of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daam_bench.datasets.load import SHIPPED, locate, split_names
from daam_bench.emoji import SIBLINGS
from daam_bench.types.errors import InputError
from tools.method_lists import APART, CHOSEN_ON_DEV, ON_TRANSFORMERS, ON_UNETS

ROOT = Path(__file__).parents[2]

DATASETS = (SHIPPED, *SIBLINGS)
"""The shipped dataset, and those of its sibling generators, which may not be built yet."""

SPLITS = ("scenes", "coco_gen", "unreal_gen")
"""In the order of tables: exact masks first."""

COSTLY = (*APART, "ovam-tokens")
"""Methods with many calls of the generator an image, or with embeddings to fit first."""

TRACED = tuple(
    name for name in dict.fromkeys((*ON_UNETS, *ON_TRANSFORMERS, *CHOSEN_ON_DEV)) if name not in COSTLY
)
"""Methods on attention: one generation of an image serves all of them."""

COSTLY_SCENES = 300
"""How many of the scenes they take."""

PLAIN = ("mask_rcnn", "queryinst", "mask2former", "random", "whole")
"""Methods that don't look into the generator."""

METHODS = (*PLAIN, *TRACED, *COSTLY)

BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class Job:
    """Methods that are run together on a split; `limit`: on its first so many examples alone."""

    dataset: str
    split: str
    methods: tuple[str, ...]
    limit: int | None


def jobs(
    only: Collection[str] = (), methods: Collection[str] = METHODS, limit: int | None = None
) -> Iterator[Job]:
    """Yield what is to be run, the cheap before the costly.

    Args:
        only: Datasets ("emoji-sd3") and splits ("emoji/scenes") to keep to; for none all that are built.
        methods: Methods to keep to.
        limit: Only the first so many examples of each split.

    Raises:
        InputError: A method, dataset or split is unknown, or a named one is not there.
    """
    for name in methods:
        if name not in METHODS:
            raise InputError(f"no method {name!r} in the plan; it has {', '.join(METHODS)}")
    splits = list(_splits(only))
    for costly in (False, True):
        chosen = tuple(name for name in METHODS if name in methods and (name in COSTLY) == costly)
        for dataset, split in splits if chosen else []:
            most = COSTLY_SCENES if costly and split == SPLITS[0] else None
            bounds = [bound for bound in (most, limit) if bound is not None]
            yield Job(dataset, split, chosen, min(bounds) if bounds else None)


def generated_splits(planned: Iterable[Job]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the planned methods by dataset and split, without splits that no model generated."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for job in planned:
        if job.split != SPLITS[0]:
            by_split = found.setdefault(job.dataset, {})
            by_split[job.split] = (*by_split.get(job.split, ()), *job.methods)
    return found


def built_datasets() -> dict[str, list[str]]:
    """Return the datasets that are there, with those of their splits that are scored."""
    found = {}
    for dataset in DATASETS:
        try:
            there = split_names(locate(dataset))
        except InputError:
            continue
        found[dataset] = [split for split in SPLITS if split in there]
    return found


def _splits(only: Collection[str]) -> Iterator[tuple[str, str]]:
    built = built_datasets()
    for name in only:
        dataset, _, split = name.partition("/")
        if dataset not in DATASETS:
            raise InputError(f"no dataset {dataset!r} in the plan; it has {', '.join(DATASETS)}")
        if dataset not in built:
            locate(dataset)
        if split and split not in built[dataset]:
            raise InputError(f"no split {split!r} of {dataset}; it has {', '.join(built[dataset])}")
    for dataset, splits in built.items():
        for split in splits:
            if not only or dataset in only or f"{dataset}/{split}" in only:
                yield dataset, split
