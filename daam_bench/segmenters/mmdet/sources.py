"""Where a detector's config and weights come from."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from daam_bench.segmenters.mmdet.download import download, file_name
from daam_bench.types.errors import InputError

SHIPPED = "emoji"
"""Generator model for whose images small detectors come with the package."""

WEIGHTS = "model.safetensors"
"""Name of the weights that lie beside a config."""

_PACKAGE = Path(__file__).resolve().parents[2]


def shipped_config(name: str) -> Path:
    """Return the config of a shipped detector: inside an installed package, or beside it in a checkout.

    Raises:
        InputError: It is not there.
    """
    places = [root / "baselines" / SHIPPED / name / "config.py" for root in (_PACKAGE, _PACKAGE.parent)]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"the shipped detector is not at {places[1].parent}; install the package again")


def find_config(config: str) -> Path:
    """Return a config file: the one at a path, or one that comes with MMDetection.

    Args:
        config: A path, or a name such as "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", with or without ".py".

    Raises:
        InputError: There is neither.
    """
    path = Path(config).expanduser()
    if path.is_file():
        return path
    folder = _packaged_configs()
    packaged = folder / (config if config.endswith(".py") else f"{config}.py")
    if packaged.is_file():
        return packaged
    names = [found.relative_to(folder).as_posix() for found in folder.glob("*/*.py")]
    near = get_close_matches(config, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; look into {folder}"
    raise InputError(f"no config {config!r}: no such file, and none of MMDetection's{hint}")


def published_weights(config: Path) -> str | None:
    """Return the address of the weights that MMDetection's model zoo has for one of its configs."""
    from mmengine.fileio import load

    index = config.parent / "metafile.yml"
    if not index.is_file():
        return None
    content: Any = load(index)
    models: Sequence[Any] = content.get("Models", []) if isinstance(content, dict) else content
    name = f"configs/{config.parent.name}/{config.name}"
    return next((model.get("Weights") for model in models if model.get("Config") == name), None)


def find_checkpoint(checkpoint: str | None, config: Path) -> Path:
    """Return the weights of a config.

    Args:
        checkpoint: A path, or a URL, which is downloaded once. None for the file beside the config, or where
            torch keeps downloads: the zoo's file, if it is there.
        config: The config.

    Raises:
        InputError: They are not there; the line says which file, from where, and where to put it.
    """
    if checkpoint is not None and checkpoint.startswith(("http://", "https://")):
        path = _download_place(checkpoint)
        download(checkpoint, path)
        return path
    if checkpoint is not None:
        path = Path(checkpoint).expanduser()
        if not path.is_file():
            raise InputError(f"no weights {checkpoint!r}: no such file; --checkpoint takes a path or a URL")
        return path
    if (beside := config.with_name(WEIGHTS)).is_file():
        return beside
    url = published_weights(config)
    if url is None:
        raise InputError(f"no weights are known for {config}; name them with --checkpoint PATH or URL")
    path = _download_place(url)
    if not path.is_file():
        raise InputError(
            f"the weights {path.name} are not at {path.parent}; put the file there, or let it be downloaded: "
            f"--checkpoint {url}"
        )
    return path


def _download_place(url: str) -> Path:
    """Return where a download lies: where torch and MMEngine keep theirs."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / file_name(url)


def _packaged_configs() -> Path:
    import mmdet

    return Path(mmdet.__file__).parent / ".mim" / "configs"
