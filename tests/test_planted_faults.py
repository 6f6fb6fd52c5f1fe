"""The faults that tools/planted_faults.py plants can be planted, and lie in all parts of the package."""

import runpy
from pathlib import Path

import pytest

import skdiv

PACKAGE = Path(skdiv.__file__).parent
TESTS = Path(__file__).parent
TOOL = runpy.run_path(str(TESTS.parent / "tools" / "planted_faults.py"))
FAULTS = TOOL["faults"]()
LARGE = 61  # lines of code; a module of so many or more has a fault of its own


def n_lines(path):
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in path.read_text("utf-8").split("\n"))


def test_the_source_of_each_fault_occurs_once_and_what_replaces_it_is_python():
    assert [each for fault in FAULTS for each in fault.obstacles((PACKAGE / fault.module).read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("source", "planted", "obstacle"),
    [("x = 1", "x = 2", "2 times"), ("y = 1", "y = 2", "0 times"), ("2", "2", "by itself"), ("2", "(", "no Python")],
)
def test_a_fault_that_cannot_be_planted_is_noticed(source, planted, obstacle):
    fault = TOOL["Fault"]("", "module.py", source, planted, [])
    assert obstacle in " ".join(fault.obstacles("x = 1\nx = 1\nz = 2\n"))


def test_each_folder_and_each_large_module_has_a_fault():
    modules = {path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    planted = {PACKAGE / fault.module for fault in FAULTS}
    assert {path.parent for path in modules} <= {path.parent for path in planted}
    assert {str(path) for path in modules - planted if n_lines(path) >= LARGE} == set()
    assert len(FAULTS) >= 70


def test_the_files_that_should_notice_a_fault_exist():
    assert {file for fault in FAULTS for file in fault.files if not (TESTS.parent / file).exists()} == set()
    assert all(fault.files for fault in FAULTS)
