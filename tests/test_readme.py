"""The README is true: its code is run, its table is the registry's, and its promises are those of the docstrings."""

import doctest
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_prints_what_it_says():
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert results.attempted > 10
    assert results.failed == 0


def test_the_table_of_divergences_is_the_registrys():
    tool = runpy.run_path(str(ROOT / "tools" / "readme_table.py"))
    assert tool["table"]() in README
    assert tool["with_table"](README) == README
    assert tool["with_table"](README.replace("| `chi2` |", "| `chi` |")) == README


def test_the_measured_table_is_there():
    (rows,) = re.findall(r"<!-- benchmark -->\n(.+)\n<!-- /benchmark -->", README, flags=re.DOTALL)
    measured = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "X @ L.T" in rows
    for row in filter(None, rows.split("\n")):
        assert row in measured


def test_the_picture_and_the_links_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target


@pytest.mark.parametrize("command", ["demo command", "test command"])
def test_the_two_commands_stand_where_the_checks_look_for_them(command):
    (block,) = re.findall(rf"<!-- {command} -->\n```bash\n(.+)\n```", README)
    assert block.startswith("python3 -m venv .venv && ")
