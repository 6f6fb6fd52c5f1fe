"""The public names, and what their docstrings and the package's layers owe."""

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpy.testing import assert_equal

import skdiv
import skdiv.datasets

PUBLIC = [(skdiv, name) for name in skdiv.__all__] + [(skdiv.datasets, name) for name in skdiv.datasets.__all__]
METHODS = [skdiv.DivergenceClustering.fit, skdiv.DivergenceClustering.predict, skdiv.DivergenceClustering.transform]
PACKAGE = Path(skdiv.__file__).parent
LAYERS = [
    "_version", "_terms", "_memory", "_distributions", "_forms", "_divergence", "_blas", "_tiles", "_kernels",
    "pairwise", "_sklearn", "_linkage", "_information", "_graph", "_trees", "_significance",
    "homogeneity", "centroids", "cluster", "_show_versions",
]  # fmt: skip


def test_all_lists_exactly_the_public_names():
    public = {name for name, value in vars(skdiv).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert_equal(sorted(skdiv.__all__), sorted(public))


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda value: value if isinstance(value, str) else "")
def test_docstrings_have_a_reference_and_examples_that_run(module, name):
    thing = getattr(module, name)
    text = inspect.getdoc(thing)
    assert "Examples\n--------" in text
    assert "Returns\n-------" in text or inspect.isclass(thing)
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(thing, name)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


@pytest.mark.parametrize(
    "function", [getattr(module, name) for module, name in PUBLIC] + METHODS, ids=lambda function: function.__qualname__
)
def test_docstrings_describe_exactly_the_parameters(function):
    parameters = [name for name in inspect.signature(function).parameters if name != "self"]
    text = inspect.getdoc(function)
    section = re.search(r"Parameters\n-+\n(.*?)(\n\n[A-Z]\w+( \w+)?\n-+\n|\Z)", text, flags=re.DOTALL)
    described = re.findall(r"^(\w[\w, ]*) :", section[1], flags=re.MULTILINE) if section else []
    assert [name for names in described for name in names.split(", ")] == parameters


def test_no_module_imports_one_that_comes_after_it():
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if layer not in LAYERS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("skdiv"):
                parts = [*node.module.split(".")[1:], *(alias.name for alias in node.names)]
                assert LAYERS.index(parts[0]) <= LAYERS.index(layer), f"{path.name} imports {parts[0]}"


def test_private_helpers_of_scikit_learn_are_imported_in_one_module():
    private = re.compile(r"from sklearn[\w.]*(\._\w+)[\w.]* import|from sklearn[\w.]* import .*\b_\w")
    users = [path.name for path in PACKAGE.rglob("*.py") if private.search(path.read_text(encoding="utf-8"))]
    assert users == ["_sklearn.py"]


def test_every_module_is_in_the_layers_or_a_package():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} | {"_kernels"}
    assert modules == set(LAYERS)
    for name in modules:
        importlib.import_module(f"skdiv.{name}")
