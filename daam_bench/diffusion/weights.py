"""A pipeline's weights: which variants of the files there are, and keeping them off the device."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daam_bench.types.errors import InputError

_FILE = re.compile(r".+/[^/]+\.(\w+)(-\d+-of-\d+)?\.safetensors")


def refuse_variant(model: str, target: str, revision: str | None, variant: str | None) -> None:
    """Refuse a variant that a pipeline lacks, or None where it has nothing but variants.

    A variant's files are named `unet/diffusion_pytorch_model.fp16.safetensors`.

    Args:
        model: The pipeline as the user names it.
        target: Its folder or hub id.
        revision: Its revision on the hub.
        variant: What was asked for.

    Raises:
        InputError: It has no such weights; the line says which it has.
    """
    found = _variants(target, revision)
    give = f"give --variant {found[0]} (it has {', '.join(found)})" if found else ""
    if variant is not None:
        leave = f"{give}, or leave --variant out" if found else "leave --variant out"
        raise InputError(f"the pipeline {model!r} has no weights of the variant {variant!r}; {leave}")
    if found:
        raise InputError(f"the pipeline {model!r} has weights of variants alone; {give}")


def _variants(target: str, revision: str | None) -> list[str]:
    """Return the variants; none where the hub can't be asked."""
    folder = Path(target)
    if folder.is_dir():
        return variants_of(path.relative_to(folder).as_posix() for path in folder.glob("*/*.safetensors"))
    from huggingface_hub import list_repo_files

    from daam_bench.files.hub import hub_errors

    try:
        with hub_errors("model", target, revision):
            return variants_of(list_repo_files(target, revision=revision))
    except InputError:
        return []


def variants_of(files: Iterable[str]) -> list[str]:
    """Return the variants among a pipeline's files, in ABC order.

    >>> variants_of(["unet/m.safetensors", "unet/m.fp16.safetensors", "vae/m.ema-00001-of-00002.safetensors"])
    ['ema', 'fp16']
    """
    return sorted({match[1] for name in files if (match := _FILE.fullmatch(name))})


def offloaded(pipeline: Any, device: str, offload: str) -> Any:
    """Let diffusers bring the weights of a pipeline to a device as they are needed.

    Raises:
        InputError: It can't.
    """
    import torch

    if offload == "sequential" and device == "cpu":
        raise InputError(
            "sequential offload is from the CPU to a GPU, and there is none; leave --offload out"
        )
    try:
        if offload == "group":
            stream = device.startswith("cuda")
            pipeline.enable_group_offload(torch.device(device), offload_type="leaf_level", use_stream=stream)
        else:
            getattr(pipeline, f"enable_{offload}_cpu_offload")(device=device)
    except (AttributeError, ImportError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{type(pipeline).__name__} can't be offloaded by {offload}: {reason}") from error
    return pipeline
