"""What hosts measured of an entry's faithfulness, apart from it: it takes the generator, nobody submits it.

A record lies beside those of verified entries, as `leaderboard/verified/<slug>.faithfulness.json`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from daam_bench.files.replacing import write_text
from daam_bench.leaderboard.verification import read_record, submitted_hash
from daam_bench.scoring.effects import MEASURE, NOUN, OWN, FaithfulnessReport, RowScore
from daam_bench.types import Report
from daam_bench.types.errors import InputError

SUFFIX = ".faithfulness.json"
"""After an entry's slug, which has no dot."""

_Score = Annotated[float, Interval(ge=-3, le=1)]


@dataclass(frozen=True, slots=True)
class EffectScore:
    """A mean F or J over the depicted nouns that do something, its 95 % interval, and their number."""

    mean: _Score
    low: _Score
    high: _Score
    words: Annotated[int, Interval(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaithfulnessRecord:
    """A host's measurement of one entry: `leaderboard/verified/<slug>.faithfulness.json`.

    Attributes:
        entry: Slug of the entry.
        sha256: `submitted_hash` of the entry whose maps and masks were measured.
        by: Who of the leaderboard's hosts measured it.
        date: ISO date.
        measure: Version of the definition, `daam_bench.scoring.effects.MEASURE`.
        dataset: Name of the dataset.
        fingerprint: Its fingerprint, by split.
        heat_maps: Split -> F of the heat maps; empty for a method of hard masks.
        masks: Split -> tau ("0.4", "none") -> J of the masks, at the taus that were measured.
        version: The version of daam-bench that measured it.
        commit: Its git commit; None outside a checkout.
    """

    entry: str
    sha256: str
    by: str
    date: str
    measure: str
    dataset: str
    fingerprint: Mapping[str, str]
    heat_maps: Mapping[str, EffectScore]
    masks: Mapping[str, Mapping[str, EffectScore]]
    version: str
    commit: str | None

    def holds(self, folder: Path, report: Report) -> bool:
        """Tell whether it is of an entry as it is, of the dataset of its report, and of this measure."""
        same = all(report.fingerprint.get(split) == one for split, one in self.fingerprint.items())
        return same and self.measure == MEASURE and self.sha256 == submitted_hash(folder)


def make_record(folder: Path, report: FaithfulnessReport, method: str, *, by: str) -> FaithfulnessRecord:
    """Return the record of an entry's folder: what a report says of the method whose maps the entry has."""
    groups = {
        split: found.methods[method].groups[NOUN]
        for split, found in report.splits.items()
        if method in found.methods and NOUN in found.methods[method].groups
    }
    return FaithfulnessRecord(
        entry=folder.name,
        sha256=submitted_hash(folder),
        by=by,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        measure=report.measure,
        dataset=report.dataset,
        fingerprint={split: report.fingerprint[split] for split in groups},
        heat_maps={split: _score(one.soft[OWN]) for split, one in groups.items() if OWN in one.soft},
        masks={
            split: {tau: _score(rows[OWN]) for tau, rows in one.hard.items() if OWN in rows}
            for split, one in groups.items()
        },
        version=report.environment.version,
        commit=report.environment.commit,
    )


def read_faithfulness_record(records: Path, slug: str) -> FaithfulnessRecord | None:
    """Read the record of an entry; None if there is none. InputError for a damaged one."""
    path = records / f"{slug}{SUFFIX}"
    if not path.exists():
        return None
    try:
        return read_record(path, FaithfulnessRecord, slug)
    except InputError as error:
        raise InputError(f"{path}: {error}; `make refresh` writes it") from None


def write_faithfulness_record(records: Path, record: FaithfulnessRecord) -> Path:
    """Write the record of an entry in place of an earlier one."""
    path = records / f"{record.entry}{SUFFIX}"
    write_text(path, json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n")
    return path


def _score(row: RowScore) -> EffectScore:
    return EffectScore(row.mean, *row.ci95, row.words)
