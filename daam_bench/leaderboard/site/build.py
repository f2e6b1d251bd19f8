"""Building the site: entries and their dataset to a folder of pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from daam_bench import figures
from daam_bench.leaderboard.entries import Entry
from daam_bench.leaderboard.rescoring import load_splits
from daam_bench.leaderboard.site.examples import write_images
from daam_bench.leaderboard.site.folder import MARKER, replacing_site
from daam_bench.leaderboard.site.pages import front_page, method_page, viewer_page
from daam_bench.leaderboard.site.standings import Scored, score_entry, standings
from daam_bench.leaderboard.site.viewer_data import write_method, write_truth
from daam_bench.scoring.report import PROTOCOL
from daam_bench.types import Split
from daam_bench.types.errors import InputError

ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = (Path(figures.__file__).with_name("heat_map.js"), ASSETS / "site.js")

FORMAT = 1
"""Version of the site's layout, in its marker."""


class Site(NamedTuple):
    """What was built: how many methods, files and bytes."""

    methods: int
    files: int
    size: int


def build_site(entries: Sequence[Entry], dataset: str, folder: Path) -> Site:
    """Build the leaderboard's pages. The same entries give the same bytes.

    Args:
        entries: The entries, each with masks of this dataset.
        dataset: Name, path or hub id of the dataset.
        folder: Where the site goes. A site already there is replaced.

    Raises:
        InputError: There are no entries, one is of another dataset or not what its report says, or `folder`
            holds something that is no site.
    """
    if not entries:
        raise InputError("there are no entries to show; accept a submission first")
    splits = {split.name: split for split in load_splits(dataset)}
    scored = [score_entry(entry, splits) for entry in entries]
    with replacing_site(folder) as fresh:
        _write_pages(fresh, scored, splits)
        for split in splits.values():
            write_images(fresh / "images" / split.name, split)
            write_truth(fresh / "data", split)
            for entry in scored:
                write_method(fresh / "data", split, entry.entry, entry.taus())
        files = [path for path in fresh.rglob("*") if path.is_file()]
        return Site(len(entries), len(files), sum(path.stat().st_size for path in files))


def _write_pages(folder: Path, scored: Sequence[Scored], splits: Mapping[str, Split]) -> None:
    rows = standings(scored)
    shutil.copytree(ASSETS, folder / "assets")
    script = "\n".join(path.read_text(encoding="utf-8") for path in _SCRIPTS)
    (folder / "assets" / "site.js").write_text(script, encoding="utf-8")
    (folder / "methods").mkdir()
    pages = {
        "index.html": front_page(rows, splits),
        "viewer.html": viewer_page(rows, splits),
        MARKER: _marker(scored, splits),
    } | {f"methods/{entry.entry.slug}.html": method_page(entry, splits) for entry in scored}
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def _marker(scored: Sequence[Scored], splits: Mapping[str, Split]) -> str:
    record = {
        "daam_bench_site": FORMAT,
        "protocol": PROTOCOL,
        "dataset": next(iter(splits.values())).dataset,
        "fingerprint": {name: split.fingerprint for name, split in splits.items()},
        "entries": [entry.entry.slug for entry in scored],
    }
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"
