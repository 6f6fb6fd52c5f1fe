"""The public names, and what their docstrings and the package's layers owe."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpy.testing import assert_equal

import skdiv
import skdiv.dask
import skdiv.datasets
import skdiv.embedding
import skdiv.explanations
import skdiv.models
import skdiv.neighbors
import skdiv.plotting
import skdiv.preprocessing
import skdiv.tables

MODULES = [
    skdiv,
    skdiv.dask,
    skdiv.datasets,
    skdiv.embedding,
    skdiv.explanations,
    skdiv.models,
    skdiv.neighbors,
    skdiv.plotting,
    skdiv.preprocessing,
    skdiv.tables,
]
PUBLIC = [(module, name) for module in MODULES for name in module.__all__]
METHODS = [getattr(skdiv.DivergenceClustering, name) for name in ("fit", "predict", "transform", "cut", "score")] + [
    getattr(estimator, name)
    for estimator in (skdiv.MiniBatchDivergenceClustering, skdiv.dask.MiniBatchDivergenceClustering)
    for name in ("fit", "partial_fit", "merge", "predict", "transform")
]
METHODS += [
    getattr(skdiv.preprocessing.HistogramTransformer, name)
    for name in ("fit", "transform", "fit_transform", "get_feature_names_out")
]
DISPLAYS = [getattr(skdiv.plotting, name) for name in skdiv.plotting.__all__]
METHODS += [
    getattr(display, name)
    for display in DISPLAYS
    for name in ("from_estimator", "from_matrix", "from_distributions", "plot")
    if hasattr(display, name)
]
# Their docstrings have no source to name.
WITHOUT_FORMULA = {"Divergence", "show_versions", *skdiv.plotting.__all__, *skdiv.tables.__all__}
PACKAGE = Path(skdiv.__file__).parent
# From the bottom up: no module imports one that comes after it. The package itself, which imports all, is the last.
LAYERS = [
    "_version",
    "_utils", "_utils.typing", "_utils.warnings", "_utils.optional",
    "_utils.progress", "_utils.sklearn", "_utils.blas", "_utils.memory",
    "_input", "_input.arrays", "_input.indices", "_input.names", "_input.mistakes",
    "_input.checks", "_input.distributions", "_input.blocks", "_input.weights", "_input.estimators",
    "_divergences", "_divergences.terms", "_divergences.forms", "_divergences.spectra", "_divergences.record",
    "_divergences.registry",
    "_compute", "_compute.shortlists", "_compute.kernels", "_compute.kernels.numpy", "_compute.kernels.numba_terms",
    "_compute.kernels.numba_log", "_compute.kernels.numba_search", "_compute.kernels.numba",
    "_compute.kernels.merging", "_compute.blocks.termwise", "_compute.blocks.centered", "_compute.blocks.pairs",
    "_compute.blocks.products",
    "_compute.blocks.weighted", "_compute.blocks", "_compute.run", "_compute.tiles", "_compute.measure",
    "_compute.screens", "_compute.graphs", "_compute.search", "_compute.duplicates", "_compute.spanning",
    "_compute.centers",
    "_compute.noncentral", "_compute.jackknife", "_compute.exchange", "_compute.estimates",
    "_trees", "_trees.linkage", "_trees.rounds", "_trees.cut", "_trees.graph", "_trees.information", "_trees.build",
    "_significance", "_significance.sequential", "_significance.heights", "_significance.nulls", "_significance.nodes",
    "datasets._languages", "datasets", "pairwise", "estimates", "tables", "chunked",
    "barycenters", "information", "explanations",
    "plotting._style", "plotting._tree", "plotting._dendrogram", "plotting._matrix", "plotting._cluster_map",
    "plotting._distributions", "plotting._information", "plotting",
    "embedding", "neighbors",
    "homogeneity",
    "significance",
    "preprocessing._observations", "preprocessing._blocks", "preprocessing._bins", "preprocessing._histogram",
    "preprocessing",
    "models._matrix", "models._gaussians", "models._sequences", "models._markov", "models._samples", "models._mixtures",
    "models._wasserstein", "models",
    "cluster._prediction", "cluster._combinations", "cluster._collection", "cluster._refinement", "cluster._summaries",
    "cluster._reduction", "cluster._blocks", "cluster._fitting", "cluster._report", "cluster._scoring",
    "cluster._agglomerative", "cluster._minibatch", "cluster", "dask._graph", "dask._files", "dask._clustering",
    "dask._neighbors", "dask",
    "_show_versions", "",
]  # fmt: skip


def test_all_lists_exactly_the_public_names():
    public = {name for name, value in vars(skdiv).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert_equal(sorted(skdiv.__all__), sorted(public))


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda value: value if isinstance(value, str) else "")
def test_docstrings_have_a_reference_and_examples(module, name):
    """Pytest itself runs the examples, with those of methods and of private modules."""
    thing = getattr(module, name)
    text = inspect.getdoc(thing)
    assert ("References\n----------" in text) == (name not in WITHOUT_FORMULA)
    assert "Examples\n--------" in text
    assert "Returns\n-------" in text or inspect.isclass(thing)
    assert "\n>>> " in text


@pytest.mark.parametrize(
    "function", [getattr(module, name) for module, name in PUBLIC] + METHODS, ids=lambda function: function.__qualname__
)
def test_docstrings_describe_exactly_the_parameters(function):
    parameters = [name for name in inspect.signature(function).parameters if name != "self"]
    text = inspect.getdoc(function)
    section = re.search(r"Parameters\n-+\n(.*?)(\n\n[A-Z]\w+( \w+)?\n-+\n|\Z)", text, flags=re.DOTALL)
    described = re.findall(r"^(\w[\w, ]*) :", section[1], flags=re.MULTILINE) if section else []
    assert [name for names in described for name in names.split(", ")] == parameters


def name_of(path):
    """The module in a file, below ``skdiv``; that of the package itself is empty."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def imported_modules(source, package=""):
    """The modules of ours that a source in a package imports; both are named without ``skdiv``.

    A name that is imported from a package may be a module of it.
    """
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["skdiv", *filter(None, package.split("."))][: -node.level + 1 or None] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            members = [f"{origin}.{alias.name}" for alias in node.names]
            modules = [member for member in members if member.removeprefix("skdiv.") in LAYERS]
            names += modules if len(modules) == len(members) else [origin, *modules]
    ours = [name for name in names if name.split(".")[0] == "skdiv"]
    return [name.removeprefix("skdiv").removeprefix(".") for name in ours]


@pytest.mark.parametrize("path", PACKAGE.rglob("*.py"), ids=name_of)
def test_no_module_imports_one_that_comes_after_it(path):
    name = name_of(path)
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for imported in imported_modules(path.read_text(encoding="utf-8"), package):
        assert LAYERS.index(imported) < LAYERS.index(name), f"{name or 'skdiv'} imports {imported or 'skdiv'}"


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("import numpy, skdiv.cluster", "", ["cluster"]),
        ("import skdiv.cluster as c", "", ["cluster"]),
        ("import skdiv", "", [""]),
        ("from skdiv import cluster", "", ["cluster"]),
        ("from skdiv import DivergenceClustering", "", [""]),
        ("from skdiv import cluster, DivergenceClustering", "", ["", "cluster"]),
        ("from skdiv.cluster import DivergenceClustering", "", ["cluster"]),
        ("from skdiv._compute import Thing, kernels", "", ["_compute", "_compute.kernels"]),
        ("from .cluster import DivergenceClustering", "", ["cluster"]),
        ("from . import cluster", "", ["cluster"]),
        ("from . import kernels", "_compute", ["_compute.kernels"]),
        ("from .kernels import load", "_compute", ["_compute.kernels"]),
        ("from .. import cluster", "_compute", ["cluster"]),
        ("from ..cluster import DivergenceClustering", "_compute", ["cluster"]),
        ("def f():\n    from skdiv import cluster", "", ["cluster"]),
        ("import skdivergence\nfrom sklearn import base", "", []),
    ],
)
def test_imports_of_every_kind_are_seen(source, package, expected):
    assert imported_modules(source, package) == expected


def test_private_helpers_of_scikit_learn_are_imported_in_one_module():
    private = re.compile(r"from sklearn[\w.]*(\._\w+)[\w.]* import|from sklearn[\w.]* import .*\b_\w")
    users = [path.name for path in PACKAGE.rglob("*.py") if private.search(path.read_text(encoding="utf-8"))]
    assert users == ["sklearn.py"]


def test_every_module_has_its_place_in_the_layers():
    assert sorted(LAYERS) == sorted(map(name_of, PACKAGE.rglob("*.py")))
    for name in LAYERS:
        importlib.import_module(f"skdiv.{name}".rstrip("."))
