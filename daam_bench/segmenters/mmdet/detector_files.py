"""A detector's files: its config, its weights, where they come from and how they are read."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from zipfile import is_zipfile

from tqdm import tqdm

from daam_bench.types.errors import InputError

SHIPPED = "emoji"
"""Generator model for whose images small detectors come with the package."""

WEIGHTS = "model.safetensors"
"""Name of the weights that lie beside a config."""

_PACKAGE = Path(__file__).resolve().parents[2]
_CHUNK = 1 << 20
_DIGEST = re.compile(r"-(?=\d*[a-f])([0-9a-f]{8,64})\.[^.]+$")  # of digits alone, it may be a date


def shipped_config(name: str) -> Path:
    """Return the config of a shipped detector: inside an installed package, or beside it in a checkout."""
    places = [root / "baselines" / SHIPPED / name / "config.py" for root in (_PACKAGE, _PACKAGE.parent)]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"the shipped detector is not at {places[1].parent}; install the package again")


def find_config(config: str) -> Path:
    """Return a config file: the one at a path, or one that comes with MMDetection.

    The latter by a name such as "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", with or without ".py".
    """
    path = Path(config).expanduser()
    if path.is_file():
        return path
    import mmdet

    folder = Path(mmdet.__file__).parent / ".mim" / "configs"
    packaged = folder / (config if config.endswith(".py") else f"{config}.py")
    if packaged.is_file():
        return packaged
    names = [found.relative_to(folder).as_posix() for found in folder.glob("*/*.py")]
    near = get_close_matches(config, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; look into {folder}"
    raise InputError(f"no config {config!r}: no such file, and none of MMDetection's{hint}")


def published_weights(config: Path) -> str | None:
    """Return the address of the weights that MMDetection's model zoo has for one of its configs."""
    index = config.parent / "metafile.yml"
    if not index.is_file():
        return None
    from mmengine.fileio import load

    content: Any = load(index)
    models: Sequence[Any] = content.get("Models", []) if isinstance(content, dict) else content
    name = f"configs/{config.parent.name}/{config.name}"
    return next((model.get("Weights") for model in models if model.get("Config") == name), None)


def find_checkpoint(checkpoint: str | None, config: Path) -> Path:
    """Return the weights of a config: at a path, or at a URL, from which they are downloaded once.

    By default they are the file beside the config, or the zoo's, if it is where torch keeps downloads.

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
    """Return where a download lies: where torch and MMEngine keep theirs.

    >>> _download_place("https://example.org/zoo/model-0ebd1859.pth?x=1").name
    'model-0ebd1859.pth'
    """
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(urlsplit(url).path).name


def download(url: str, path: Path) -> None:
    """Download a file from an http or https address, unless it is there; a broken download resumes.

    A name that ends in the beginning of the file's SHA-256, as those of model zoos do, is checked.

    Raises:
        InputError: The file can't be had, or is not what its name says.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    try:
        _fetch(url, partial)
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(
            f"{url} can't be downloaded ({error}); try again to resume where it stopped, or put the file "
            f"at {path}"
        ) from error
    match = _DIGEST.search(path.name)
    if match and not sha256(partial).startswith(match[1]):
        partial.unlink()
        raise InputError(f"{url} came damaged: its SHA-256 doesn't begin with {match[1]}; download it again")
    partial.replace(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, partial: Path) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})  # noqa: S310
    try:
        response = urlopen(request, timeout=60)  # noqa: S310
    except HTTPError as error:
        if error.code == 416 and done:  # nothing is left to send
            return
        raise
    with response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        done = done if resumed else 0
        total = None if length is None else done + int(length)
        with (
            partial.open("ab" if resumed else "wb") as file,
            tqdm(total=total, initial=done, desc=partial.stem, unit="B", unit_scale=True) as bar,
        ):
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and partial.stat().st_size != total:
        raise OSError(f"{partial.stat().st_size} of {total} bytes came")


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector's parameters and buffers by name, and the class names that come with them, if any."""

    tensors: Mapping[str, Any]
    classes: tuple[str, ...] | None


class _Left:
    """Stands for whatever a checkpoint holds besides tensors and plain values; does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_weights(path: Path) -> Weights:
    """Read a plain state dict (.safetensors, .pth) or a checkpoint of MMEngine's runner.

    A runner's checkpoint holds more than tensors (histories, its random state). Everything that torch's
    weights-only unpickler doesn't know is replaced by an inert stand-in: no code of a checkpoint runs.

    Raises:
        InputError: The file can't be read, or holds no state dict.
    """
    import torch

    try:
        content = _read(path)
    except Exception as error:  # a damaged file fails in every way there is
        reason = next((line for line in str(error).splitlines() if "lobal" in line), str(error)[:200])
        raise InputError(
            f"the weights {path} can't be read ({reason.strip()}); give a plain state dict (.safetensors or "
            ".pth) or a checkpoint of MMEngine's runner"
        ) from error
    tensors = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not tensors or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise InputError(f"{path} holds no weights: it is no state dict, and has none under 'state_dict'")
    return Weights(tensors, _classes(content.get("meta")))


def _read(path: Path) -> Any:
    import torch
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    # Files of before torch 1.6 are no zip archives; those must do without stand-ins.
    unknown = get_unsafe_globals_in_checkpoint(path) if is_zipfile(path) else []
    with safe_globals([(_Left, name) for name in unknown]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _classes(meta: object) -> tuple[str, ...] | None:
    """Find the class names where MMDetection 3 and, before it, 2 put them."""
    if not isinstance(meta, Mapping):
        return None
    dataset = meta.get("dataset_meta")
    found = dataset if isinstance(dataset, Mapping) else meta
    names = found.get("classes", found.get("CLASSES"))
    return tuple(map(str, names)) if isinstance(names, (tuple, list)) and names else None
