"""The words of daam-bench, as frozen dataclasses. Loads neither torch nor diffusers."""

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
from daam_bench.types.reports import ClassScore, CurvePoint, Environment, PairScore, Proposals, Report, Scores

__all__ = [
    "Annotation",
    "BoolMask",
    "ClassScore",
    "CurvePoint",
    "Environment",
    "Example",
    "FloatMap",
    "Generation",
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
