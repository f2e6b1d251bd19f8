"""The repository's address: `[project.urls]` in pyproject.toml is the place to set it, others repeat it."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
REPOSITORY = URLS["Repository"]
OWNER, NAME = REPOSITORY.removeprefix("https://github.com/").split("/")

REPEATED = ("README.md", "CONTRIBUTING.md", "CITATION.cff", "docs/look-inside.md")
"""The files that have to repeat the address: they can't read it elsewhere."""


def text_files() -> list[Path]:
    """Return the files that git tracks, or without git all of the places where people write."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.splitlines()]
    else:
        paths = [path for pattern in ("*.*", "docs/**/*.md", ".github/**/*") for path in ROOT.glob(pattern)]
    return [path for path in paths if path.suffix in {".md", ".cff", ".toml", ".yml", ".html", ".py", ""}]


def test_every_address_of_the_repository_is_that_of_the_project():
    address = re.compile(rf"https?://github\.com/([\w.-]+)/({re.escape(NAME)}|daam-bench)\b")
    found = {}
    for path in text_files():
        if path.is_file() and path != Path(__file__):
            for match in address.finditer(path.read_text(encoding="utf-8", errors="ignore")):
                found.setdefault(path.relative_to(ROOT).as_posix(), set()).add(match[0])
    assert found == {name: {REPOSITORY} for name in (*REPEATED, "pyproject.toml")}


@pytest.mark.parametrize("name", REPEATED)
def test_who_must_repeat_the_address_does(name):
    assert REPOSITORY in (ROOT / name).read_text(encoding="utf-8")


def test_the_other_addresses_of_the_project_follow_from_it():
    assert URLS["Issues"] == f"{REPOSITORY}/issues"
    assert URLS["Changelog"].startswith(f"{REPOSITORY}/blob/")
    assert URLS["Documentation"] == f"https://{OWNER}.github.io/{NAME}/"
    assert URLS["Leaderboard"] == f"https://{OWNER}.github.io/{NAME}/leaderboard/"


def test_code_owners_are_of_the_same_owner():
    lines = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    owners = {word for line in lines if not line.startswith("#") for word in line.split()[1:]}
    assert owners == {f"@{OWNER}/hosts"}
