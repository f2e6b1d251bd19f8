"""What methods that look into the image's generator have in common: which model it is, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from daam_bench.diffusion.generate import DRIFT_TOLERANCE
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.types import Query
from daam_bench.types.errors import InputError, full_dtype

NOT_PARAMETERS = ("device", "batch_size", "offload")
"""Options that results don't depend on, but for rounding."""


@dataclass(kw_only=True, eq=False)
class GeneratorMethod:
    """A method on the model that generated the images: a dataclass whose fields are its options.

    Args:
        model: Pipeline to use in place of the recorded one, as a hub id or path.
        revision: Its revision on the hub.
        default_model: Pipeline for images that no model generated, if `model` is None.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        dtype: "float32", "float16" or "bfloat16"; None for the recorded one, but float32 on a CPU.
        batch_size: Most images looked at at once; None for as many as are handed in.
        seed: Seed of the noise added to images.
        offload: Where weights wait, see `daam_bench.diffusion.pipelines.load_pipeline`.

    Attributes:
        parameters: All its options but those of where and how it runs.
        drift: See `daam_bench.segmenters.base.RegeneratesImages`.
        pipelines: The loaded pipelines.
    """

    name: ClassVar[str]
    track: ClassVar[str] = "generator"
    tolerance: ClassVar[float] = DRIFT_TOLERANCE

    model: str | None = None
    revision: str | None = None
    default_model: str | None = None
    device: str = "auto"
    dtype: str | None = None
    batch_size: int | None = None
    seed: int = 0
    offload: str | None = None

    def __post_init__(self) -> None:
        self.pipelines = Pipelines(self.device, self.dtype, self.offload)
        self.device = self.pipelines.device
        self.dtype = full_dtype(self.dtype) if self.dtype else None
        self.drift: dict[str, float] = {}
        self.parameters: Mapping[str, Any] = {
            field.name: _as_json(getattr(self, field.name))
            for field in fields(self)
            if field.name not in NOT_PARAMETERS
        }

    def pipeline_of(self, query: Query) -> Any:
        """Return the loaded pipeline to look into: `model` goes before what is recorded.

        Raises:
            InputError: It can't be loaded, or no model generated the image and none is named.
        """
        generation = query.generation
        dtype = "float32" if generation is None else generation.dtype
        if self.model is not None:
            return self.pipelines.get(self.model, self.revision, dtype)
        if generation is not None:
            return self.pipelines.get(generation.model, generation.revision, dtype)
        if self.default_model is None:
            raise InputError(
                f"no model generated the image of example {query.id!r}, so {self.name} has none to look "
                "into; name one with --model (the option `model`)"
            )
        return self.pipelines.get(self.default_model, None, dtype)

    def pipeline_key(self) -> tuple[Any, ...]:
        """Return what decides which pipelines it looks into: methods with the same key can share them."""
        return self.model, self.revision, self.default_model, self.device, self.dtype, self.offload


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_json(one) for one in value]
    return value
