"""A small site: a soft method, hard masks, and an entry that tries to break out of the pages."""

from dataclasses import replace
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.leaderboard.entries import Entry, load_entries
from daam_bench.leaderboard.faithfulness_record import EffectScore, FaithfulnessRecord
from daam_bench.leaderboard.site.write_site import build_site
from daam_bench.leaderboard.verification import Verification, VerifiedScore
from daam_bench.scoring.effects import MEASURE

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def entries_folder(tiny_dataset, soft_zip, hard_zip, tmp_path_factory) -> Path:
    """The folder of two entries, "gradient" and "random-half". Read it, don't change it."""
    folder = tmp_path_factory.mktemp("leaderboard") / "entries"
    for submission in (soft_zip, hard_zip):
        options = ["--entries", str(folder), "--dataset", str(tiny_dataset)]
        assert main(["submit", "accept", str(submission), *options]) == 0
    return folder


@pytest.fixture(scope="session")
def entries(entries_folder) -> list[Entry]:
    """The two entries and a hostile one; the soft one is verified and measured, the hostile one closed."""
    soft, hard = load_entries(entries_folder)
    hard = replace(hard, submission=replace(hard.submission, track=None))  # in one track with the soft one
    submission = replace(
        hard.submission,
        name=HOSTILE,
        authors=('"><img src=x onerror=alert(1)>',),
        description="</script><!-- <svg onload=alert(1)> {{ 7 * 7 }}",
        link="javascript:alert(1)",
        parameters={"</script>": "<b>&amp;\u2028"},
        supervised=True,
        open_vocabulary=False,
        truth="training",
    )
    verification = Verification(
        entry=soft.slug,
        sha256="0" * 64,
        by="the host",
        how="ran it again",
        date="2024-01-01",
        method="mine:Mine",
        parameters={},
        dataset="fresh",
        fingerprint={},
        fresh={"scenes": {"0.3": VerifiedScore(0.25, None)}},
        claimed={"coco_gen": {"0.3": VerifiedScore(0.5, 0.125)}},
    )
    faithfulness = FaithfulnessRecord(
        entry=soft.slug,
        sha256="0" * 64,
        by="the host",
        date="2024-01-01",
        measure=MEASURE,
        dataset="tiny",
        fingerprint={},
        heat_maps={"coco_gen": EffectScore(0.625, 0.5, 0.75, 9)},
        masks={"coco_gen": {"0.4": EffectScore(-0.125, -0.25, 0.0, 9)}},
        version="0.1.0",
        commit=None,
    )
    return [
        replace(soft, verification=verification, faithfulness=faithfulness),
        hard,
        replace(hard, slug="hostile", submission=submission),
    ]


@pytest.fixture(scope="session")
def site(tiny_dataset, entries, tmp_path_factory) -> Path:
    """The folder of the site of `entries`. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("site") / "site"
    build_site(entries, str(tiny_dataset), folder)
    return folder
