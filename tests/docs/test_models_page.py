"""Each line of the models' page about what is right and what is refused names tests that are there."""

import ast
import re

from tests.docs.printed import ROOT


def lines():
    text = (ROOT / "docs" / "models.md").read_text()
    section = text[text.index("## What is right, and what is refused") :]
    return re.split(r"^- ", section, flags=re.MULTILINE)[1:]


def tests_there():
    found = set()
    for path in (ROOT / "tests" / "attribution").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.add(node.name)
    return found


def test_each_line_names_its_tests():
    there = tests_there()
    assert len(lines()) > 30
    for line in lines():
        named = re.findall(r"test_\w+", line)
        assert named, line
        assert set(named) <= there, line
        shown = re.sub(r"<!--.*?-->", "", line, flags=re.DOTALL)
        assert "test_" not in shown, line


def test_every_family_has_a_row():
    from daam_bench.attribution.architectures import architectures

    text = (ROOT / "docs" / "models.md").read_text()
    assert all(f"`{name}`" in text for name in architectures())
