"""What lies under tests/ is run: a test that is never collected cannot fail."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_every_test_file_and_every_doctest_is_collected():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = result.stdout.splitlines()
    collected = {line.split("::")[0] for line in lines if "::" in line}
    skipped = {
        word for line in lines if line.startswith("SKIPPED") for word in line.replace(":", " ").split()
    }
    assert result.returncode == 0, result.stdout[-2000:]
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    for top in ("daam_bench", "tools"):
        for path in (ROOT / top).rglob("*.py"):
            if ">>> " in path.read_text(encoding="utf-8"):
                there.add(path.relative_to(ROOT).as_posix())
    assert there - collected - skipped == set()
