"""Time the paper's three detectors at full size, and measure their memory, on a CPU.

    python benchmarks/detectors.py [--size 512] [--threads N] [--rounds 3]

They have random weights, so nothing is downloaded, and an image of noise to look at. Mask R-CNN's own
threshold is taken away, so that each of them gives as many masks as it ever would. Each runs in a process of
its own, one after the other. Processor seconds count, over all threads, for they hardly depend on what else
the machine does.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daam_bench.segmenters.mmdet.method import Mask2Former, MaskRCNN, QueryInst
from daam_bench.segmenters.threads import computing_with, usable_cores

METHODS = {method.name: method for method in (MaskRCNN, QueryInst, Mask2Former)}


def measure(name: str, size: int, threads: int, rounds: int) -> None:
    """Print the megaweights, instances, processor seconds an image and peak megabytes of one detector."""
    import numpy as np
    from mmengine.logging import MMLogger
    from PIL import Image

    from daam_bench.segmenters.mmdet.detector import Detector
    from daam_bench.segmenters.mmdet.detector_files import find_config

    MMLogger.get_instance("mmengine", log_level="ERROR")
    config = f"_base_ = [{str(find_config(METHODS[name].zoo_config))!r}]\n"
    if name == MaskRCNN.name:
        config += "model = dict(test_cfg=dict(rcnn=dict(score_thr=0.0)))\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.py"
        path.write_text(config)
        detector = Detector(path, None, "cpu")
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    seconds = []
    with computing_with(threads):
        for _ in range(rounds):
            began = time.process_time()
            found = detector.detect([Image.fromarray(noise)], score=0.0, batch_size=1)
            seconds.append(time.process_time() - began)
    weights = sum(parameter.numel() for parameter in detector._model.parameters())
    print(weights / 1e6, len(found[0].labels), min(seconds), _peak_megabytes())


def _peak_megabytes() -> float:
    """Return the peak memory of this process alone, which on Linux getrusage doesn't tell."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    """Measure every detector and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the image")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=3, help="images looked at; the fastest counts")
    parser.add_argument("--only", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.only, arguments.size, arguments.threads, arguments.rounds)
        return
    print(f"{platform.machine()}, {arguments.threads} threads; image {arguments.size} x {arguments.size}")
    print(f"{'detector':<12} {'M weights':>9} {'instances':>9} {'CPU s':>9} {'ratio':>6} {'MB peak':>8}")
    first = None
    for name in METHODS:
        command = [sys.executable, __file__, "--only", name]
        for option in ("size", "threads", "rounds"):
            command += [f"--{option}", str(getattr(arguments, option))]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        weights, instances, seconds, peak = map(float, output.splitlines()[-1].split())
        first = first or seconds
        print(
            f"{name:<12} {weights:9.1f} {instances:9.0f} {seconds:9.2f} {seconds / first:6.2f} {peak:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
