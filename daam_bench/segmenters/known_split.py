"""Methods that must know the split of their queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import SupportsIndex, overload

from daam_bench.segmenters.base import KnowsSplit, Segmenter, method_code
from daam_bench.types import Query


def begin_split(method: Segmenter, name: str, queries: Sequence[Query]) -> None:
    """Tell a method that must know it which split comes next: the whole of it, also before a slice."""
    if isinstance(method, KnowsSplit):
        with method_code(method.name):
            method.begin_split(name, _Copies(queries))


@dataclass(frozen=True)
class _Copies(Sequence[Query]):
    """Queries whose images are copied as they are asked for: those of a whole split would fill the memory."""

    queries: Sequence[Query]

    def __len__(self) -> int:
        return len(self.queries)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Query: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Query]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Query | Sequence[Query]:
        if isinstance(index, slice):
            return _Copies(self.queries[index])
        return copy_of(self.queries[int(index)])


def copy_of(query: Query) -> Query:
    """Return a query with an image of its own."""
    return replace(query, image=query.image.copy())
