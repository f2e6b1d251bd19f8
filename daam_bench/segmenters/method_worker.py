"""A method as a worker: batches of queries in, what is written of them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from daam_bench.files.predictions import pack_map
from daam_bench.segmenters.base import KnowsSplit, RegeneratesImages, Segmenter, method_code
from daam_bench.segmenters.registry import make_segmenter
from daam_bench.types import Prediction, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.segmentations import Checked, check_batch, predictions_of


@dataclass(frozen=True)
class NextSplit:
    """What the batches that follow have in common.

    Attributes:
        name: Name of the split.
        queries: All of its queries, also before a slice; None for a method that need not know them.
        taus: Thresholds for heat maps.
    """

    name: str
    queries: Sequence[Query] | None
    taus: Sequence[float]


@dataclass(frozen=True)
class Rendered:
    """What is written of a batch: masks as RLE, heat maps compressed.

    Attributes:
        soft: Whether they are of heat maps; None for a batch without any prediction, whose lines depend on
            the kind of the others.
        predictions: In the order of the queries and nouns, at each tau; none if `soft` is None.
        maps: The records of the heat maps.
        drift: By id, how far the image generated again is from the dataset's.
    """

    soft: bool | None
    predictions: Sequence[Prediction] = ()
    maps: Sequence[Mapping[str, Any]] = ()
    drift: Mapping[str, float] = field(default_factory=dict)


class MethodWorker:
    """A worker that runs a method.

    Raises:
        InputError: Its name is no text, or its parameters are no JSON values.
    """

    def __init__(self, method: Segmenter) -> None:
        self.method = method
        self.about: Mapping[str, Any] = {
            "method": method.name,
            "parameters": _parameters(method),
            "device": _device(method),
            "tolerance": method.tolerance if isinstance(method, RegeneratesImages) else None,
            "knows_split": isinstance(method, KnowsSplit),
            **{name: _text(method, name) for name in ("track", "tuned_on", "calls")},
        }

    @classmethod
    def make(cls, name: str, options: Mapping[str, Any], offers: Mapping[str, Any]) -> MethodWorker:
        """Make one of a method by its name; see `make_segmenter`."""
        return cls(make_segmenter(name, options, offers))

    def __call__(self, item: Sequence[Query] | NextSplit) -> Rendered | None:
        """Segment a batch, and render what the method says; or hear of the split of those that follow.

        Raises:
            InputError: The method says something wrong.
            MethodFailedError: Its own code raised something.
        """
        if isinstance(item, NextSplit):
            self._taus = item.taus
            if item.queries is not None:
                from daam_bench.segmenters.known_split import begin_split

                begin_split(self.method, item.name, item.queries)
            return None
        said = segment_batch(self.method, item)
        drift = dict(self.method.drift) if isinstance(self.method, RegeneratesImages) else {}
        return render(self.method.name, item, said, self._taus, drift)


def segment_batch(method: Segmenter, queries: Sequence[Query]) -> list[list[Checked]]:
    """Return what a method says of a batch, checked."""
    with method_code(method.name):
        # A method may draw into its images: it gets copies.
        returned = method.segment([replace(query, image=query.image.copy()) for query in queries])
    return check_batch(method.name, queries, returned)


def render(
    method: str,
    queries: Sequence[Query],
    segmentations: Sequence[Sequence[Checked]],
    taus: Sequence[float],
    drift: Mapping[str, float],
) -> Rendered:
    """Threshold, encode and compress: the work of writing a batch that needs no file.

    Raises:
        InputError: There are masks and heat maps.
    """
    kinds = {isinstance(item, HeatMap) for items in segmentations for item in items if item is not None}
    if len(kinds) > 1:
        raise mixed_kinds(method, queries)
    if not kinds:
        return Rendered(None, drift=drift)
    soft = kinds.pop()
    predictions: list[Prediction] = []
    maps = []
    for query, items in zip(queries, segmentations, strict=True):
        for noun, item in enumerate(items):
            predictions += predictions_of(query, noun, item, taus if soft else (None,))
            if isinstance(item, HeatMap):
                maps.append(pack_map(query.id, noun, item.values))
    return Rendered(soft, predictions, maps, drift)


def mixed_kinds(method: str, queries: Sequence[Query]) -> InputError:
    """Return the error of a method that gives masks and heat maps."""
    return InputError(
        f"method {method!r} gives both hard masks and heat maps (in the batch of example {queries[0].id!r}); "
        "give one kind"
    )


def _parameters(method: Segmenter) -> dict[str, Any]:
    if not isinstance(method.name, str):
        raise InputError(f"a method's name must be text, not {method.name!r}")
    try:
        parameters: dict[str, Any] = json.loads(json.dumps(dict(method.parameters), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"the parameters of method {method.name!r} are no JSON values: {error}") from error
    return parameters


def _text(method: Segmenter, name: str) -> str | None:
    """Return a text that a method says of itself in an attribute; None if it says none."""
    said = getattr(method, name, None)
    return said if isinstance(said, str) else None


def _device(method: Segmenter) -> str | None:
    """Return what a method says it runs on, a CUDA device by its name."""
    device = getattr(method, "device", None)
    if device is None:
        return None
    from daam_bench.diffusion.pipelines import device_name

    return device_name(str(device))
