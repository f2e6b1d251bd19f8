"""The README's Python runs as it stands there."""

import re
import sys
from pathlib import Path

from daam_bench.run import main

README = Path(__file__).parents[1] / "README.md"


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_looking_inside_leaves_an_overlay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = next(block for block in blocks() if "trace(" in block)
    exec(code.replace("num_inference_steps=50", "num_inference_steps=2"), {})
    assert (tmp_path / "boat.png").exists()


def test_the_example_method_is_scored(tmp_path, monkeypatch, capsys):
    code = next(block for block in blocks() if "class Centre" in block)
    (tmp_path / "my_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    output = tmp_path / "out"
    arguments = ["--method", "my_module:Centre", "--tau", "0.3,0.5", "--limit", "5", "--output", str(output)]
    assert main(arguments) == 0
    assert "unreal_gen" in capsys.readouterr().out
    sys.modules.pop("my_module")
