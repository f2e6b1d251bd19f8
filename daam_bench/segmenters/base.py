"""What a method looks like: no base class, only these names; or a function of a query."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any, Protocol, runtime_checkable

from daam_bench.types import Query
from daam_bench.types.errors import InputError, MethodFailedError
from daam_bench.types.segmentations import Segmentation

_CALLERS = (
    __name__,
    *(f"daam_bench.segmenters.{name}" for name in ("known_split", "method_worker", "registry")),
    "daam_bench.engine",
)
"""What calls the code of methods."""

SegmentFunction = Callable[[Query], Sequence[Segmentation]]
"""A method as a function: of a query, to one segmentation for each of its nouns."""


@runtime_checkable
class Segmenter(Protocol):
    """A method: queries in, a segmentation for each of their nouns out. Plain attributes will do."""

    @property
    def name(self) -> str:
        """Name of the method in reports."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that its results depend on, as JSON values."""
        ...

    def segment(self, queries: Sequence[Query]) -> Sequence[Sequence[Segmentation]]:
        """Segment a batch: for each query, one segmentation for each of its nouns, in order."""
        ...


@runtime_checkable
class RegeneratesImages(Protocol):
    """What a method also has that generates the images again, to trace their generation."""

    @property
    def drift(self) -> Mapping[str, float]:
        """Mean absolute difference between each image of the last batch, generated again, and the dataset's.

        In grey levels from 0 to 255, by the id of the example.
        """
        ...

    @property
    def tolerance(self) -> float:
        """The largest difference with which an image counts as the same."""
        ...


@runtime_checkable
class KnowsSplit(Protocol):
    """What a method also has that must know the split of its queries: an id is unique in its split only."""

    def begin_split(self, name: str, queries: Sequence[Query]) -> None:
        """Hear of a split before its first batch: its name, and all of its queries, also those not asked."""
        ...


@contextmanager
def method_code(name: str, *, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Run the code of a method in the block, and come back to the folder that was the current one.

    Args:
        name: Name of the method.
        passing: Exceptions to leave as they are, besides `InputError`.

    Raises:
        InputError: A method of this package was refused a file or a place on the disk.
        MethodFailedError: It raised something, or asked the interpreter to exit.
    """
    folder = Path.cwd()
    try:
        yield
    except InputError:
        raise
    except passing:
        raise
    except OSError as error:
        if not _is_of_ours(error):
            raise _failed(name, error) from error
        place = "" if error.filename is None else f" {error.filename}"
        raise InputError(
            f"method {name!r} can't read or write{place}: {error.strerror or error}; give another file, or "
            "make room"
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(name, error) from error
    finally:
        os.chdir(folder)


def _failed(name: str, error: BaseException) -> MethodFailedError:
    return MethodFailedError(f"method {name!r} failed: {type(error).__name__}: {error}")


def _is_of_ours(error: BaseException) -> bool:
    """Tell whether an error in the code of a method was raised by a method of this package."""
    modules = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    called = next((module for module in modules if not module.startswith(_CALLERS)), "")
    return called.startswith("daam_bench.")


class NotAMethodError(InputError):
    """Something is neither a `Segmenter` nor a function of a query."""


def as_segmenter(method: object) -> Segmenter:
    """Return a method as a `Segmenter`.

    Args:
        method: One, or a function of a query. A function has its own name, and as its one parameter a digest
            of its code, so that the predictions of a function that was changed are not taken for its own.

    Raises:
        NotAMethodError: It is neither.
    """
    if isinstance(method, type):
        raise NotAMethodError(
            f"{method.__name__} is a class; give a method made of it, {method.__name__}(...)"
        )
    if isinstance(method, Segmenter):
        return method
    if callable(method):
        return _FunctionSegmenter(method)
    lacking = [part for part in ("name", "parameters", "segment") if not hasattr(method, part)]
    raise NotAMethodError(
        f"a {type(method).__name__} is no method: it lacks {', '.join(lacking)}, "
        "and is no function of a query; see daam_bench.segmenters.base.Segmenter"
    )


class _FunctionSegmenter:
    def __init__(self, function: SegmentFunction) -> None:
        self.name = str(getattr(function, "__name__", type(function).__name__))
        code = getattr(function, "__code__", None)
        self.parameters: Mapping[str, Any] = {} if code is None else {"code": _digest(code)}
        self._function = function

    def segment(self, queries: Sequence[Query]) -> list[Sequence[Segmentation]]:
        return [self._function(query) for query in queries]


def _digest(code: CodeType) -> str:
    constants = [
        _digest(item)
        if isinstance(item, CodeType)
        # The order of a set of strings differs from process to process.
        else repr(sorted(map(repr, item)))
        if isinstance(item, frozenset)
        else repr(item)
        for item in code.co_consts
    ]
    content = repr((code.co_code, code.co_names, code.co_varnames, constants))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]
