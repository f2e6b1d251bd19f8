"""What the demo does without its page: generate a prompt with a method's maps of its words, and draw one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from skimage.segmentation import find_boundaries

from daam_bench.analysis.layer_parts import calls_of_steps
from daam_bench.analysis.one_prompt import labels, split_prompt
from daam_bench.attribution.maps import ImageHeatMaps
from daam_bench.attribution.tokens import Word
from daam_bench.attribution.trace import trace
from daam_bench.diffusion.defaults import usual_generation
from daam_bench.diffusion.generate import generate, scheduled_calls
from daam_bench.diffusion.pipelines import Pipelines
from daam_bench.diffusion.presets import usual_dtype
from daam_bench.segmenters.registry import find_method, make_segmenter, method_names
from daam_bench.types import BoolMask, Generation, Noun, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

LARGE = 512
"""Images are enlarged to at least this many pixels a side, by repeating them."""

_LINE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Looked:
    """A generated image and what a method says of each word of its prompt.

    Attributes:
        image: The image.
        words: The words' names, numbered where one occurs several times.
        found: One heat map or mask a word; None where the method gives nothing.
    """

    image: Image.Image
    words: tuple[str, ...]
    found: tuple[HeatMap | BoolMask | None, ...]


class Looker:
    """Generates prompts with one model and looks at them with any method that needs nothing else.

    Args:
        model: Hub id or path; "emoji" is the shipped one.
        revision: Its revision on the hub.
        device: As in `daam_bench.diffusion.pipelines.pick_device`.
        dtype: What to load it as; None for `daam_bench.diffusion.presets.usual_dtype`.
        offload: As in `daam_bench.diffusion.pipelines.load_pipeline`; `variant` likewise.

    Attributes:
        generation: How the model generates by default.
        layers: Names of the layers that can be chosen.

    Raises:
        InputError: The model can't be loaded or traced.
    """

    def __init__(
        self,
        model: str = "emoji",
        revision: str | None = None,
        device: str = "auto",
        dtype: str | None = None,
        offload: str | None = None,
        variant: str | None = None,
    ) -> None:
        self._pipelines = Pipelines(device, dtype, offload)
        dtype = self._pipelines.dtype or usual_dtype(model, self._pipelines.device)
        self._pipeline = self._pipelines.get(model, revision, dtype, variant)
        self.generation = usual_generation(
            self._pipeline, model, revision=revision, dtype=dtype, variant=variant
        )
        self.layers = trace(self._pipeline).layers

    def methods(self) -> list[str]:
        """Return the names of the methods that need nothing but the model, "daam" first."""
        names = [
            name
            for name in method_names()
            if name != "daam" and getattr(find_method(name), "track", None) == "generator"
        ]
        return ["daam", *names]

    def look(
        self,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        guidance_scale: float | None = None,
        method: str = "daam",
        layers: Sequence[str] | None = None,
        last_step: int | None = None,
    ) -> Looked:
        """Generate a prompt and look at all of its words.

        Args:
            prompt: The prompt.
            seed: Seed of the noise.
            steps: Inference steps; None for the model's own.
            guidance_scale: Guidance scale; None for the model's own.
            method: Name of a method.
            layers: For "daam": the layers that are added up; None or empty for its family's.
            last_step: For "daam": the steps that are added up are those before this one; None for all.

        Raises:
            InputError: There is no word, a setting is out of range, or the method can't look at this model.
        """
        split = split_prompt(prompt)
        words = split.words()
        if not words:
            raise InputError("the prompt has no word; type one such as: a cat on the grass")
        own = self.generation
        generation = Generation(
            model=own.model,
            revision=own.revision,
            scheduler=own.scheduler,
            steps=own.steps if steps is None else steps,
            guidance_scale=own.guidance_scale if guidance_scale is None else guidance_scale,
            height=own.height,
            width=own.width,
            dtype=own.dtype,
            arguments=own.arguments,
            variant=own.variant,
        )
        names = labels(words, split)
        found: list[HeatMap | BoolMask | None]
        if method == "daam":
            calls = self._calls_before(last_step, generation)
            with trace(self._pipeline, layers=list(layers) if layers else None, steps=calls) as tracer:
                (made,) = generate(self._pipeline, [prompt], [seed], generation)
            maps = tracer.heat_maps()[0]
            found = [_map_of(maps, word) for word in words]
        else:
            (made,) = generate(self._pipeline, [prompt], [seed], generation)
            nouns = tuple(Noun(word.text, word.text, word.start, word.end, None) for word in words)
            query = Query("prompt", prompt, made.image, nouns, seed, generation)
            found = self._segment(method, query)
        return Looked(made.image, names, tuple(found))

    def _calls_before(self, last_step: int | None, generation: Generation) -> list[int] | None:
        """Return which of the denoiser's calls belong to the steps before one; None for all."""
        if last_step is None or last_step >= generation.steps:
            return None
        calls = scheduled_calls(self._pipeline, generation)
        return calls_of_steps(0, last_step, steps=generation.steps, calls=calls)

    def _segment(self, method: str, query: Query) -> list[HeatMap | BoolMask | None]:
        segmenter: Any = make_segmenter(method, {}, {"device": self._pipelines.device})
        segmenter.pipelines = self._pipelines  # the model is loaded already
        (items,) = segmenter.segment([query])
        return [
            item if item is None or isinstance(item, HeatMap) else _as_map_or_mask(np.asarray(item))
            for item in items
        ]


def _map_of(maps: ImageHeatMaps, word: Word) -> HeatMap | None:
    """Return a word's map; None past the text encoder's limit, or where the tokenizer splits otherwise."""
    try:
        return maps.word(word.start, word.end)
    except InputError:
        return None


def _as_map_or_mask(values: Any) -> HeatMap | BoolMask:
    return values if values.dtype == np.bool_ else HeatMap(values)


def enlarged(image: Image.Image) -> tuple[Image.Image, int]:
    """Return an RGB image of at least `LARGE` pixels on its longer side, and the factor."""
    scale = max(1, -(-LARGE // max(image.size)))
    size = (image.width * scale, image.height * scale)
    return image.convert("RGB").resize(size, Image.Resampling.NEAREST), scale


def draw(looked: Looked, word: str, tau: float) -> tuple[Image.Image, Image.Image, float]:
    """Draw a word's heat map and its mask over the image, both enlarged.

    Args:
        looked: What was generated.
        word: One of its words.
        tau: Threshold in [0, 1], relative to the map's maximum.

    Returns:
        The image under the heat map with the mask's outline, the image washed out outside the mask, and the
        share of the image in [0, 1] that the mask covers.

    Raises:
        InputError: There is no such word, or the method gives nothing for it.
    """
    if word not in looked.words:
        raise InputError(f"there is no word {word!r}; choose one of {', '.join(looked.words)}")
    found = looked.found[looked.words.index(word)]
    if found is None:
        raise InputError(
            f"there is no map of {word!r}: it is past the end of what the text encoder sees, or no word of "
            "its own to the tokenizer"
        )
    large, scale = enlarged(looked.image)
    if isinstance(found, HeatMap):
        mask = found.resize(looked.image.size).threshold(tau)
        heated = found.overlay(large, alpha=0.65)
    else:
        mask, heated = found, large
    large_mask = np.kron(mask, np.ones((scale, scale), np.bool_))
    lines = find_boundaries(large_mask, mode="thick")
    over, alone = np.asarray(heated).copy(), np.asarray(large).copy()
    over[lines] = _LINE
    alone[~large_mask] = (0.3 * alone[~large_mask] + 0.7 * 255).astype(np.uint8)
    return Image.fromarray(over), Image.fromarray(alone), float(mask.mean())
