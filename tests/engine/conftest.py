"""What the tests of all engines are compared with."""

from pathlib import Path

import pytest

from daam_bench.run import main


@pytest.fixture(scope="session")
def whole(tiny_dataset, tmp_path_factory) -> Path:
    """The output of one process."""
    output = tmp_path_factory.mktemp("whole")
    options = ["--dataset", str(tiny_dataset), "--batch-size", "1", "--tau", "0.3,0.4"]
    method = ["--method", "tests.segmenters.methods:Gradient"]
    assert main([*options, *method, "--output", str(output)]) == 0
    return output
