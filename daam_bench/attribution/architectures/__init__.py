"""The families of denoisers that can be traced, one module each; a new module here is found by itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from typing import Any

from packaging.version import Version

from daam_bench.attribution.layout import Architecture, Layer
from daam_bench.types.errors import InputError

_DENOISERS = ("unet", "transformer", "transformer_2")


def _families() -> Iterator[Architecture]:
    """Yield the families of each module, imported when it is reached: the UNets', used most, first."""
    for module in sorted(iter_modules(__path__), key=lambda module: module.name != "unets"):
        yield from import_module(f"{__name__}.{module.name}").FAMILIES


@cache
def architectures() -> dict[str, Architecture]:
    """Return every known family by the class names of its denoisers."""
    return {name: family for family in _families() for name in family.denoisers}


def denoisers_of(pipeline: Any) -> list[Any]:
    """Return a pipeline's denoisers: one, or two that share the steps (Wan 2.2)."""
    present = (getattr(pipeline, name, None) for name in _DENOISERS)
    return [denoiser for denoiser in present if denoiser is not None]


def traced_layers(pipeline: Any) -> dict[str, Layer]:
    """Return the layers of a pipeline's denoiser that can be traced, by name, in order.

    Raises:
        InputError: See `architecture_of`.
    """
    layers = architecture_of(pipeline).layers(denoisers_of(pipeline)[0])
    return {layer.name: layer for layer in layers}


def architecture_of(pipeline: Any) -> Architecture:
    """Return the family of a pipeline's denoiser, by its class name.

    Raises:
        InputError: There is no denoiser, none of a known family, or one that can't be looked into.
    """
    name = type(pipeline).__name__
    denoisers = denoisers_of(pipeline)
    if not denoisers or not hasattr(pipeline, "encode_prompt"):
        raise InputError(
            f"{name} can't be traced: it has no denoiser that is fed by encode_prompt; {_what_works()}"
        )
    for denoiser in denoisers:
        if not hasattr(denoiser, "named_modules"):
            raise InputError(
                f"{name} can't be traced: its {type(denoiser).__name__} is no torch module (ONNX, "
                "OpenVINO?); load the pipeline with diffusers"
            )
        if any(hasattr(module, "_orig_mod") or module._compiled_call_impl for module in denoiser.modules()):
            kind = "UNet" if denoiser is getattr(pipeline, "unet", None) else "transformer"
            raise InputError(
                f"a compiled {kind} can't be traced: its attention is out of sight; trace it uncompiled"
            )
        if getattr(denoiser, "_parallel_config", None) is not None:
            raise InputError(
                "a transformer under context parallelism can't be traced: each process sees a part of its "
                "attention"
            )
    bases = [base.__name__ for base in type(denoisers[0]).__mro__]
    for family in _families():
        if not set(bases).isdisjoint(family.denoisers):
            if Version(version("diffusers")) < Version(family.since):
                raise InputError(
                    f"{name} can't be traced with diffusers {version('diffusers')}: {family.models} needs "
                    f"{family.since} or newer; run pip install -U diffusers"
                )
            return family
    raise InputError(
        f"{name} can't be traced: its denoiser {type(denoisers[0]).__name__} is of no family known here "
        f"(diffusers {version('diffusers')}); {_what_works()}"
    )


def _what_works() -> str:
    newest = dict.fromkeys(
        family.models if family.since == Architecture.since else f"{family.models} (from {family.since})"
        for family in architectures().values()
    )
    return f"these can be traced, from diffusers {Architecture.since}: {', '.join(newest)}"
