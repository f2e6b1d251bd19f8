"""Tokenizers for the world's captions: CLIP's with merges learnt from them, and T5's of whole words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from daam_bench.types.errors import InputError
from tools.emoji.captions import caption
from tools.emoji.scenes import sample_layout

if TYPE_CHECKING:
    from transformers import CLIPTokenizer, PreTrainedTokenizerFast

MAX_LENGTH = 24
"""Tokens a prompt may have, start and end token included."""

T5_LENGTHS = (MAX_LENGTH, 256)
"""Tokens that T5's text is padded to: as emoji pipelines are called, and as diffusers does unless told."""

_T5_SETTINGS = {
    "model_max_length": max(T5_LENGTHS),
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
}

_START, _END = "<|startoftext|>", "<|endoftext|>"


def world_captions(seed: int, count: int = 20_000) -> list[str]:
    """Return random captions, enough to hold every word of the world."""
    rng = np.random.default_rng(seed)
    return [caption(sample_layout(rng), rng).text for _ in range(count)]


def train_tokenizer(captions: Iterable[str]) -> CLIPTokenizer:
    """Learn byte-pair merges until every word of the captions is one token.

    Words are split and lowercased as CLIP does; a word that the captions don't have falls apart into
    known pieces, down to single bytes, so any prompt can be encoded.

    Raises:
        InputError: The captions have no words.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=10_000, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(captions, trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in learnt["merges"]]
    if not merges:
        raise InputError("cannot train a tokenizer: the captions have no words")
    pieces = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(pair) for pair in merges)]
    vocabulary = {piece: index for index, piece in enumerate([*dict.fromkeys(pieces), _START, _END])}
    with TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
        lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
        (Path(folder) / "merges.txt").write_text("\n".join(lines) + "\n")
        settings = {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": MAX_LENGTH,
            "bos_token": _START,
            "eos_token": _END,
            "unk_token": _END,
            "pad_token": _END,
        }
        (Path(folder) / "tokenizer_config.json").write_text(json.dumps(settings))
        loaded: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
    return loaded


def add_clip_files(folder: Path) -> None:
    """Write a saved CLIP tokenizer's vocabulary and merges beside it too: transformers 4 reads only those."""
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    lines = [
        "#version: 0.2",
        *(pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]),
    ]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train_t5_tokenizer(captions: Iterable[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer with one token for every word of the captions, with T5's special tokens.

    Raises:
        InputError: The captions have no words.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({}, unk_token="<unk>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]"), behavior="removed", invert=True
    )
    words = {
        word
        for text in set(captions)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
    }
    if not words:
        raise InputError("cannot train a tokenizer: the captions have no words")
    vocabulary = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", *sorted(words)])}
    tokenizer.model = models.WordLevel(vocabulary, unk_token="<unk>")  # noqa: S106
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    return _wrapped(tokenizer_object=tokenizer)


def load_t5_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Load what `save_t5_tokenizer` wrote."""
    return _wrapped(tokenizer_file=str(folder / "tokenizer.json"))


def save_t5_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a T5 tokenizer so that transformers 4 and 5 load it.

    Its class goes under `PreTrainedTokenizerFast`: 5 writes a name that 4 lacks, and T5's own class builds
    another kind of tokenizer in 5.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **_T5_SETTINGS}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def _wrapped(**source: Any) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(**source, **_T5_SETTINGS)
