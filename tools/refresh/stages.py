"""The stages of a refresh, each from what those before it left."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from daam_bench.analysis.effects_report import read_faithfulness, write_scores
from daam_bench.console import say
from daam_bench.datasets.load import SHIPPED
from daam_bench.engine.seam import Engine
from daam_bench.leaderboard import ENTRIES, VERIFIED
from daam_bench.scoring.effects import FaithfulnessReport
from daam_bench.scoring.report import describe_environment
from daam_bench.types.errors import InputError
from tools.method_lists import BASELINE
from tools.refresh.disagreements import DISAGREEMENTS, write_disagreements
from tools.refresh.facts import Facts
from tools.refresh.figures import IMAGES, make_analyses, make_figures
from tools.refresh.measuring import (
    BY_WORD,
    FAITHFULNESS,
    WORDS_SPLIT,
    Faithfulness,
    check_faithfulness,
    measure_runs,
    measure_words,
    with_published,
    write_entry_records,
)
from tools.refresh.orders import Orders, find_orders, write_orders
from tools.refresh.planned_jobs import DATASETS, ROOT, built_datasets, generated_splits, jobs
from tools.refresh.recording import Recorded, check_publishable, make_entries, publish, record
from tools.refresh.running import run_job
from tools.refresh.texts import fill

RESULTS = ROOT / "baselines" / "results"
"""Of the shipped dataset; those of its siblings lie in folders of their names there."""

PAGES = (
    "README.md",
    *(f"docs/{name}.md" for name in ("baselines", "methods", "scores", "validity", "faithfulness")),
)
"""The pages with marked parts."""


@dataclass
class Refresh:
    """A refresh of chosen datasets and methods; see `tools.refresh.__main__` for the options.

    Attributes:
        wrote: What it has written, in words, line by line.
    """

    work: Path
    only: Sequence[str]
    methods: Sequence[str]
    limit: int | None
    draft: bool
    restart: bool = False
    engine: Engine | None = None
    wrote: list[str] = field(default_factory=list)

    @property
    def target(self) -> Path:
        """The root of what is written: the checkout's, or for a draft a folder of the work's."""
        return self.work / "draft" if self.draft else ROOT

    def run(self) -> None:
        """Run the methods.

        Raises:
            InputError: The checkout has uncommitted changes, and this is no draft.
        """
        planned = list(jobs(self.only, self.methods, self.limit))
        self._check_clean()
        for job in planned:
            if self.restart:
                for method in job.methods:
                    shutil.rmtree(self.work / job.dataset / method / job.split, ignore_errors=True)
            run_job(self.work, job)

    def _check_clean(self) -> None:
        if not self.draft and describe_environment().dirty is not False:
            raise InputError(
                "what is published comes from a clean commit; commit your changes, or give --draft"
            )

    @cached_property
    def recorded(self) -> dict[str, Recorded]:
        """What the runs scored, by dataset."""
        found = {}
        for dataset, splits in built_datasets().items():
            there = [
                name for name in splits if any((self.work / dataset).glob(f"*/{name}/predictions.jsonl"))
            ]
            one = record(self.work, dataset, there, limit=self.limit) if there else None
            if one is not None:
                found[dataset] = one
        if not found:
            raise InputError(f"no runs in {self.work}; begin with the stage run")
        return found

    @cached_property
    def compared(self) -> Orders | None:
        """How the order of methods holds."""
        return find_orders(list(self.recorded.values()))

    def results_of(self, dataset: str) -> Path:
        """Return where the recorded results of a dataset lie."""
        folder = self.target / RESULTS.relative_to(ROOT)
        return folder if dataset == SHIPPED else folder / dataset

    def record(self) -> None:
        """Write the reports and the tables."""
        for dataset, found in self.recorded.items():
            if not self.draft:
                check_publishable(found)
            folder = self.results_of(dataset)
            publish(found, folder)
            self.wrote.append(f"{folder}/: {len(found.reports)} reports, table")

    def entries(self) -> None:
        """Make the leaderboard's entries of the shipped dataset."""
        found = self.recorded.get(SHIPPED)
        if found is None:
            return
        if not self.draft:
            check_publishable(found)
        folder = self.target / ENTRIES
        made = make_entries(found, self.work, folder)
        self.wrote.append(f"{folder}/: {len(made)} entries" + (f" ({', '.join(made)})" if made else ""))

    def orders(self) -> None:
        """Write the rank figure and its numbers."""
        if self.compared is None:
            say("note: no figure of ranks: it takes two splits and two methods that all have")
            return
        folder, image = self.results_of(SHIPPED), self.target / "docs" / "images" / "ranks.svg"
        write_orders(self.compared, folder, image)
        self.wrote.append(f"{folder}/ranks.*, {image}")

    def faithfulness(self) -> None:
        """Measure the faithfulness of the runs on generated splits, and of one method's every word.

        Raises:
            InputError: The checkout has uncommitted changes, and this is no draft; or what was measured
                can't be published.
        """
        self._check_clean()
        planned = generated_splits(jobs(self.only, self.methods, self.limit))
        for dataset, methods in planned.items():
            found = measure_runs(
                self.work, dataset, methods, limit=self.limit, restart=self.restart, engine=self.engine
            )
            if found is None:
                continue
            whole = generated_splits(jobs([dataset]))[dataset]
            if not self.draft and any(whole[split] != chosen for split, chosen in methods.items()):
                say(f"note: nothing published of {dataset}: that takes all methods")
                continue
            self._publish_faithfulness(found, FAITHFULNESS)
            if dataset == SHIPPED and methods == whole:
                self._show_faithfulness(found)
        if BASELINE in planned.get(SHIPPED, {}).get(WORDS_SPLIT, ()):
            found = measure_words(
                self.work, SHIPPED, limit=self.limit, restart=self.restart, engine=self.engine
            )
            self._publish_faithfulness(found, BY_WORD)

    def _publish_faithfulness(self, found: Faithfulness, name: str) -> None:
        """Write a report; splits that were published before and not measured now stay in it."""
        if not self.draft:
            check_faithfulness(found)
        dataset = found.report.dataset
        folder = self.results_of(dataset)
        write_scores(folder, with_published(found.report, self._published(dataset, name)), name)
        self.wrote.append(f"{folder}/{name}.json, .md")

    def _show_faithfulness(self, found: Faithfulness) -> None:
        """Write what only the shipped dataset has: the figure of disagreements, the entries' records."""
        image = self.target / IMAGES / DISAGREEMENTS
        if write_disagreements(found.splits, image):
            self.wrote.append(str(image))
        if not found.report.partial:
            records = self.target / VERIFIED
            made = write_entry_records(found, self.target / ENTRIES, records)
            self.wrote.append(f"{records}/: faithfulness of {len(made)} entries")

    def _published(self, dataset: str, name: str) -> FaithfulnessReport | None:
        path = self.results_of(dataset) / f"{name}.json"
        return read_faithfulness(path) if path.exists() else None

    def texts(self) -> None:
        """Write the marked parts of the pages; without runs on the shipped dataset, those that need none."""
        ran = any((self.work / SHIPPED).glob("*/*/predictions.jsonl"))
        if not ran:
            say(f"note: without runs on {SHIPPED} only the parts that are made of published reports")
        published = {dataset: self._published(dataset, FAITHFULNESS) for dataset in DATASETS}
        facts = Facts(
            self.recorded if ran else {},
            self.compared if ran else None,
            {dataset: report for dataset, report in published.items() if report is not None},
            self._published(SHIPPED, BY_WORD),
            (self.target / IMAGES / DISAGREEMENTS).exists(),
        )
        for page in PAGES:
            names = fill(ROOT / page, facts, to=self.target / page)
            self.wrote.append(f"{self.target / page}: {', '.join(names) or 'no part'}")

    def figures(self) -> None:
        """Make those images of README and docs again that take no more than minutes."""
        self.wrote += make_figures(self.work, self.target, entries=self.target / ENTRIES)

    def analyses(self) -> None:
        """Make the images of the analyses again."""
        self.wrote += make_analyses(self.work, self.target, limit=self.limit)
