"""The docstrings pass the checks of numpydoc, and the site's reference has a page for each public name."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from test_public import PUBLIC

REFERENCE = Path(__file__).parents[1] / "docs" / "api" / "index.rst"
NOT_ASKED = {
    "GL01",  # the summary stands in the line of the quotes, as ruff has it (D212)
    "ES01",  # a summary that says all needs no further text
}
KINDS = (classmethod, property, staticmethod)
NOT_ASKED_OF_METHODS = {
    "SA01",  # the methods of a class stand beside each other
    "EX01",  # the example of the class calls them
}


def methods_of(thing):
    """Return the names of the public methods and properties that a class of ours has from a module of ours.

    scikit-learn writes the docstrings of ``set_fit_request`` and the like.
    """
    names = []
    for owner in inspect.getmro(thing):
        if owner.__module__.startswith("skdiv"):
            names += [name for name, member in vars(owner).items() if callable(member) or isinstance(member, KINDS)]
    fields = getattr(thing, "__dataclass_fields__", {})
    return sorted({name for name in names if not name.startswith("_") and not name.endswith("_request")} - set(fields))


NAMES = [f"{module.__name__}.{name}" for module, name in PUBLIC]
METHODS = [
    f"{module.__name__}.{name}.{method}"
    for module, name in PUBLIC
    if inspect.isclass(getattr(module, name))
    for method in methods_of(getattr(module, name))
]


def complaints(name, not_asked):
    from numpydoc.validate import validate

    return [(code, message) for code, message in validate(name)["errors"] if code not in not_asked]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_numpydoc_accepts_the_docstring_of_each_public_name(name):
    assert complaints(name, NOT_ASKED) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", METHODS)
def test_numpydoc_accepts_the_docstring_of_each_method(name):
    assert complaints(name, NOT_ASKED | NOT_ASKED_OF_METHODS) == []


def test_the_methods_are_found():
    assert {
        "skdiv.HomogeneityResult.adjusted",
        "skdiv.DivergenceClustering.cut",
        "skdiv.dask.MiniBatchDivergenceClustering.partial_fit",
        "skdiv.plotting.ClusterMapDisplay.from_estimator",
    } <= set(METHODS)


@pytest.mark.exhaustive
def test_only_checks_that_exist_are_not_asked():
    from numpydoc.validate import ERROR_MSGS

    assert set(ERROR_MSGS) >= NOT_ASKED | NOT_ASKED_OF_METHODS


@pytest.mark.exhaustive
def test_a_docstring_that_says_too_little_is_found(monkeypatch):
    module = importlib.import_module("skdiv")
    monkeypatch.setattr(module.entropy, "__doc__", "Return the entropy.\n\n    Parameters\n    ----------\n    X\n    ")
    assert {"PR01", "RT01", "EX01", "SA01"} <= {code for code, _ in complaints("skdiv.entropy", NOT_ASKED)}


def test_the_reference_has_each_public_name_once():
    listed, module = [], None
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = importlib.import_module(line.split()[-1])
        elif re.fullmatch(r"   \w+", line):
            listed.append(getattr(module, line.strip()))
    assert len(listed) == len({id(thing) for thing in listed})
    assert {id(thing) for thing in listed} == {id(getattr(module, name)) for module, name in PUBLIC}
