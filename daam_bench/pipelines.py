"""Loading the pipelines that drew a dataset's pictures."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from daam_bench.errors import InputError

SHIPPED = "emoji"
"""Name of the pipeline that comes with the package."""

DTYPES = ("float32", "float16", "bfloat16")


def load_pipeline(
    model: str, revision: str | None = None, device: str = "auto", dtype: str = "float32"
) -> Any:
    """Load a diffusers pipeline, without progress bars.

    Where it has a safety checker, that is left out: it would blank pictures of the dataset. All else is as
    published.

    Args:
        model: Hub id or path; "emoji" is the shipped one.
        revision: Revision on the hub, or None for the newest.
        device: A torch device, or "auto" as in `pick_device`.
        dtype: "float32", "float16" or "bfloat16".

    Raises:
        InputError: The pipeline can't be loaded, or the device or dtype is unknown.
    """
    import torch
    from diffusers import DiffusionPipeline

    target = _target(model)
    place = pick_device(device)
    options: dict[str, Any] = {"revision": revision, "torch_dtype": getattr(torch, _check_dtype(dtype))}
    try:
        with _quietly(target):
            if "safety_checker" in DiffusionPipeline.load_config(target, revision=revision):
                options |= {"safety_checker": None, "requires_safety_checker": False}
            pipeline = DiffusionPipeline.from_pretrained(target, **options)
    except (OSError, ValueError, ImportError, AttributeError) as error:
        first_line = str(error).strip().split("\n")[0]
        raise InputError(
            f"the pipeline {model!r} can't be loaded ({first_line[:200]}); download it "
            f"(`hf download {model}`), or name a copy of it with the option model"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(place)


def pick_device(device: str = "auto") -> str:
    """Return the torch device to use: for "auto" CUDA if there is one, else Apple's MPS, else the CPU.

    Raises:
        InputError: There is no such device here.
    """
    import torch

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


def _check_dtype(dtype: str) -> str:
    if dtype not in DTYPES:
        raise InputError(f"unknown dtype {dtype!r}; choose one of {', '.join(DTYPES)}")
    return dtype


def _target(model: str) -> str:
    if model != SHIPPED:
        return str(Path(model).expanduser()) if model.startswith("~") else model
    folder = files("daam_bench") / "emoji" / "pipeline"
    if not (folder / "model_index.json").is_file():
        raise InputError(f"the shipped pipeline is not at {folder}; install daam-bench again")
    return str(folder)


@contextmanager
def _quietly(target: str) -> Iterator[None]:
    """Silence the bars of a loading folder and notices of no use here; the bars of a download stay."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    silenced = [
        library
        for library in (diffusers_logging, transformers_logging)
        if Path(target).is_dir() and library.is_progress_bar_enabled()
    ]
    handlers = logging.getLogger("transformers").handlers
    for library in silenced:
        library.disable_progress_bar()
    for handler in handlers:
        handler.addFilter(_is_of_use)
    try:
        with warnings.catch_warnings():
            # Its successor `dtype` is unknown to the oldest diffusers that are supported.
            warnings.filterwarnings("ignore", message="`torch_dtype` is deprecated")
            yield
    finally:
        for library in silenced:
            library.enable_progress_bar()
        for handler in handlers:
            handler.removeFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    """Filter out notices about image processors, which no traced pipeline uses."""
    return "requires torchvision" not in record.getMessage()
