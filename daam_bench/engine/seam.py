"""What an engine and a worker look like: for type checkers and readers, loaded by nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from daam_bench.engine import Pool


class Worker(Protocol):
    """What does the work of one place. `about` is what its results depend on, as JSON values."""

    @property
    def about(self) -> Mapping[str, Any]: ...  # noqa: D102

    def __call__(self, item: Any) -> Any:
        """Work on an item, and return what is written of it."""
        ...


class Engine(Protocol):
    """What brings workers up that `make` makes, and ends them. `is_local`: there is one, in this process."""

    is_local: bool

    def start(self, make: Callable[[], Worker]) -> AbstractContextManager[Pool]: ...  # noqa: D102
