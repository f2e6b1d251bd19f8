"""The words of daam-bench, as frozen dataclasses. Loads nothing until it is asked, torch never."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daam_bench.types.examples import (
        Annotation,
        Example,
        Generation,
        MaskedNoun,
        Noun,
        Prediction,
        PredictionsHeader,
        Query,
        Source,
        Split,
        Swap,
        Token,
    )
    from daam_bench.types.masks import RLE, BoolMask, FloatMap
    from daam_bench.types.reports import (
        ClassScore,
        CurvePoint,
        Environment,
        MaskShares,
        PairScore,
        Proposals,
        Report,
        Scores,
    )

__all__ = [
    "Annotation",
    "BoolMask",
    "ClassScore",
    "CurvePoint",
    "Environment",
    "Example",
    "FloatMap",
    "Generation",
    "MaskShares",
    "MaskedNoun",
    "Noun",
    "PairScore",
    "Prediction",
    "PredictionsHeader",
    "Proposals",
    "Query",
    "RLE",
    "Report",
    "Scores",
    "Source",
    "Split",
    "Swap",
    "Token",
]


def __getattr__(name: str) -> Any:
    # Errors and checks are imported by the command line's help, which must do without NumPy.
    if name in __all__:
        for home in ("masks", "examples", "reports"):
            module = import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
