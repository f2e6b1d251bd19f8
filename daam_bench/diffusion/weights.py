"""A pipeline's weights: are they there, of which commit and variants, and keeping them off the device."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daam_bench.types.errors import InputError

PICKLES = "DAAM_BENCH_PICKLES"
"""The environment variable that allows weights as pickles, if it is 1."""

_FILE = re.compile(r".+/[^/]+\.(\w+)(-\d+-of-\d+)?\.safetensors")


def check_there(model: str, target: str, revision: str | None) -> None:
    """Refuse a model, no folder here, that the hub does not have or can't be asked for.

    Raises:
        InputError: It is none.
    """
    from daam_bench.files.hub import HUB_ID, hub_errors

    if not HUB_ID.fullmatch(target):
        raise InputError(
            f"no model {model!r}: no such folder; give 'emoji', a folder, or a hub id (owner/name), or "
            "name a copy of it with the option model"
        )
    from huggingface_hub import hf_hub_download

    with hub_errors("model", target, revision):
        hf_hub_download(target, "model_index.json", revision=revision)


def commit_of(model: str, revision: str | None = None) -> str | None:
    """Return the commit of a loaded pipeline in the hub's cache; None for a folder and the shipped one."""
    from huggingface_hub import try_to_load_from_cache

    if model == "emoji" or Path(model).expanduser().exists():
        return None
    cached = try_to_load_from_cache(model, "model_index.json", revision=revision)
    return Path(cached).parent.name if isinstance(cached, str) else revision


def check_pickles(model: str, target: str, revision: str | None, variant: str | None) -> None:
    """Refuse a pipeline that has no safetensors of a variant, unless pickles are allowed.

    Raises:
        InputError: They aren't; or it has other variants as safetensors, and none was asked for.
    """
    if variant is None:
        refuse_variant(model, target, revision, variant)
    if os.environ.get(PICKLES) != "1":
        raise InputError(
            f"the pipeline {model!r} has no weights as safetensors, and pickles may run any "
            f"program; name a copy with safetensors, or set {PICKLES}=1 if you trust its makers"
        )


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
