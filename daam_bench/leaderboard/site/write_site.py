"""Building the site: entries and their dataset to a folder of pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from daam_bench.figures.page_parts import HEAT_MAP_SCRIPT
from daam_bench.files.folders import put_right, replacing_folder
from daam_bench.leaderboard.entries import Entry, load_splits
from daam_bench.leaderboard.flags import proposed_splits
from daam_bench.leaderboard.site.data_files import (
    ViewedMethod,
    write_ground_truth,
    write_images,
    write_method,
)
from daam_bench.leaderboard.site.downloads import standings_csv, standings_json
from daam_bench.leaderboard.site.front_page import front_page
from daam_bench.leaderboard.site.pages import method_page, viewer_page
from daam_bench.leaderboard.site.standings import Scored, score_entry, standings
from daam_bench.scoring.report import PROTOCOL
from daam_bench.types import Split
from daam_bench.types.errors import InputError

ASSETS = Path(__file__).parent / "assets"

FORMAT = 1
"""Version of the site's layout, in its marker."""

MARKER = "daam-bench-site.json"
"""The file that tells a site from any other folder."""

PARTS = (
    *(MARKER, "index.html", "viewer.html", "standings.csv", "standings.json"),
    *("methods", "assets", "data", "images"),
)
"""What a site consists of; all else in its folder is someone else's and is kept."""


class Site(NamedTuple):
    """What was built: how many methods, files and bytes."""

    methods: int
    files: int
    size: int


def build_site(entries: Sequence[Entry], dataset: str, folder: Path) -> Site:
    """Build the leaderboard's pages in place of a site in a folder. The same entries give the same bytes.

    Raises:
        InputError: There are no entries, one is of another dataset or not what its report says, or `folder`
            holds something that is no site.
    """
    if not entries:
        raise InputError("there are no entries to show; accept a submission first")
    splits = {split.name: split for split in load_splits(dataset)}
    proposals = proposed_splits(dataset, list(splits.values()))
    scored = [score_entry(entry, splits, proposals) for entry in entries]
    splits = {name: split for name, split in splits.items() if any(name in one.results for one in scored)}
    with replacing_site(folder) as fresh:
        _write_pages(fresh, scored, splits)
        for split in splits.values():
            write_images(fresh / "images" / split.name, split)
            write_ground_truth(fresh / "data", split)
            for entry in scored:
                write_method(fresh / "data", split, _viewed(entry))
        files = [path for path in fresh.rglob("*") if path.is_file()]
        return Site(len(entries), len(files), sum(path.stat().st_size for path in files))


@contextmanager
def replacing_site(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write a site into, which takes the place of `folder` at the end.

    A site already there is replaced, but files that are no part of one (`.git`, `CNAME`) are kept. `folder`
    stays as it was if anything goes wrong, and is refused if it holds something that is no site.
    """
    if not folder.is_symlink():
        put_right(folder)
    is_site = folder.is_dir() and ((folder / MARKER).is_file() or not any(folder.iterdir()))
    if folder.is_symlink() or (folder.exists() and not is_site):
        raise InputError(f"{folder} is there and is no site; name another folder, or remove it first")
    try:
        with replacing_folder(folder, keep=lambda name: name not in PARTS) as fresh:
            yield fresh
    except OSError as error:
        raise InputError(f"can't write {folder}: {error.strerror or error}; name another folder") from error


def build_viewer(viewed: Sequence[ViewedMethod], splits: Sequence[Split], folder: Path) -> Path:
    """Build the viewer of runs alone, in place of one in a folder, and return its page.

    Raises:
        InputError: `folder` holds something that is no site, or a heat map is malformed.
    """
    with replacing_site(folder) as fresh:
        _write_assets(fresh)
        page = viewer_page(viewed, {split.name: split for split in splits}, board=False)
        (fresh / "viewer.html").write_text(page, encoding="utf-8")
        (fresh / MARKER).write_text(json.dumps({"daam_bench_site": FORMAT}) + "\n", encoding="utf-8")
        for split in splits:
            write_images(fresh / "images" / split.name, split)
            write_ground_truth(fresh / "data", split)
            for method in viewed:
                write_method(fresh / "data", split, method)
    return folder / "viewer.html"


def _viewed(scored: Scored) -> ViewedMethod:
    entry = scored.entry
    return ViewedMethod(entry.slug, entry.submission.name, entry.folder, scored.taus())


def _write_assets(folder: Path) -> None:
    shutil.copytree(ASSETS, folder / "assets")
    scripts = (HEAT_MAP_SCRIPT, ASSETS / "site.js")
    script = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    (folder / "assets" / "site.js").write_text(script, encoding="utf-8")


def _write_pages(folder: Path, scored: Sequence[Scored], splits: Mapping[str, Split]) -> None:
    rows = standings(scored)
    viewed = [_viewed(one) for one in {row.entry.slug: row.scored for row in rows}.values()]
    _write_assets(folder)
    (folder / "methods").mkdir()
    marker = {
        "daam_bench_site": FORMAT,
        "protocol": PROTOCOL,
        "dataset": next(iter(splits.values())).dataset,
        "fingerprint": {name: split.fingerprint for name, split in splits.items()},
        "entries": [entry.entry.slug for entry in scored],
    }
    pages = {
        "index.html": front_page(rows, splits),
        "viewer.html": viewer_page(viewed, splits),
        "standings.csv": standings_csv(rows),
        "standings.json": standings_json(rows, marker),
        MARKER: json.dumps(marker, indent=2, ensure_ascii=False) + "\n",
    } | {f"methods/{entry.entry.slug}.html": method_page(entry, splits) for entry in scored}
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
