"""What a call with a word taken away in parts of the image costs, against a plain call of as many rows.

Faithfulness is made of such calls. Cross-attention answers for two texts in every layer; joint attention
carries a second text through the whole transformer. Both kinds of call are timed in turn, in processor time.

    python benchmarks/absent_word.py emoji emoji-sd3
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from daam_bench.attribution.intervene import Intervention
from daam_bench.attribution.trajectory import record
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.diffusion.presets import preset_of

PROMPT, WORD = "a cat and a dog", "cat"


def main() -> None:
    """Measure what the options ask for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names, folders or ids on the hub")
    parser.add_argument("--masks", type=int, default=32, help="parts of the image (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="times of each (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for model in options.models:
        plain, changed = seconds(model, options.masks, options.rounds)
        print(f"{model}: {changed / plain:.2f} times a plain call ({plain:.2f} s)", flush=True)


def seconds(model: str, count: int, rounds: int) -> tuple[float, float]:
    """Return the median processor time of plain calls, and of those with a word taken away."""
    pipeline = load_pipeline(model)
    pipeline.set_progress_bar_config(disable=True)
    preset = preset_of(model)
    with record(pipeline) as recorder:
        pipeline(PROMPT, num_inference_steps=4, output_type="latent", **(preset.arguments if preset else {}))
    intervention = Intervention(recorder.trajectory())
    start = PROMPT.index(WORD)
    word = intervention.without(start, start + len(WORD))
    masks = np.random.default_rng(0).integers(0, 2, (count, 64, 64)).astype(np.float32)
    calls = intervention.trajectory.calls * count
    both: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        both[0].append(timed(lambda: intervention.plain(calls)))
        both[1].append(timed(lambda: word.outputs(list(masks))))
    return float(np.median(both[0])), float(np.median(both[1]))


def timed(work: Callable[[], object]) -> float:
    """Return the processor time of some work."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
