"""The images of README and docs that follow from the datasets and the generators, by the plain commands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daam_bench.cli import main as daam_bench
from daam_bench.console import say
from daam_bench.datasets.load import SHIPPED, load_split
from daam_bench.leaderboard import SPLITS
from daam_bench.types.errors import InputError

IMAGES = Path("docs") / "images"

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WINDOW = (1280, 1120)
_POS_IMAGES, _CASE_SEEDS = 500, 4


@dataclass(frozen=True, slots=True)
class Command:
    """A command of ours that leaves images: its arguments, and file in its output -> name in the docs."""

    arguments: Sequence[str]
    output: Path
    images: dict[str, str]


def make_figures(work: Path, target: Path, *, entries: Path) -> list[str]:
    """Make the images that need no new runs: the sheet of pairs, `show`, and the leaderboard's front page.

    Args:
        work: Where the runs lie.
        target: Root of what is written.
        entries: The leaderboard's entries.

    Returns:
        What was written, in words.
    """
    wrote = []
    folder = target / IMAGES
    if all((work / SHIPPED / "daam" / split / "predictions.jsonl").exists() for split in SPLITS):
        _pair_sheet(work / SHIPPED / "daam", folder / "pairs.png")
        wrote.append(str(folder / "pairs.png"))
    _run(["show", "a boat and a fish on the sea", "--seed", "1", "--output", str(folder / "show.png")])
    wrote.append(str(folder / "show.png"))
    if any(entries.glob("*/report.json")):
        _run(["leaderboard", "build", "--entries", str(entries), "--out", str(work / "site")])
        wrote += _front_page(work / "site" / "index.html", folder / "leaderboard.png")
    return wrote


def make_analyses(work: Path, target: Path, *, limit: int | None) -> list[str]:
    """Make the images of the analyses, which generate hundreds of images; what is done is kept.

    With a limit only so many images are generated, and the case studies are left out.
    """
    wrote = []
    for command in _analyses(work / "analyses", limit):
        _run(command.arguments)
        for name, image in command.images.items():
            place = target / IMAGES / image
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(command.output / name, place)
            wrote.append(str(place))
    return wrote


def _analyses(work: Path, limit: int | None) -> Iterator[Command]:
    count, most = str(limit or _POS_IMAGES), [] if limit is None else ["--limit", str(limit)]
    pos, layers, cases = work / "pos", work / "layers", work / "cases"
    yield Command(["pos", "--count", count, "--output", str(pos)], pos, {"pos.svg": "pos.svg"})
    yield Command(["layers", *most, "--output", str(layers)], layers, {"layers.svg": "layers.svg"})
    if limit is None:
        names = ("adjectives", "numeracy", "repeated", "swapped")
        yield Command(
            ["cases", "all", "--seeds", str(_CASE_SEEDS), "--output", str(cases)],
            cases,
            {f"{name}.png": f"cases-{name}.png" for name in names},
        )


def _run(arguments: Sequence[str]) -> None:
    say(f"daam-bench {' '.join(arguments)}")
    if code := daam_bench(list(arguments)):
        raise InputError(f"daam-bench {arguments[0]} ended with {code}; the lines above say why")


def _pair_sheet(run: Path, path: Path) -> None:
    from daam_bench.figures.pair_sheet import write_sheet
    from daam_bench.job import score_splits

    splits = [load_split(SHIPPED, name) for name in SPLITS]
    results = score_splits(splits, [run / split.name for split in splits], 0.4)
    write_sheet(path, results, tau="0.4", title=f"daam on {SHIPPED}, tau 0.4")


def _front_page(page: Path, image: Path) -> list[str]:
    """Take an image of the top of a page in a browser; without one, say so."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        say(f"note: {image} is as it was: no browser ({', '.join(_BROWSERS)}) to take an image with")
        return []
    image.parent.mkdir(parents=True, exist_ok=True)
    width, height = _WINDOW
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
    subprocess.run(
        [browser, *options, f"--screenshot={image}", page.absolute().as_uri()],
        check=True,
        capture_output=True,
    )
    return [str(image)]
