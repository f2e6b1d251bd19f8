"""daam-bench: a benchmark for word-to-pixel attribution in text-to-image diffusion models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daam_bench.attribution.trace import trace
    from daam_bench.datasets.load import load_split
    from daam_bench.scoring.score import score
    from daam_bench.segmenters.registry import get_segmenter
    from daam_bench.segmenters.segment import segment

__version__ = "0.1.0"

_HOMES = {
    "get_segmenter": "daam_bench.segmenters.registry",
    "load_split": "daam_bench.datasets.load",
    "score": "daam_bench.scoring.score",
    "segment": "daam_bench.segmenters.segment",
    "trace": "daam_bench.attribution.trace",
}

__all__ = ["__version__", "get_segmenter", "load_split", "score", "segment", "trace"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
