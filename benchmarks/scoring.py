"""Speed and memory of scoring: pairs a second on one core, from a predictions file.

    OMP_NUM_THREADS=1 python benchmarks/scoring.py            # 10,000 and 100,000 pairs
    OMP_NUM_THREADS=1 python benchmarks/scoring.py --million  # 1,000,000 too: a file of about 1 GB

Timed is all of `score`: reading, checking and decoding every line, IoU, and 10,000 bootstrap resamples; a
column says how many pairs a processor second it does without the latter. The best of three rounds counts,
of a million pairs the only one. Every size runs in a process of its own, so that one size's peak memory
doesn't hide another's. The yardstick in the same run is castorini/daam's IoU on tensors that are in memory
already: nothing read, checked or decoded.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from daam_bench.files.predictions import PredictionsWriter
from daam_bench.scoring.bootstrap import RESAMPLES
from daam_bench.scoring.score import score
from daam_bench.types import (
    RLE,
    BoolMask,
    Example,
    Noun,
    Prediction,
    PredictionsHeader,
    Query,
    Source,
    Split,
    masks,
)
from daam_bench.types.examples import CLASSES

SIDE = 512
SHAPES = 512
NOUNS = 4
TAU = 0.4
HEADER = PredictionsHeader("benchmark", {"tau": TAU}, "benchmark", "coco_gen", "0" * 64)


def object_like_mask(generator: np.random.Generator) -> BoolMask:
    """Draw a rough-edged blob with up to two holes, of shape (512, 512)."""
    canvas = Image.new("1", (SIDE, SIDE))
    draw = ImageDraw.Draw(canvas)
    center = generator.uniform(0.35, 0.65, size=2) * SIDE
    radius = generator.uniform(0.12, 0.38) * SIDE
    draw.polygon(_outline(generator, center, radius), fill=1)
    for _ in range(generator.integers(3)):
        offset = generator.normal(scale=radius / 3, size=2)
        draw.polygon(_outline(generator, center + offset, radius / 5), fill=0)
    return np.array(canvas)


def _outline(generator: np.random.Generator, center: np.ndarray, radius: float) -> list[tuple[float, float]]:
    """Return a closed curve around a center: an ellipse with waves, and about a pixel of jitter."""
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    waves = sum(
        generator.normal(scale=0.25 / order) * np.cos(order * angles + generator.uniform(0, 2 * np.pi))
        for order in range(2, 12)
    )
    radii = radius * np.clip(1 + waves, 0.2, 2) + generator.normal(scale=0.8, size=angles.shape)
    stretch = generator.uniform(0.6, 1.0)
    return list(
        zip(center[0] + radii * np.cos(angles), center[1] + stretch * radii * np.sin(angles), strict=True)
    )


def make_split(pairs: int, shapes: list[RLE]) -> Split:
    """Make a split of four nouns an image; its images are one blank image."""
    image = Image.new("RGB", (SIDE, SIDE))
    nouns = tuple(Noun(name, name, 0, len(name), name) for name in CLASSES[:NOUNS])
    examples = tuple(
        Example(
            Query(f"{number:07d}", "benchmark", image, nouns, None, None),
            tuple(shapes[(number * NOUNS + noun) % len(shapes)] for noun in range(NOUNS)),
            (),
            Source(None),
            None,
        )
        for number in range(pairs // NOUNS)
    )
    return Split(HEADER.dataset, HEADER.split, examples, HEADER.fingerprint)


def write_predictions(path: Path, pairs: int, shapes: list[RLE]) -> None:
    """Write a prediction for every pair: another shape than the truth's."""

    def predictions() -> Iterator[Prediction]:
        for number in range(pairs):
            shape = shapes[(number * 7 + 3) % len(shapes)]
            yield Prediction(f"{number // NOUNS:07d}", number % NOUNS, TAU, shape)

    with PredictionsWriter(path, HEADER, taus=(TAU,), restart=True) as writer:
        batch = []
        for prediction in predictions():
            batch.append(prediction)
            if len(batch) == 1000:
                writer.append(batch)
                batch = []
        writer.append(batch)


def make_shapes() -> list[RLE]:
    """Encode the shapes that predictions and truths are taken from."""
    generator = np.random.default_rng(0)
    return [masks.encode(object_like_mask(generator)) for _ in range(SHAPES)]


def measure(pairs: int) -> None:
    """Score a file of so many pairs; print seconds, processor seconds, and memory before and at its peak."""
    shapes = make_shapes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.jsonl"
        # Written in a process of its own: its memory is not the scorer's.
        subprocess.run([sys.executable, __file__, "--write", str(path), "--pairs", str(pairs)], check=True)
        split = make_split(pairs, shapes)
        before = _peak_megabytes()
        rounds = 3 if pairs <= 100_000 else 1
        wall, processor = min(time_score(split, path) for _ in range(rounds))
        _, without_bootstrap = min(time_score(split, path, resamples=1) for _ in range(rounds))
    print(wall, processor, without_bootstrap, before, _peak_megabytes())


def time_score(split: Split, path: Path, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the seconds and processor seconds that scoring takes."""
    wall, processor = time.perf_counter(), time.process_time()
    scores = score(split, path, resamples=resamples)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    assert scores["0.4"].pairs_inf == NOUNS * len(split)
    return wall, processor


def yardstick(name: str, compute: Callable[[int], float]) -> float:
    """Return how many calls a second `compute` does, at its best of five rounds."""
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        for index in range(200):
            compute(index)
        best = max(best, 200 / (time.process_time() - start))
    print(f"{name}: {best:,.0f} pairs a second of processor time, masks in memory")
    return best


def measure_yardstick() -> float:
    """Time castorini/daam's IoU: products of two tensors, summed."""
    generator = np.random.default_rng(0)
    arrays = [object_like_mask(generator) for _ in range(64)]
    try:
        import torch
    except ImportError:
        floats = [array.astype(np.float32) for array in arrays]

        def compute(index: int) -> float:
            a, b = floats[index % 64], floats[(index * 7 + 3) % 64]
            both = (a * b).sum()
            return float(both / (a.sum() + b.sum() - both + 1e-8))

        return yardstick("castorini/daam's IoU in NumPy", compute)
    torch.set_num_threads(1)
    tensors = [torch.from_numpy(array).float() for array in arrays]

    def compute_tensors(index: int) -> float:
        a, b = tensors[index % 64], tensors[(index * 7 + 3) % 64]
        both = (a * b).sum()
        return float(both / (a.sum() + b.sum() - both + 1e-8))

    return yardstick("castorini/daam's IoU in torch", compute_tensors)


def _peak_megabytes() -> float:
    """Return the peak memory of this process alone; on Linux getrusage starts at that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--million", action="store_true", help="measure 1,000,000 pairs too")
    parser.add_argument("--pairs", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_predictions(arguments.write, arguments.pairs, make_shapes())
        return
    if arguments.pairs:
        measure(arguments.pairs)
        return
    reference = measure_yardstick()
    mean_length = np.mean([len(shape.counts) for shape in make_shapes()])
    print(f"masks of {SIDE} x {SIDE}: {mean_length:.0f} characters of RLE on average")
    titles = (
        "pairs",
        "pairs/s",
        "pairs/CPU s",
        "x castorini",
        "CPU us/pair",
        "no bootstr.",
        "MB before",
        "MB peak",
    )
    print(" ".join(f"{title:>11}" for title in titles))
    rows = []
    for pairs in [10_000, 100_000] + [1_000_000] * arguments.million:
        command = [sys.executable, __file__, "--pairs", str(pairs)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        wall, processor, without_bootstrap, before, peak = map(float, output)
        rows.append((processor / pairs, peak - before))
        cells = (
            f"{pairs:,}",
            f"{pairs / wall:,.0f}",
            f"{pairs / processor:,.0f}",
            f"{pairs / processor / reference:.1f}",
            f"{1e6 * processor / pairs:.1f}",
            f"{pairs / without_bootstrap:,.0f}",
            f"{before:.0f}",
            f"{peak:.0f}",
        )
        print(" ".join(f"{cell:>11}" for cell in cells), flush=True)
    (first_time, first_memory), *_, (last_time, last_memory) = rows
    print(f"time a pair, largest size over smallest: {last_time / first_time:.2f}")
    print(
        f"memory that scoring adds to the split's: {first_memory:.0f} MB, at the largest {last_memory:.0f} MB"
    )


if __name__ == "__main__":
    main()
