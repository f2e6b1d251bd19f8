"""daam-bench: a benchmark for word-to-pixel attribution in text-to-image diffusion models."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes time, in which an interrupt would show a traceback
if TYPE_CHECKING:
    from typing import Any

    from daam_bench.attribution.given_images import trace_images as trace_images
    from daam_bench.attribution.trace import trace as trace
    from daam_bench.datasets.load import load_split as load_split
    from daam_bench.diffusion.pipelines import load_pipeline as load_pipeline
    from daam_bench.evaluation import evaluate as evaluate
    from daam_bench.scoring.compare import compare as compare
    from daam_bench.scoring.score import score as score
    from daam_bench.segmenters.registry import get_segmenter as get_segmenter
    from daam_bench.segmenters.segment import segment as segment
    from daam_bench.types import Example as Example
    from daam_bench.types import Query as Query
    from daam_bench.types import Split as Split
    from daam_bench.types.errors import InputError as InputError
    from daam_bench.types.heat_map import HeatMap as HeatMap

__version__ = "0.1.0"

_HOMES = {
    "Example": "types",
    "HeatMap": "types.heat_map",
    "InputError": "types.errors",
    "Query": "types",
    "Split": "types",
    "compare": "scoring.compare",
    "evaluate": "evaluation",
    "get_segmenter": "segmenters.registry",
    "load_pipeline": "diffusion.pipelines",
    "load_split": "datasets.load",
    "score": "scoring.score",
    "segment": "segmenters.segment",
    "trace": "attribution.trace",
    "trace_images": "attribution.given_images",
}
"""Public name -> the module it lives in, loaded when the name is first asked for."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"daam_bench.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
