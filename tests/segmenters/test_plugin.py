"""An outsider's method: in a package of its own, or as module:Class. No fork, no change here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daam_bench.scoring.saved_report import read_report

TESTS = Path(__file__).resolve().parents[1]
CENTRE = TESTS.parent / "examples" / "centre.py"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """The folder that the plugin package was installed into."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(TESTS / "plugin_package", folder / "source")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--target", folder / "site"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return folder / "site"


def daam_bench(*arguments: object, folder: Path, path: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "import sys, daam_bench.cli; sys.exit(daam_bench.cli.main())"]
    searched = [str(place) for place in (TESTS.parent, path) if place is not None]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(searched), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )


def test_an_installed_package_adds_its_method_to_the_list(plugin, tmp_path):
    assert "corner_method:Corner" in daam_bench("methods", folder=tmp_path, path=plugin).stdout
    assert "corner" not in daam_bench("methods", folder=tmp_path).stdout


def test_its_method_runs_by_name(plugin, tiny_dataset, tmp_path):
    options = ["--method", "corner", "--dataset", tiny_dataset, "--output", tmp_path / "out"]
    result = daam_bench("run", *options, folder=tmp_path, path=plugin)
    assert result.returncode == 0, result.stderr
    report = read_report(tmp_path / "out" / "report.json")
    assert (report.method, report.parameters) == ("corner", {"share": 0.5})
    assert report.splits["coco_gen"]["none"].coverage == 1


def test_the_ten_line_example_runs_from_its_folder(tiny_dataset, tmp_path):
    options = ["--method", "centre:Centre", "--dataset", tiny_dataset, "--tau", "0.3,0.5"]
    result = daam_bench("run", *options, "--output", tmp_path, folder=CENTRE.parent)
    assert result.returncode == 0, result.stderr
    report = read_report(tmp_path / "report.json")
    assert list(report.splits["unreal_gen"]) == ["0.3", "0.5"]
    assert report.splits["unreal_gen"]["0.3"].miou_inf > 0


def test_the_ten_line_example_has_ten_lines():
    code = CENTRE.read_text().split('"""')[2].splitlines()
    assert len([line for line in code if line.strip()]) <= 10
