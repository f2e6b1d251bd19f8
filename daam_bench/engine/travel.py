"""What travels between the driver and workers elsewhere: items there; results, errors and warnings back."""

from __future__ import annotations

import logging
import pickle
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

import daam_bench
from daam_bench.engine import library_versions
from daam_bench.types.errors import InputError

logger = logging.getLogger(__name__)


class Greeting(NamedTuple):
    """What a worker says once it is made: where it is, its `agreement`, and its node of a cluster."""

    place: str
    about: dict[str, Any]
    node: str = ""


class RemoteError(Exception):
    """The traceback of an error in a worker, as text."""

    def __str__(self) -> str:
        return f"in a worker:\n{self.args[0]}"


@dataclass(frozen=True)
class Outcome:
    """The result of an item; or the error, of which `trace` is the traceback.

    Attributes:
        log: What was logged on the way: logger, level, text.
    """

    value: Any
    trace: str = ""
    log: tuple[tuple[str, int, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return bool(self.trace)

    def get(self) -> Any:
        """Say what was logged, and return the result or raise the error."""
        for name, level, text in self.log:
            logging.getLogger(name).log(level, "%s", text)
        if self.failed:
            raise self.value from RemoteError(self.trace)
        return self.value


def attempt(work: Callable[[], Any]) -> Outcome:
    """Do something in a worker, and return what came of it."""
    collector = _Collector(logging.WARNING)
    logging.getLogger().addHandler(collector)
    try:
        return Outcome(work(), log=tuple(collector.records))
    except (Exception, SystemExit) as error:
        return Outcome(_portable(error), traceback.format_exc(), tuple(collector.records))
    finally:
        logging.getLogger().removeHandler(collector)


class _Collector(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name, record.levelno, record.getMessage()))


def _portable(error: BaseException) -> Exception:
    """Return an error as one that arrives as it was sent; others than ours may not."""
    try:
        same = pickle.loads(pickle.dumps(error))  # noqa: S301
        if isinstance(same, Exception) and str(same) == str(error):
            return same
    except Exception as reason:
        logger.debug("%s can't be pickled: %s", type(error).__name__, reason)
    return RuntimeError(f"{type(error).__name__}: {error}")


def packed(item: Any) -> bytes:
    """Pickle an item; an image that isn't decoded yet goes as its file, and is decoded where it is needed."""
    buffer = BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(item)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, PngImageFile) and isinstance(item.fp, BytesIO):
            return _open, (item.fp.getvalue(),)
        return NotImplemented


def _open(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content), formats=["PNG"])


def agreement(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be equal in all places: what a worker says, versions, a CPU's vector instructions."""
    found = dict(about) | {"daam-bench": daam_bench.__version__, "python": platform.python_version()}
    found |= library_versions()
    torch = sys.modules.get("torch")
    if torch is not None and about.get("device") == "cpu":
        # Other instructions round differently.
        found["instructions"] = torch.backends.cpu.get_cpu_capability()
    return found


def check_agreement(found: Mapping[str, Any], usual: Mapping[str, Any], place: str, other: str) -> None:
    """Refuse a place whose results may differ from another's.

    Raises:
        InputError: It says which of what `agreement` returns is not the same there.
    """
    for name in {**usual, **found}:
        here, there = found.get(name), usual.get(name)
        if here != there:
            raise InputError(
                f"{place} is not like {other}: {name} is {here!r:.120}, not {there!r:.120}, so that its "
                "results could differ; make them alike"
            )
