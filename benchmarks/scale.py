"""How work scales over workers, and whether kills change a byte.

    python benchmarks/scale.py                   # a method that waits like a GPU, on 1, 2, 4 and 8 workers
    python benchmarks/scale.py --daam            # the method daam on 1 and 2 workers
    python benchmarks/scale.py --kills 100       # workers and the driver are killed at random moments
    python benchmarks/scale.py --kills 100 --ray # the same on a Ray cluster of two nodes, killed too

The waiting method takes half a second an image; its masks and heat maps are rendered, sent and written as any
method's. Efficiency is the time that so many perfect workers need, over the time from the first batch to the
last byte; how long the workers take to come up stands beside it. Every worker has as much to do: 1,500 images
for 8. The driver's CPU time counts all of its threads, the sending and the writing. Nothing else should run
meanwhile.

Kills: a run is begun, a random process of it is killed after a random time, and the same command is given
again where that ended it, until it is done. What it wrote must equal what one process writes undisturbed.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from daam_bench.engine import Local
from daam_bench.engine.choice import choose_engine
from daam_bench.engine.seam import Engine
from daam_bench.segmenters.method_worker import MethodWorker
from daam_bench.segmenters.segment import segment
from daam_bench.types import Example, Noun, Query, Source, Split
from daam_bench.types.heat_map import HeatMap

SECONDS, BATCH, IMAGES = 0.5, 4, 1500
KILLS_A_RUN, IMAGES_KILLED = 5, 60


class Waiting:
    """A method that waits as long as a GPU would work; its heat maps depend on the example alone."""

    name = "waiting"

    def __init__(self, seconds: float = SECONDS) -> None:
        self.parameters = {}
        self._seconds = seconds

    def segment(self, queries):
        """Wait, and return heat maps."""
        time.sleep(self._seconds * len(queries))
        return [[heat_map(f"{query.id}/{noun}") for noun in range(len(query.nouns))] for query in queries]


def heat_map(key: str) -> HeatMap:
    """Return a smooth map of 64 x 64 with some noise."""
    generator = np.random.default_rng(crc32(key.encode()))
    smooth = Image.fromarray(generator.random((8, 8), dtype=np.float32)).resize(
        (64, 64), Image.Resampling.BICUBIC
    )
    return HeatMap(np.asarray(smooth).clip(0) + generator.random((64, 64), dtype=np.float32) * 0.05)


def make_split(count: int) -> Split:
    """Make a split of images of 512 x 512 with two nouns each, undecoded PNG as in a dataset."""
    files = []
    for seed in range(32):
        small = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(small).resize((512, 512), Image.Resampling.BICUBIC).save(buffer, format="PNG")
        files.append(buffer.getvalue())
    nouns = tuple(Noun(f"noun{k}", f"noun{k}", 10 * k, 10 * k + 5, None) for k in range(2))
    examples = (
        Example(
            Query(
                f"{number:06}", "noun0 and noun1", Image.open(BytesIO(files[number % 32])), nouns, None, None
            ),
            (None, None),
            (),
            Source(None),
            None,
        )
        for number in range(count)
    )
    return Split("simulated", "coco_gen", tuple(examples), "0" * 64)


def measure(name: str, workers: int, engine: Engine, count: int) -> None:
    """Print one row."""
    split, began = make_split(count), time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        engine.start(partial(MethodWorker.make, "scale:Waiting", {}, {})) as pool,
    ):
        if workers > 1:
            pool.wait()
        up = time.monotonic() - began
        processor, began = time.process_time(), time.monotonic()
        segment(pool, split, folder, batch_size=BATCH, progress=False)
        wall, processor = time.monotonic() - began, time.process_time() - processor
    ideal = SECONDS * count / workers
    print(
        f"{name:>9} {workers:>7} {count:>6} {up:>8.1f} {wall:>8.1f} {ideal / wall:>10.3f} "
        f"{1000 * processor / count:>13.2f}",
        flush=True,
    )


def efficiency(images: int, *, with_ray: bool) -> None:
    """Print the table of the waiting method."""
    print("   engine workers images up after  seconds efficiency driver ms/image")
    for workers in (1, 2, 4, 8):
        engine = Local() if workers == 1 else choose_engine(workers=str(workers), threads=1, device="cpu")
        measure("local", workers, engine, images * workers // 8)
    if with_ray:
        measure(
            "ray", 8, choose_engine(workers="8", engine="ray", device="cpu", method="scale:Waiting"), images
        )


def daam() -> None:
    """Print the images a second of `daam` with the shipped model on one and on two workers."""
    from daam_bench.datasets.load import load_split

    split = load_split("emoji", "coco_gen")[:64]
    rates = []
    for workers in (1, 2):
        engine = choose_engine(workers=str(workers), threads=1, device="cpu")
        make = partial(MethodWorker.make, "daam", {"device": "cpu"}, {"batch_size": BATCH})
        with tempfile.TemporaryDirectory() as folder, engine.start(make) as pool:
            if workers > 1:
                pool.wait()
            began = time.monotonic()
            segment(pool, split, folder, batch_size=BATCH, progress=False)
            rates.append(len(split) / (time.monotonic() - began))
    share = rates[1] / rates[0] / 2
    print(f"daam, a thread a worker: {rates[0]:.2f} images/s on 1, {rates[1]:.2f} on 2: {share:.3f}")


def kill(kills: int, *, with_ray: bool, seed: int) -> None:
    """Kill at random moments, and compare what was written with an undisturbed run's."""
    dice = random.Random(seed)
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, _cluster() if with_ray else _nothing() as cluster:
        whole = Path(folder) / "whole"
        subprocess.run(_command(whole), check=True, capture_output=True, cwd=Path(__file__).parent)
        number = 0
        while sum(counts.values()) < kills:
            number += 1
            output = Path(folder) / f"run{number}"
            wanted = min(KILLS_A_RUN, kills - sum(counts.values()))
            for victim in _run_killed(output, wanted, dice, cluster):
                counts[victim] = counts.get(victim, 0) + 1
            for split in ("coco_gen", "unreal_gen"):
                for name in ("predictions.jsonl", "heat_maps.jsonl"):
                    if not filecmp.cmp(whole / split / name, output / split / name, shallow=False):
                        sys.exit(f"{split}/{name} differs after kills (--seed {seed}, run {number})")
    said = ", ".join(f"{count} of a {victim}" for victim, count in sorted(counts.items()))
    print(
        f"{sum(counts.values())} kills in {number} runs ({said}): the same bytes as one process undisturbed"
    )


def _command(output: Path, *more: str) -> list[str]:
    run = [sys.executable, "-m", "daam_bench.run", "--method", "scale:Waiting", "--option", "seconds=0.02"]
    return [*run, "--limit", str(IMAGES_KILLED), "--batch-size", str(BATCH), "--output", str(output), *more]


def _run_killed(output: Path, kills: int, dice: random.Random, cluster) -> Iterator[str]:
    more = ["--workers", "2", "--threads", "1"]
    if cluster is not None:
        more += ["--engine", "ray", "--address", cluster.address, "--gpus", "0"]
    while True:
        driver = subprocess.Popen(
            _command(output, *more),
            cwd=Path(__file__).parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while kills and driver.poll() is None:
            begun = _lines(output)
            deadline = time.monotonic() + 60
            while driver.poll() is None and _lines(output) == begun and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.3))
            if driver.poll() is None and (victim := _kill_one(driver, dice, cluster)):
                kills -= 1
                yield victim
        driver.wait()
        if driver.returncode == 0:
            return


def _lines(output: Path) -> int:
    return sum(path.stat().st_size for path in output.glob("*/*.jsonl"))


def _kill_one(driver: subprocess.Popen, dice: random.Random, cluster) -> str | None:
    victim = dice.choice(["driver", "worker", "worker"] + ["node"] * (cluster is not None))
    if victim == "node":
        node = cluster.extra[0]
        cluster.extra[:] = [cluster.add_node(num_cpus=2)]
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        return victim
    if victim == "driver":
        driver.kill()
        return victim
    workers = _actors(cluster) if cluster is not None else _children(driver.pid)
    if not workers:
        return None
    try:
        os.kill(dice.choice(workers), signal.SIGKILL)
    except ProcessLookupError:
        return None
    return victim


def _children(parent: int) -> list[int]:
    return [pid for pid, its_parent, text in _processes() if its_parent == parent and "spawn_main" in text]


def _actors(cluster) -> list[int]:
    nodes = {node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()}
    return [pid for pid, parent, text in _processes() if parent in nodes and text.startswith("ray::_Actor")]


def _processes() -> Iterator[tuple[int, int, str]]:
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    for line in listed.splitlines():
        pid, parent, text = line.split(maxsplit=2)
        yield int(pid), int(parent), text


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _cluster():
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.extra = [cluster.add_node(num_cpus=2)]
    try:
        yield cluster
    finally:
        cluster.shutdown()


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=IMAGES, help=f"for 8 workers (default: {IMAGES})")
    parser.add_argument("--daam", action="store_true", help="measure daam instead of a method that waits")
    parser.add_argument("--kills", type=int, metavar="N", help="kill N times instead of measuring")
    parser.add_argument(
        "--ray", action="store_true", help="measure 8 Ray actors too; with --kills, those alone"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the kills (default: 0)")
    arguments = parser.parse_args()
    if arguments.kills:
        kill(arguments.kills, with_ray=arguments.ray, seed=arguments.seed)
    elif arguments.daam:
        daam()
    else:
        efficiency(arguments.images, with_ray=arguments.ray)


if __name__ == "__main__":
    main()
