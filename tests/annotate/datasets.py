"""Datasets without their masks, to import them again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from daam_bench.annotate.findings import put_in
from daam_bench.types import RLE, Annotation, Example, Split
from daam_bench.types.masks import area

IMPORTED = Annotation("an importer", "by hand, imported", "2024-06-01")

Splits = Mapping[str, Sequence[Example]]


def as_splits(splits: Splits) -> list[Split]:
    return [Split("dataset", name, tuple(examples), "") for name, examples in splits.items()]


def bare(splits: Splits) -> dict[str, list[Example]]:
    """The dataset as it was before anyone annotated it."""
    return {
        name: [replace(example, masks=(None,) * len(example.masks), annotation=None) for example in examples]
        for name, examples in splits.items()
    }


def depicted_masks(splits: Splits) -> dict[str, list[tuple[RLE | None, ...]]]:
    """The masks, an empty one as none: that is what "not depicted" means."""
    return {
        name: [
            tuple(mask and (mask if area(mask) else None) for mask in example.masks) for example in examples
        ]
        for name, examples in splits.items()
    }


def imported(splits: Splits, findings) -> dict[str, list[Example]]:
    assert findings.problems == []
    return put_in(bare(splits), findings.found, IMPORTED)
