"""The table of the leaderboard to download, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from daam_bench.leaderboard.site.standings import Standing
from daam_bench.scoring.results import HARD

_ABOUT = (
    "slug",
    "name",
    "authors",
    "link",
    "track",
    "tuned_on",
    "supervised",
    "open_vocabulary",
    "truth",
    "verified",
    "flagged",
)
_MORE = ("miou_band", "leakage", "average_precision", "map_leakage", "oracle_tau")


def standings_csv(rows: Sequence[Standing]) -> str:
    """Return the table as CSV: a line a row, fractions in [0, 1], an empty field where there is no score."""
    found = records(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(record | {"authors": "; ".join(record["authors"])} for record in found)
    return text.getvalue()


def standings_json(rows: Sequence[Standing], about: Mapping[str, Any]) -> str:
    """Return the table as JSON, with what it is about: protocol, dataset, fingerprints."""
    return json.dumps({**about, "rows": records(rows)}, indent=1, ensure_ascii=False) + "\n"


def records(rows: Sequence[Standing]) -> list[dict[str, Any]]:
    """Return the rows of the table as flat records, in its order."""
    return [_record(row) for row in rows]


def _record(row: Standing) -> dict[str, Any]:
    submission = row.entry.submission
    known = asdict(submission) | {
        "slug": row.entry.slug,
        "track": submission.listed_track,
        "verified": row.entry.verification is not None,
        "flagged": bool(row.scored.flags),
    }
    record: dict[str, Any] = {"rank": row.rank} | {name: known[name] for name in _ABOUT}
    record["tau"] = None if row.tau == HARD else float(row.tau)
    for column, cell in row.cells.items():
        name = f"{column.split}_miou_{column.metric}"
        low, high = cell.interval or (None, None)
        record |= {name: cell.miou, f"{name}_low": low, f"{name}_high": high}
    for split in dict.fromkeys(column.split for column in row.cells):
        scores = row.entry.report.splits.get(split, {}).get(row.tau)
        record |= {f"{split}_{name}": scores and getattr(scores, name) for name in _MORE}
        for letter, effect in (("f", row.heat_maps_effect(split)), ("j", row.masks_effect(split))):
            name = f"{split}_faithfulness_{letter}"
            record |= {name: effect and effect.mean}
            record |= {f"{name}_low": effect and effect.low, f"{name}_high": effect and effect.high}
    calls = None if submission.environment is None else submission.environment.denoiser_calls
    return record | {"denoiser_calls": calls, "seconds_per_image": row.seconds_per_image}
