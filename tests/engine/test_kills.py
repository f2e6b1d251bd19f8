"""Workers and drivers killed at random moments: three of the kills that benchmarks/scale.py repeats."""

import subprocess
import sys
from pathlib import Path

import pytest

SCALE = Path(__file__).parents[2] / "benchmarks" / "scale.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_kills_change_no_byte():
    command = [sys.executable, str(SCALE), "--kills", "3", "--seed", "7"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("3 kills in ")
