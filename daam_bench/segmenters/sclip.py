"""SCLIP: CLIP's patches compared with the noun, after a last layer that attends to what is alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from PIL import Image

from daam_bench.diffusion.pipelines import pick_device
from daam_bench.segmenters.pretrained import check_template, load_kind, load_pretrained, read_commit
from daam_bench.segmenters.threads import computing_with
from daam_bench.types import Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

DEFAULT_MODEL = "openai/clip-vit-base-patch16"

SCALE = 40.0
"""What cosines are multiplied with before the softmax, in the authors' code."""


class SClip:
    """SCLIP ("Rethinking Self-Attention for Dense Vision-Language Inference", arXiv 2312.01597) on CLIP.

    The attention of the vision transformer's last layer is softmax(q q^T / sqrt(d)) plus softmax(k k^T /
    sqrt(d)), applied to its values; all else is CLIP. A noun's heat map is its share in the softmax of
    `SCALE` times the cosines of each patch with the image's nouns and the `background` texts.

    Otherwise than in the authors' code an image goes through the model as a whole, its position embeddings
    interpolated, not in windows of 224 pixels; there is one template in place of 80, and one background text
    in place of a list for each dataset.

    Args:
        model: Hub id or path of a CLIP model with a vision transformer.
        revision: Its revision on the hub; None for the newest.
        template: Text that is looked for, "{}" is the noun; or several, whose embeddings are averaged.
        background: Texts for what is no noun of the prompt; none of them for a softmax over the nouns alone.
        side: Shorter side in pixels that images are resized to.
        device: A torch device; "auto" for CUDA, else MPS, else the CPU.
        threads: Threads on a CPU; None for the usable cores.

    Raises:
        InputError: The model can't be had, or an option is wrong.
    """

    name = "sclip"
    track = "other weights"
    needs = f"weights of CLIP ({DEFAULT_MODEL}, MIT, the licence of OpenAI's CLIP)"
    paper = "arXiv 2312.01597"

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        template: str | Sequence[str] = "a photo of a {}.",
        background: Sequence[str] = ("background",),
        side: int = 336,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        templates = [template] if isinstance(template, str) else list(template)
        self._templates = [check_template(one) for one in templates]
        if isinstance(background, str):
            raise InputError(f"background must be a list of texts, not {background!r}")
        config = load_kind(model, revision, "clip")
        self._patch = int(config.vision_config.patch_size)
        if not templates or side < self._patch:
            raise InputError(f"give at least one template, and a side of at least {self._patch} pixels")
        self.device = pick_device(device)
        self.parameters: Mapping[str, Any] = {
            "model": model,
            "revision": read_commit(config) or revision,
            "template": templates,
            "background": list(background),
            "side": side,
            "scale": SCALE,
        }
        self._name, self._revision, self._side = model, revision, side
        self._background, self._threads = tuple(background), threads

    def segment(self, queries: Sequence[Query]) -> list[list[HeatMap]]:
        """Return each noun's heat map, a value a patch, in [0, 1]."""
        with computing_with(self._threads):
            return [self._look(query) if query.nouns else [] for query in queries]

    def _look(self, query: Query) -> list[HeatMap]:
        import torch

        words = [noun.lemma for noun in query.nouns]
        with torch.inference_mode():
            texts = torch.stack([self._embed(word) for word in (*words, *self._background)])
            patches = self._patches(query.image.convert("RGB"))
            shares = (SCALE * patches @ texts.T).softmax(dim=-1)
        return [HeatMap(shares[..., place].float().cpu().numpy()) for place in range(len(words))]

    def _embed(self, word: str) -> Any:
        """Return the unit embedding of a word, the mean over templates. Shape (d,)."""
        from torch.nn.functional import normalize

        model, processor = self._loaded
        texts = [template.replace("{}", word) for template in self._templates]
        inputs = processor.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        pooled = model.text_model(**inputs.to(self.device)).pooler_output
        return normalize(normalize(model.text_projection(pooled), dim=-1).mean(dim=0), dim=-1)

    def _patches(self, image: Image.Image) -> Any:
        """Return the unit embedding of every patch of an image. Shape (rows, columns, d)."""
        from torch.nn.functional import normalize

        model, processor = self._loaded
        ratio = self._side / min(image.size)
        columns, rows = (max(1, round(length * ratio / self._patch)) for length in image.size)
        size = {"height": rows * self._patch, "width": columns * self._patch}
        inputs = processor.image_processor(images=image, size=size, do_center_crop=False, return_tensors="pt")
        pixels = inputs["pixel_values"].to(self.device)
        with _attending_to_alike(model.vision_model.encoder.layers[-1].self_attn):
            hidden = model.vision_model(pixels, interpolate_pos_encoding=True).last_hidden_state
        features = model.visual_projection(model.vision_model.post_layernorm(hidden[:, 1:]))
        return normalize(features, dim=-1).reshape(rows, columns, -1)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model = load_pretrained("CLIPModel", self._name, self._revision)
        processor = load_pretrained("CLIPProcessor", self._name, self._revision)
        return model.to(self.device).eval(), processor


@contextmanager
def _attending_to_alike(layer: Any) -> Iterator[None]:
    """Replace the attention of a layer of CLIP by SCLIP's within the block (section 3.2 of the paper)."""

    def attend(layer: Any, arguments: Any, named: Mapping[str, Any], output: Any) -> Any:
        hidden = named["hidden_states"] if "hidden_states" in named else arguments[0]

        def heads(projection: Any) -> Any:
            split = projection(hidden).unflatten(-1, (layer.num_heads, layer.head_dim))
            return split.transpose(1, 2)

        queries, keys, values = (heads(one) for one in (layer.q_proj, layer.k_proj, layer.v_proj))
        weights = sum(
            (one @ one.transpose(-1, -2) * layer.head_dim**-0.5).softmax(dim=-1) for one in (queries, keys)
        )
        attended = (weights @ values).transpose(1, 2).flatten(2)
        return (layer.out_proj(attended), None)

    handle = layer.register_forward_hook(attend, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
