"""Loading models of transformers from a hub id or a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daam_bench.diffusion.generate import batches
from daam_bench.diffusion.pipelines import quietly
from daam_bench.files.hub import HUB_ID, hub_errors
from daam_bench.types import Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap


def load_pretrained(kind: str, model: str, revision: str | None = None) -> Any:
    """Load a class of transformers ("AutoConfig") from a path or hub id, from the hub's cache if it is there.

    Raises:
        InputError: No such model, no network and no copy, or another kind of model.
    """
    with _loading(model, revision) as target:
        import transformers

        return getattr(transformers, kind).from_pretrained(target, revision=revision)


def square_pixels(images: Sequence[Image.Image], model: str, revision: str | None = None) -> Any:
    """Return images as a model of transformers wants them that takes squares of one size.

    The classes of transformers that do this for SAM 2 and SAM 3 need torchvision, which we do without.

    Args:
        images: RGB images.
        model: Path or hub id of the model, whose `preprocessor_config.json` is read.
        revision: Its revision on the hub.

    Returns:
        float32 tensor of shape (images, 3, height, width).

    Raises:
        InputError: There is no such model, or it does not say how images are prepared.
    """
    import torch

    with _loading(model, revision) as target:
        from transformers.image_processing_base import ImageProcessingMixin

        said, _ = ImageProcessingMixin.get_image_processor_dict(target, revision=revision)
        size = (int(said["size"]["width"]), int(said["size"]["height"]))
        mean, std = (np.array(said[name], dtype=np.float32) for name in ("image_mean", "image_std"))
        resample = Image.Resampling(said.get("resample", Image.Resampling.BILINEAR))
    resized = [np.asarray(image.resize(size, resample), dtype=np.float32) / 255 for image in images]
    return torch.from_numpy(np.stack([(pixels - mean) / std for pixels in resized])).permute(0, 3, 1, 2)


@contextmanager
def _loading(model: str, revision: str | None) -> Iterator[str]:
    """Give the path or hub id to load a model from, and make one line of what goes wrong in the block.

    The hub is asked for one small file first: transformers would try six times, with a warning for each.
    """
    target = str(Path(model).expanduser()) if model.startswith("~") else model
    if not Path(target).is_dir() and HUB_ID.fullmatch(target):
        from huggingface_hub import hf_hub_download

        with hub_errors("model", target, revision):
            hf_hub_download(target, "config.json", revision=revision)
    try:
        with quietly(target):
            yield target
    except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        first_line = str(error).strip().split("\n")[0]
        raise InputError(
            f"the model {model!r} can't be loaded ({first_line[:200]}); download it "
            f"(`hf download {model}`), or name a copy of it with --model PATH"
        ) from error


def load_kind(model: str, revision: str | None, *kinds: str, option: str = "--model") -> Any:
    """Load the config of a model, and refuse one of another kind.

    Args:
        model: Hub id or path.
        revision: Its revision on the hub; None for the newest.
        kinds: The `model_type`s that will do.
        option: The option that names the model, for the error.

    Raises:
        InputError: There is no such model, or it is of another kind.
    """
    config = load_pretrained("AutoConfig", model, revision)
    if config.model_type not in kinds:
        raise InputError(
            f"the model {model!r} is a {config.model_type}, no {kinds[0]}; name one with {option}"
        )
    return config


def check_template(template: str) -> str:
    """Return a text that has a place for the noun.

    Raises:
        InputError: It has none.
    """
    if "{}" not in str(template):
        raise InputError(
            f"template must have a place {{}} for the noun, as in 'a photo of a {{}}': {template!r}"
        )
    return template


def look_for_nouns(
    queries: Sequence[Query],
    template: str,
    batch_size: int | None,
    look: Callable[[Sequence[str], Sequence[Image.Image]], Sequence[HeatMap]],
) -> list[list[HeatMap]]:
    """Look for each noun of queries as a text, and return its heat map.

    Args:
        queries: The queries.
        template: The text, with "{}" for the noun's dictionary form.
        batch_size: Most nouns looked for at once; None for all.
        look: Returns the heat map of each text in the RGB image of the same place.
    """
    pairs = [(query, noun) for query in queries for noun in query.nouns]
    maps: list[HeatMap] = []
    for batch in batches(pairs, batch_size or len(pairs) or 1):
        texts = [template.replace("{}", noun.lemma) for _, noun in batch]
        maps += look(texts, [query.image.convert("RGB") for query, _ in batch])
    rest = iter(maps)
    return [[next(rest) for _ in query.nouns] for query in queries]


def read_commit(config: Any) -> str | None:
    """Return the hub's commit that a config came from; None for a path."""
    commit = getattr(config, "_commit_hash", None)
    return commit if isinstance(commit, str) else None
