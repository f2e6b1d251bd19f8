"""Loading the pipelines that generated a dataset's images."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daam_bench.emoji import PIPELINE, SIBLINGS
from daam_bench.types.errors import InputError, full_dtype

SHIPPED = "emoji"
"""Name of the pipeline that comes with the package."""

DTYPES = ("float32", "float16", "bfloat16")

show_steps = False
"""Whether pipelines show a bar over the steps of each call: on a terminal, set by the command line."""

OFFLOADS = ("model", "sequential", "group")
"""How `load_pipeline` can keep weights off the device until they are needed."""


class Pipelines:
    """Pipelines on one device, each loaded when it is first needed.

    All are loaded as `dtype`; for None as what each was recorded with, but float32 on a CPU. `offload` is as
    in `load_pipeline`.
    """

    def __init__(self, device: str, dtype: str | None, offload: str | None = None) -> None:
        self.device = pick_device(device)
        self._offload = offload
        self.dtype = _known_dtype(dtype) if dtype else ("float32" if self.device == "cpu" else None)
        self._loaded: dict[tuple[str, str | None, str, str | None], Any] = {}

    def get(self, model: str, revision: str | None, recorded: str, variant: str | None = None) -> Any:
        """Return a pipeline by hub id or path, revision, recorded dtype and variant; see `load_pipeline`."""
        key = (model, revision, self.dtype or recorded, variant)
        if key not in self._loaded:
            self._loaded[key] = load_pipeline(
                model, revision, self.device, key[2], offload=self._offload, variant=variant
            )
        return self._loaded[key]


def load_pipeline(
    model: str,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    *,
    safety_checker: bool = False,
    offload: str | None = None,
    variant: str | None = None,
) -> Any:
    """Load a diffusers pipeline, without progress bars but those of `show_steps`.

    Weights are read as safetensors. Pickles, which may run any program, are read only if there is nothing
    else and the environment variable `DAAM_BENCH_PICKLES` is 1; code that comes with a pipeline is never run.
    Where it has a safety checker, that is left out by default: it would blank images of a dataset
    that are generated again. All else is as published.

    Args:
        model: Hub id or path; "emoji" is the shipped one.
        revision: Revision on the hub, or None for the newest.
        device: A torch device, or "auto" as in `pick_device`.
        dtype: "float32", "float16" or "bfloat16".
        safety_checker: Keep the safety checker of a pipeline that has one.
        offload: Keep the weights in the CPU's memory and bring to the device, when it runs, one model
            ("model"), one layer ("sequential"), or one layer with the next one on its way ("group"); None to
            keep all on the device.
        variant: Which of its files of weights to load, such as "fp16"; None for those without a variant.

    Raises:
        InputError: The pipeline can't be loaded or offloaded so, not in this memory, or the device, dtype or
            variant is unknown.
    """
    import torch
    from diffusers import DiffusionPipeline

    target = _target(model)
    place = pick_device(device)
    dtype = _known_dtype(dtype)
    if offload is not None and offload not in OFFLOADS:
        raise InputError(f"unknown offload {offload!r}; choose one of {', '.join(OFFLOADS)}")
    options: dict[str, Any] = {
        "revision": revision,
        "torch_dtype": getattr(torch, dtype),
        "trust_remote_code": False,
        "use_safetensors": True,
        "variant": variant,
    }
    if not Path(target).is_dir():
        from daam_bench.diffusion.weights import check_there

        check_there(model, target, revision)
    try:
        with quietly(target):
            config = DiffusionPipeline.load_config(target, revision=revision)
            if "safety_checker" in config and not safety_checker:
                options |= {"safety_checker": None, "requires_safety_checker": False}
            try:
                pipeline = DiffusionPipeline.from_pretrained(target, **options)
            except OSError as error:
                if "safetensors" not in str(error):
                    raise
                from daam_bench.diffusion.weights import check_pickles

                check_pickles(model, target, revision, variant)
                pipeline = DiffusionPipeline.from_pretrained(target, **options | {"use_safetensors": False})
    except InputError:
        raise
    except (OSError, ValueError, ImportError, AttributeError) as error:
        if variant is not None and f"variant={variant}" in str(error):
            from daam_bench.diffusion.weights import refuse_variant

            refuse_variant(model, target, revision, variant)
        first_line = str(error).strip().split("\n")[0]
        remedy = (
            "give a whole folder as save_pretrained writes it, with a model_index.json"
            if Path(target).is_dir()
            else f"download it (`hf download {model}`), or name a copy of it with the option model"
        )
        raise InputError(f"the pipeline {model!r} can't be loaded ({first_line[:200]}); {remedy}") from error
    pipeline.set_progress_bar_config(disable=not show_steps, leave=False, desc="steps of a batch")
    try:
        if offload is None:
            return pipeline.to(place)
        from daam_bench.diffusion.weights import offloaded

        return offloaded(pipeline, place, offload)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"the pipeline {model!r} needs more memory than {place} has; give --offload or a --dtype of half "
            "the size"
        ) from error


def _known_dtype(name: str) -> str:
    dtype = full_dtype(name)
    if dtype not in DTYPES:
        raise InputError(f"unknown dtype {name!r}; choose one of {', '.join(DTYPES)}")
    return dtype


def pick_device(device: str = "auto") -> str:
    """Return the torch device to use: for "auto" CUDA if there is one, else Apple's MPS, else the CPU.

    "gpu" is "auto", but not the CPU.

    Raises:
        InputError: There is no such device here.
    """
    import torch

    if device == "gpu":
        if pick_device() == "cpu":
            raise InputError("there is no GPU that PyTorch can use here; give --device cpu")
        return pick_device()
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"device {device!r} can't be used here ({str(error).splitlines()[0][:120]}); try auto or cpu"
        ) from error
    return device


def device_name(device: str) -> str:
    """Return a torch device for a report: a CUDA device by the name of its GPU."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)


def _target(model: str) -> str:
    if model in SIBLINGS:
        from daam_bench.emoji.generators import generator_folder

        return str(generator_folder(model))
    if model != SHIPPED:
        return str(Path(model).expanduser()) if model.startswith("~") else model
    if not (PIPELINE / "model_index.json").is_file():
        raise InputError(f"the shipped pipeline is not at {PIPELINE}; install daam-bench again")
    return str(PIPELINE)


@contextmanager
def quietly(target: str) -> Iterator[None]:
    """Silence the bars of a loading folder and notices of no use here; the bars of a download stay."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    silenced = [
        library
        for library in (diffusers_logging, transformers_logging)
        if Path(target).is_dir() and library.is_progress_bar_enabled()
    ]
    for library in silenced:
        library.disable_progress_bar()
    try:
        # Image processors are of no use here: no traced pipeline has one.
        with warnings.catch_warnings(), without_notices("requires torchvision"):
            # Its successor `dtype` is unknown to the oldest diffusers that are supported.
            warnings.filterwarnings("ignore", message="`torch_dtype` is deprecated")
            yield
    finally:
        for library in silenced:
            library.enable_progress_bar()


@contextmanager
def without_notices(*parts: str) -> Iterator[None]:
    """Leave out what transformers and diffusers log with one of some parts of text in it."""

    def of_use(record: logging.LogRecord) -> bool:
        return not any(part in record.getMessage() for part in parts)

    handlers = [
        handler for name in ("transformers", "diffusers") for handler in logging.getLogger(name).handlers
    ]
    for handler in handlers:
        handler.addFilter(of_use)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(of_use)
