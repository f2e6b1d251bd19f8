"""The whole training of an emoji pipeline, stage by stage, each resumed where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from transformers import CLIPTokenizer

from tools.emoji.captions import caption
from tools.emoji.config import EmojiConfig, load_config
from tools.emoji.scenes import sample_layout
from tools.emoji.tokenizer import train_tokenizer
from tools.emoji.train import train_denoiser
from tools.emoji.train_vae import train_vae
from tools.emoji.workers import run_workers

_TOKENIZER_CAPTIONS = 20_000


def train_pipeline(
    *,
    config: str | Path,
    out: Path,
    font: Path,
    start: Path | None = None,
    samples: int | None = None,
    minutes: float | None = None,
    processes: int | None = None,
    mend_decoder: bool = False,
) -> None:
    """Train tokenizer, autoencoder and denoiser into `out`; the pipeline is `out/pipeline`.

    A stage whose result lies in `out` is not done again, and an unfinished one goes on from its last
    checkpoint. With `start`, tokenizer and autoencoder are that pipeline's.

    Args:
        config: A TOML file or a shipped name.
        out: Folder of the training.
        font: Path of NotoColorEmoji.ttf.
        start: A pipeline whose weights to start from.
        samples: Denoiser samples in all, instead of the configuration's.
        minutes: Stop the denoiser's training after this time.
        processes: CPU processes, by default one a core.
        mend_decoder: Only train the decoder of `start`'s autoencoder, into `out/vae`.
    """
    settings = load_config(config)
    if samples is not None:
        settings = replace(settings, training=replace(settings.training, samples=samples))
    out.mkdir(parents=True, exist_ok=True)
    if mend_decoder:
        assert start is not None
        run_workers(train_vae, settings, font, out, start / "vae", True, processes=processes)
        return
    tokenizer = _tokenizer(settings, out, start)
    vae = out / "vae"
    if not vae.exists():
        if start is not None:
            vae = start / "vae"
        else:
            run_workers(train_vae, settings, font, out, None, False, processes=processes)
    run_workers(train_denoiser, settings, tokenizer, vae, font, out, start, minutes, processes=processes)


def _tokenizer(config: EmojiConfig, out: Path, start: Path | None) -> CLIPTokenizer:
    folder = start / "tokenizer" if start is not None else out / "tokenizer"
    if not folder.exists():
        rng = np.random.default_rng(config.world.seed)
        captions = [caption(sample_layout(rng), rng).text for _ in range(_TOKENIZER_CAPTIONS)]
        train_tokenizer(captions).save_pretrained(folder)
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
    return tokenizer
