"""`daam-bench submit` and `daam-bench leaderboard check` from the outside: three commands to an entry."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daam_bench.cli import main
from daam_bench.leaderboard.entries import load_entries
from daam_bench.scoring.saved_report import read_report
from tests.leaderboard.packed import edited, members_of, pack_run, write_folder, write_zip

FILE = "coco_gen/predictions.jsonl"


@pytest.fixture
def dataset(tiny_dataset):
    return ["--dataset", str(tiny_dataset)]


def test_run_pack_accept_and_the_entry_checks_out(soft_run, tiny_dataset, dataset, tmp_path, capsys):
    archive, entries = tmp_path / "gradient.zip", tmp_path / "entries"
    assert pack_run(tiny_dataset, soft_run, archive) == 0
    assert f"`daam-bench submit accept {archive}` enters it" in capsys.readouterr().out
    assert main(["submit", "check", str(archive), *dataset]) == 0
    assert "mIoU_inf" in capsys.readouterr().out
    assert main(["submit", "accept", str(archive), *dataset, "--entries", str(entries)]) == 0
    assert "commit it and open a pull request" in capsys.readouterr().out
    assert main(["leaderboard", "check", *dataset, "--entries", str(entries)]) == 0
    assert capsys.readouterr().out == "ok     gradient\nthe masks of all 1 score as their reports say\n"
    assert load_entries(entries)[0].report.splits == read_report(soft_run / "report.json").splits


def test_scores_in_a_submission_are_not_read(soft_members, soft_run, dataset, tmp_path):
    report = json.loads((soft_run / "report.json").read_text())
    report["splits"]["coco_gen"]["0.3"]["miou_inf"] = 1.0
    members = {**soft_members, "report.json": json.dumps(report).encode()}
    folder = write_folder(tmp_path / "submission", members)
    assert main(["submit", "accept", str(folder), *dataset, "--entries", str(tmp_path / "entries")]) == 0
    (entry,) = load_entries(tmp_path / "entries")
    assert entry.report.splits == read_report(soft_run / "report.json").splits


def test_an_entry_can_be_scored_again_from_itself(soft_zip, dataset, tmp_path):
    entries = ["--entries", str(tmp_path)]
    assert main(["submit", "accept", str(soft_zip), *dataset, *entries]) == 0
    (tmp_path / "gradient" / "report.json").write_text("{}")
    assert main(["leaderboard", "check", *dataset, *entries]) == 2
    assert main(["submit", "accept", str(tmp_path / "gradient"), *dataset, *entries, "--replace"]) == 0
    assert main(["leaderboard", "check", *dataset, *entries]) == 0


def test_problems_are_listed_and_the_exit_code_is_2(soft_members, dataset, tmp_path, capsys):
    members = dict(soft_members)
    members[FILE] = edited(members[FILE], 2, lambda record: record.update(id="nobody\x1b[2J"))
    path = write_zip(tmp_path / "wrong.zip", members)
    for command in (["check"], ["accept", "--entries", str(tmp_path / "entries")]):
        assert main(["submit", command[0], str(path), *dataset, *command[1:]]) == 2
        printed = capsys.readouterr()
        assert "\x1b" not in printed.out + printed.err
        assert len(printed.out.splitlines()) == 2
        assert printed.err == f"error: 2 things are wrong with {path}, listed above; fix them and try again\n"
    assert not (tmp_path / "entries").exists()


def test_a_run_of_a_part_is_not_packed(soft_run, tiny_dataset, tmp_path, capsys):
    run = shutil.copytree(soft_run, tmp_path / "run")
    rows = (run / FILE).read_bytes().splitlines(keepends=True)
    (run / FILE).write_bytes(b"".join(rows[:-1]))
    assert pack_run(tiny_dataset, run, tmp_path / "out.zip") == 2
    assert "no prediction of id 'coco-4', noun 1 at tau 0.4" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_of_one_split_is_not_packed(soft_run, tiny_dataset, tmp_path, capsys):
    shutil.copytree(soft_run / "unreal_gen", tmp_path / "run" / "unreal_gen")
    assert pack_run(tiny_dataset, tmp_path / "run", tmp_path / "out.zip") == 2
    assert "give the output folder of `daam-bench run` over both splits" in capsys.readouterr().err


def test_what_a_packer_says_is_checked_too(soft_run, tiny_dataset, tmp_path, capsys):
    options = ["--link", "javascript:alert(1)"]
    assert pack_run(tiny_dataset, soft_run, tmp_path / "out.zip", *options, name="\x1b[2J") == 2
    printed = capsys.readouterr()
    assert 'submission.json, "name": needs a letter a-z' not in printed.err
    assert "\x1b" not in printed.out + printed.err
    assert 'submission.json, "link": must be an http or https address' in printed.out


def test_packing_is_repeatable(soft_run, tiny_dataset, soft_zip, tmp_path):
    assert pack_run(tiny_dataset, soft_run, tmp_path / "again.zip") == 0
    assert members_of(tmp_path / "again.zip") == members_of(soft_zip)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["submit", "check", "nowhere.zip"], "no submission nowhere.zip; give a folder or a zip file"),
        (["submit", "check", "pyproject.toml"], "pyproject.toml is no whole zip file"),
        (["leaderboard", "check", "--entries", "nowhere"], "give --entries DIR"),
        (["submit"], "the following arguments are required: COMMAND"),
        (["submit", "pack", "x"], "the following arguments are required: --name"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(argv, expected, capsys):
    try:
        status = main(argv)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_help_loads_nothing_heavy():
    code = "import sys, daam_bench.cli as cli\ntry: cli.main(['submit', 'pack', '--help'])\n"
    heavy = {"torch", "numpy", "scipy", "pyarrow", "pydantic"}
    code += f"except SystemExit: pass\nprint(sorted({heavy} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--truth {none,thresholds,training}" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_the_workflow_installs_all_that_checking_entries_loads(soft_zip, dataset, tmp_path):
    assert main(["submit", "accept", str(soft_zip), *dataset, "--entries", str(tmp_path)]) == 0
    workflow = Path(".github/workflows/leaderboard.yml").read_text(encoding="utf-8")
    installed = re.search(r"pip install ((?:[a-z]+ ?)+)$", workflow, re.MULTILINE)[1].split()
    names = {"pillow": "PIL"}
    needs = ["annotated_types", "pydantic_core", "typing_extensions", "typing_inspection"]  # of pydantic
    taken = "cloudpickle"  # by pyarrow, where it is there
    allowed = {*(names.get(package, package) for package in installed), *needs, taken, "daam_bench"}
    code = f"""
import importlib.metadata, sys
before = set(sys.modules)
from daam_bench.cli import main
assert main({["leaderboard", "check", *dataset, "--entries", str(tmp_path)]!r}) == 0
tops = {{name.split(".")[0] for name in sys.modules.keys() - before}}
print(sorted(tops & importlib.metadata.packages_distributions().keys()))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(result.stdout.splitlines()[-1]))
    assert {"numpy", "pydantic"} <= loaded <= allowed
