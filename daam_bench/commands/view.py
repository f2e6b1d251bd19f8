"""`daam-bench view`: look through the masks and heat maps of runs in a browser."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.leaderboard.site.data_files import ViewedMethod
    from daam_bench.types import PredictionsHeader


def add_parser(subparsers: Any) -> None:
    """Add `view`."""
    parser = subparsers.add_parser(
        "view",
        help="look through the masks and heat maps of runs in a browser",
        description="Write the viewer of one or more runs on the same dataset, and open it in a browser.",
    )
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="output folder of `daam-bench run`")
    add("--dataset", help="where the dataset lies here (default: as the runs name it)")
    output = "folder of the viewer; one already there is replaced (default: `viewer` in the first run)"
    add("--output", type=Path, metavar="DIR", help=output)
    add("--no-open", action="store_true", help="only write it")
    parser.set_defaults(handler=view)


def view(arguments: argparse.Namespace) -> None:
    """Write the viewer and open it."""
    from daam_bench.datasets.load import load_split
    from daam_bench.leaderboard.site.write_site import build_viewer

    runs = [_headers(run) for run in arguments.runs]
    names = [name for name in runs[0] if all(name in headers for headers in runs)]
    if not names:
        raise InputError("the runs have no split in common; look at them one by one")
    first = runs[0][names[0]]
    splits = [load_split(arguments.dataset or first.dataset, name) for name in names]
    for split in splits:
        for run, headers in zip(arguments.runs, runs, strict=True):
            if headers[split.name].fingerprint != split.fingerprint:
                raise InputError(
                    f"{run} is of another version of {split.name} than the dataset {split.dataset}; "
                    "give its dataset with --dataset"
                )
    folder = arguments.output or arguments.runs[0] / "viewer"
    page = build_viewer(_methods(arguments.runs, runs, names), splits, folder)
    sys.stdout.write(f"{page}: {', '.join(names)}; open it in a browser\n")
    if not arguments.no_open:
        webbrowser.open(page.resolve().as_uri())


def _headers(run: Path) -> dict[str, PredictionsHeader]:
    from daam_bench.files import PREDICTIONS
    from daam_bench.files.predictions import read_predictions

    found = {path.parent.name: read_predictions(path)[0] for path in sorted(run.glob(f"*/{PREDICTIONS}"))}
    if not found:
        raise InputError(f"no {PREDICTIONS} in the folders of {run}; give the output folder of a run")
    return found


def _methods(
    folders: Sequence[Path], runs: Sequence[dict[str, PredictionsHeader]], splits: Sequence[str]
) -> list[ViewedMethod]:
    """Return the runs as the viewer's methods, the name of the folder behind that of a method run twice."""
    from daam_bench.files import PREDICTIONS
    from daam_bench.files.predictions import read_predictions
    from daam_bench.leaderboard.site.data_files import ViewedMethod
    from daam_bench.scoring.results import tau_key

    methods = [headers[splits[0]].method for headers in runs]
    count = Counter(methods)
    viewed = []
    for number, (folder, method) in enumerate(zip(folders, methods, strict=True)):
        predictions = read_predictions(folder / splits[0] / PREDICTIONS)[1]
        taus = sorted({tau_key(prediction.tau) for prediction in predictions})
        name = f"{method} ({folder.resolve().name})" if count[method] > 1 else method
        viewed.append(ViewedMethod(f"run-{number}", name, folder, taus))
    return viewed
