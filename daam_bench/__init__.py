"""daam-bench: a benchmark for word-to-pixel attribution in text-to-image diffusion models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daam_bench.attribution.given_images import trace_images
    from daam_bench.attribution.trace import trace
    from daam_bench.datasets.load import load_split
    from daam_bench.diffusion.pipelines import load_pipeline
    from daam_bench.run import evaluate
    from daam_bench.scoring.compare import compare
    from daam_bench.scoring.score import score
    from daam_bench.segmenters.registry import get_segmenter
    from daam_bench.segmenters.segment import segment
    from daam_bench.types import Example, Query, Split
    from daam_bench.types.errors import InputError
    from daam_bench.types.heat_map import HeatMap

__version__ = "0.1.0"

_HOMES = {
    "Example": "types",
    "HeatMap": "types.heat_map",
    "InputError": "types.errors",
    "Query": "types",
    "Split": "types",
    "compare": "scoring.compare",
    "evaluate": "run",
    "get_segmenter": "segmenters.registry",
    "load_pipeline": "diffusion.pipelines",
    "load_split": "datasets.load",
    "score": "scoring.score",
    "segment": "segmenters.segment",
    "trace": "attribution.trace",
    "trace_images": "attribution.given_images",
}
"""Public name -> the module it lives in, loaded when the name is first asked for."""

__all__ = [
    "Example",
    "HeatMap",
    "InputError",
    "Query",
    "Split",
    "__version__",
    "compare",
    "evaluate",
    "get_segmenter",
    "load_pipeline",
    "load_split",
    "score",
    "segment",
    "trace",
    "trace_images",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"daam_bench.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
