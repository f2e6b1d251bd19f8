"""Time the main job against plainly drawing the same images in the same batches.

    python benchmarks/main_job.py [--dataset emoji] [--batch-size 16] [--limit N]

The main job loads the model, draws and traces every image, cuts and writes masks, scores them, and writes
the report and its images; target: at most 1.15 times the plain drawing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import diffusers
import torch

from daam_bench.datasets.load import load_split
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.job import DEFAULT_BATCH_SIZE, Settings, run
from daam_bench.types import Query

SPLITS = ("coco_gen", "unreal_gen")


def generate_again(pipeline: diffusers.DiffusionPipeline, batch: Sequence[Query]) -> None:
    """Generate the images of a batch as they were generated for the dataset, without a trace."""
    generate(
        pipeline, [query.prompt for query in batch], [query.seed for query in batch], batch[0].generation
    )


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="emoji")
    parser.add_argument("--batch-size", type=int, default=DEFAULT_BATCH_SIZE)
    parser.add_argument("--limit", type=int, help="only the first N examples of each split")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()

    batches = []
    for name in SPLITS:
        queries = load_split(arguments.dataset, name).queries()[: arguments.limit]
        size = arguments.batch_size
        batches += [queries[start : start + size] for start in range(0, len(queries), size)]
    generation = batches[0][0].generation
    pipeline = load_pipeline(generation.model, generation.revision, arguments.device)
    one_step = replace(generation, steps=1)
    generate_again(pipeline, [replace(query, generation=one_step) for query in batches[0]])

    began = time.perf_counter()
    for batch in batches:
        generate_again(pipeline, batch)
    plain = time.perf_counter() - began
    del pipeline

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            method="daam",
            options={"device": arguments.device},
            dataset=arguments.dataset,
            splits=SPLITS,
            taus=(0.4,),
            batch_size=arguments.batch_size,
            limit=arguments.limit,
            output=Path(folder),
            progress=False,
        )
        began = time.perf_counter()
        run(settings)
        whole = time.perf_counter() - began

    count = sum(map(len, batches))
    print(f"{count} images in batches of {arguments.batch_size}, {torch.get_num_threads()} threads")
    print(f"plain drawing  {plain:8.1f} s  {plain / count:.3f} s an image")
    print(f"main job       {whole:8.1f} s  {whole / count:.3f} s an image")
    print(f"ratio          {whole / plain:8.3f}")


if __name__ == "__main__":
    main()
