"""`daam-bench push` from the outside, against a hub on this machine, and loading what it pushed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.splits.load import load_split
from tests.splits.fake_hub import TOKEN, FakeHub, fake_hub

ENDINGS = (".parquet", ".coco.json")
FILES = {"README.md", *(f"{split}{end}" for split in ("coco_gen", "unreal_gen") for end in ENDINGS)}


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def folder(tiny_dataset, tmp_path) -> Path:
    """The tiny dataset with a private note in its folder."""
    copy = Path(shutil.copytree(tiny_dataset, tmp_path / "tiny"))
    (copy / "notes.txt").write_text("not for the world")
    (copy / "work").mkdir()
    (copy / "work" / "draft.parquet").write_text("neither is this")
    return copy


@pytest.fixture
def in_shell(hub, tmp_path):
    """Run Python in a process that knows no hub but the one here."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
        environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1", **variables}
        return subprocess.run(
            [sys.executable, *arguments],
            env={name: value for name, value in environment.items() if value},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_what_is_pushed_is_loaded_at_its_commit(hub, folder, in_shell):
    done = in_shell("-m", "daam_bench", "push", str(folder), "someone/tiny", "--private")
    assert (done.returncode, done.stderr) == (0, "")
    assert hub.private["someone/tiny"]
    (_, commit) = hub.branches["someone/tiny", "main"]
    assert set(hub.commits[commit]) == FILES
    assert all(content == (folder / name).read_bytes() for name, content in hub.commits[commit].items())
    assert f"/datasets/someone/tiny/commit/{commit}" in done.stdout
    assert f'load_split("someone/tiny@{commit}", ...)' in done.stdout

    code = (
        "from daam_bench import load_split; from datasets import load_dataset\n"
        f"for name in ('someone/tiny', 'someone/tiny@{commit}'):\n"
        "    split = load_split(name, 'unreal_gen'); print(split.revision, split.fingerprint)\n"
    )
    loaded = in_shell("-c", code)
    assert loaded.stdout.splitlines() == [f"{commit} {load_split(folder, 'unreal_gen').fingerprint}"] * 2
    assert in_shell("-c", code, HF_HUB_OFFLINE="1").stdout == loaded.stdout


def test_to_a_branch_of_its_own(hub, folder, in_shell):
    for _ in range(2):
        done = in_shell("-m", "daam_bench", "push", str(folder), "someone/branched", "--revision", "v2")
        assert (done.returncode, done.stderr) == (0, "")
    assert hub.commits[hub.branches["someone/branched", "main"][-1]] == {}
    assert set(hub.commits[hub.branches["someone/branched", "v2"][-1]]) == FILES


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"HF_TOKEN": ""}, "error: not logged in to the hub; run `hf auth login`, or set HF_TOKEN"),
        ({"HF_TOKEN": "hf_other"}, "error: can't push to someone/none: your login may not write there"),
        (
            {"HF_ENDPOINT": "http://127.0.0.1:9"},
            "can't push to someone/none: the hub can't be reached",
        ),
        ({"HF_HUB_OFFLINE": "1"}, "error: the hub is switched off by HF_HUB_OFFLINE"),
    ],
)
def test_without_a_login_or_a_hub_one_line_says_so(hub, folder, in_shell, variables, line):
    done = in_shell("-m", "daam_bench", "push", str(folder), "someone/none", **variables)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert line in done.stderr
    assert "someone/none" not in hub.private


def test_a_dry_run_lists_what_would_go(folder, capsys):
    assert main(["push", str(folder), "someone/tiny", "--dry-run"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    sizes = {name: int(size.replace(",", "")) for size, name in (line.split() for line in lines)}
    assert sizes == {name: (folder / name).stat().st_size for name in FILES}
    assert last.split()[0] == f"{sum(sizes.values()):,}"


@pytest.mark.parametrize(
    ("spoil", "repo", "line"),
    [
        (lambda folder: None, "some one/tiny", "'some one/tiny' is no name for a dataset"),
        (lambda folder: (folder / "README.md").unlink(), "someone/tiny", "has no card"),
        (lambda folder: (folder / "coco_gen.parquet").write_text("x"), "someone/tiny", "read as Parquet"),
        (lambda folder: folder.rename(folder.parent / "gone"), "someone/tiny", "no folder"),
    ],
)
def test_what_is_no_dataset_does_not_go(folder, capsys, spoil, repo, line):
    spoil(folder)
    assert main(["push", str(folder), repo, "--dry-run"]) == 2
    assert line in capsys.readouterr().err
