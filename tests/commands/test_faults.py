"""Commands that replace something, with a fault at any call of the file system: failure, interrupt, kill.

The old or the new is there whole, and the next start puts right what was left.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from daam_bench.cli import main
from daam_bench.datasets.load import load_split, load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.files import folders
from daam_bench.leaderboard.entries import load_entries
from daam_bench.scoring.saved_report import read_report
from tests.annotate.datasets import bare
from tests.files.injections import (
    CHANGES,
    PLACES,
    Injection,
    fail,
    inject,
    interrupt,
    no_exchange,
    written_files,
)
from tests.leaderboard.conftest import hard_run, hard_zip, soft_run, soft_zip  # noqa: F401
from tests.leaderboard.packed import DESCRIBED, FLAGS, members_of

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

METHOD = "tests.segmenters.methods:Gradient"
KILLED = 9
FEW = 6
"""How many calls are tried, besides those that put something in its place, where not all are."""


@dataclass
class Replacing:
    """A command, and what it replaces.

    Attributes:
        folder: The folder that all of it lies in.
        arguments: The command line.
        prepare: Makes what the command needs and replaces.
        state: What of it a reader sees, after he has done what a next start does.
        codes: The exit codes that the same command may end with after it was stopped.
    """

    folder: Path
    arguments: list[str]
    prepare: Callable[[], None]
    state: Callable[[], Any]
    codes: tuple[int, ...] = (0,)

    def begin(self) -> None:
        """Make the folder as it was before the command."""
        start = self.folder.with_name("start")
        if not start.exists():
            self.folder.mkdir()
            self.prepare()
            self.folder.rename(start)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(start, self.folder)


@pytest.fixture
def case(request, tiny_dataset, tmp_path) -> Replacing:
    return CASES[request.param](request, tiny_dataset, tmp_path / "work")


def accepting(request, dataset: Path, work: Path) -> Replacing:
    first, second = (request.getfixturevalue(name) for name in ("soft_zip", "hard_zip"))
    accept = ["submit", "accept", "--dataset", str(dataset), "--entries", str(work / "entries")]

    def state() -> Any:
        return [(entry.slug, contents(entry.folder)) for entry in load_entries(work / "entries")]

    return Replacing(
        work,
        [*accept, str(second), "--slug", "gradient", "--replace"],
        lambda: run([*accept, str(first)]),
        state,
    )


def building(request, dataset: Path, work: Path) -> Replacing:
    archive = request.getfixturevalue("hard_zip")
    entries = work / "entries"
    accept = ["submit", "accept", str(archive), "--dataset", str(dataset), "--entries", str(entries)]
    build = ["leaderboard", "build", "--dataset", str(dataset), "--entries", str(entries)]
    build += ["--out", str(work / "site")]

    def prepare() -> None:
        run(accept)
        run(build)
        (work / "site" / "index.html").write_text("an old one")
        (work / "site" / "CNAME").write_text("example.org")

    def state() -> Any:
        folders.put_right(work / "site")
        return contents(work / "site")

    return Replacing(work, build, prepare, state)


def proposing(request, dataset: Path, work: Path) -> Replacing:
    def prepare() -> None:
        whole = load_whole(dataset)
        write_dataset(work / "data", bare(whole.splits), whole.card)
        (work / "data" / "LICENCE").write_text("ours")

    return Replacing(
        work,
        ["propose", str(work / "data"), "--method", METHOD, "--batch-size", "3"],
        prepare,
        partial(dataset_state, work / "data"),
        # All was proposed before it was stopped.
        codes=(0, 2),
    )


def importing(request, dataset: Path, work: Path) -> Replacing:
    def prepare() -> None:
        whole = load_whole(dataset)
        write_dataset(work / "data", bare(whole.splits), whole.card)
        run(["export", str(dataset), "--format", "coco", "--output", str(work / "coco")])

    file = str(work / "coco" / "annotations" / "instances_coco_gen.json")
    return Replacing(
        work,
        ["import", file, "--into", str(work / "data"), "--by", "A. Person"],
        prepare,
        partial(dataset_state, work / "data"),
    )


def packing(request, dataset: Path, work: Path) -> Replacing:
    run_folder = request.getfixturevalue("soft_run")
    output = work / "mine.zip"
    pack = [
        "submit",
        "pack",
        str(run_folder),
        *DESCRIBED,
        *FLAGS,
        "--dataset",
        str(dataset),
        "--output",
        str(output),
    ]
    return Replacing(
        work,
        [*pack, "--name", "New"],
        lambda: run([*pack, "--name", "Old"]),
        lambda: members_of(output),
    )


def running(request, dataset: Path, work: Path) -> Replacing:
    options = ["run", "--dataset", str(dataset), "--method", METHOD, "--batch-size", "3"]
    arguments = [*options, "--output", str(work / "out")]

    def state() -> Any:
        if not (work / "out" / "report.json").exists():
            return None
        report = read_report(work / "out" / "report.json")
        lines = {path.name: path.read_bytes() for path in sorted((work / "out").glob("*/*.jsonl"))}
        return report.splits, lines

    return Replacing(work, arguments, lambda: None, state)


CASES = {
    "accept --replace": accepting,
    "leaderboard build": building,
    "propose": proposing,
    "import": importing,
    "submit pack": packing,
    "run": running,
}


def run(arguments: list[str]) -> None:
    assert main(arguments) == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def dataset_state(folder: Path) -> Any:
    load_split(folder, "coco_gen")
    return contents(folder)


def in_child(
    monkeypatch: pytest.MonkeyPatch, injection: Injection, arguments: list[str], log: Path
) -> tuple[int, str]:
    """Run the command in a process of its own; return its exit code and what it said to stderr."""
    log.with_suffix(".names").unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            # What is printed goes where no call is noted.
            sys.stdout = sys.stderr = log.open("w", buffering=1)
            # What a killed child leaves behind goes with the test's own folder.
            tempfile.tempdir = str(log.with_suffix(".scratch"))
            Path(tempfile.tempdir).mkdir(exist_ok=True)
            with ExitStack() as stack:
                stack.enter_context(written_files(monkeypatch, injection))
                code = inject_into(monkeypatch, injection, arguments)
            log.with_suffix(".names").write_text("\n".join(injection.names))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), log.read_text()


def inject_into(monkeypatch: pytest.MonkeyPatch, injection: Injection, arguments: list[str]) -> int:
    codes: list[int] = []
    inject(monkeypatch, injection, lambda: codes.append(main(arguments)), CHANGES)
    return codes[0]


def points(names: list[str], *, every: bool) -> list[int]:
    """Return at which calls to try: at all, or around those that put something in its place and at a few."""
    if every:
        return list(range(1, len(names) + 1))
    places = {at for at, name in enumerate(names, start=1) if name in PLACES}
    some = range(1, len(names) + 1, max(1, len(names) // FEW))
    return sorted({*some, *(at + step for at in places for step in (0, 1) if at + step <= len(names))})


def choices() -> Iterator[Any]:
    """Yield the combinations; those that take long are marked. Every call is tried for one command."""
    for case, how, calls, way in product(
        CASES, ("fail", "interrupt", "kill"), ("some", "every"), ("exchange", "two renames")
    ):
        every = calls == "every"
        if every and (case != "import" or way == "two renames"):
            continue
        takes_long = every or way != "exchange" or (case in ("run", "leaderboard build") and how != "kill")
        marks = [pytest.mark.slow] if takes_long else []
        yield pytest.param(case, how, every, way, id=f"{case}-{how}-{calls}-{way}", marks=marks)


@pytest.mark.parametrize(("case", "how", "every", "way"), choices(), indirect=["case"])
def test_the_old_or_the_new_is_there_and_the_next_start_puts_it_right(
    every, case, how, way, monkeypatch, tmp_path
):
    if way == "two renames":
        monkeypatch.setattr(folders, "_exchange", no_exchange)
    log = tmp_path / "said"
    case.begin()
    old = case.state()
    code, said = in_child(monkeypatch, Injection(fail, 0, after=False), case.arguments, log)
    assert code == 0, said
    new = case.state()
    assert new != old
    kept = sorted(path.name for path in case.folder.iterdir())
    names = log.with_suffix(".names").read_text().split()
    assert len(names) > 5
    act = {"fail": fail, "interrupt": interrupt, "kill": lambda: os._exit(KILLED)}[how]
    for at in points(names, every=every):
        place = f"call {at} of {len(names)}, {names[at - 1]}"
        case.begin()
        injection = Injection(act, at, after=how == "interrupt")
        code, said = in_child(monkeypatch, injection, case.arguments, log)
        assert "Traceback" not in said, f"{place}: {said}"
        assert code in {"fail": (0, 2), "interrupt": (0, 130), "kill": (0, KILLED)}[how], f"{place}: {said}"
        if code == 2:
            assert said.splitlines()[-1].startswith("error: "), f"{place}: {said}"
        assert case.state() in (old, new), place
        code, said = in_child(monkeypatch, Injection(fail, 0, after=False), case.arguments, log)
        assert code in case.codes, f"{place}: {said}"
        assert case.state() == new, place
        assert not list(case.folder.rglob(".*")), place
        assert sorted(path.name for path in case.folder.iterdir()) == kept, place
