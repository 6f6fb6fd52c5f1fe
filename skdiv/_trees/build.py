"""Choose the algorithm that builds a tree from distributions or from their distances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import numpy as np

from skdiv._compute.measure import Measure
from skdiv._compute.screens import has_screen
from skdiv._compute.spanning import spanning_tree
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, divergences
from skdiv._input.distributions import Distributions
from skdiv._input.names import UNNAMED, Names
from skdiv._trees.graph import connected_edges, tree_of_graph
from skdiv._trees.information import information_tree
from skdiv._trees.linkage import (
    bytes_of_linkage,
    check_square,
    condensed_of,
    condensed_position,
    linkage_matrix,
    tree_of_merges,
)
from skdiv._trees.rounds import bytes_of_rounds, is_for_rounds, tree_in_rounds
from skdiv._utils.memory import enough_memory
from skdiv._utils.progress import stage
from skdiv._utils.typing import FloatArray

Linkage = Literal["average", "complete", "information", "single", "ward"]
LINKAGES: tuple[Linkage, ...] = get_args(Linkage)
_MANY_ROWS = 8192  # from so many rows on, a minimum spanning tree is built faster without the matrix of all divergences
_SINGLE_NEEDS_LESS = "linkage='single', which needs less"
_INFORMATIONAL: tuple[MetricName, ...] = ("kl", "js_divergence", "js_distance")


def check_linkage(linkage: str, divergence: Divergence) -> None:
    """Refuse linkage by information, or ward, for a divergence for which it has no meaning."""
    if linkage == "information" and not _is_informational(divergence):
        legal = ", ".join(map(repr, _INFORMATIONAL))
        raise ValueError(
            f"linkage='information' is about Kullback-Leibler information, which metric {divergence.name!r} does not "
            f"measure. Use metric {legal}, or linkage='average', 'complete' or 'single'."
        )
    if linkage == "ward" and not divergence.hilbertian:
        legal = ", ".join(repr(name) for name, record in divergences().items() if record.hilbertian)
        raise ValueError(
            f"linkage='ward' minimises a Euclidean variance, but metric {divergence.name!r} is not known to be a "
            "Euclidean distance in a Hilbert space (its record says hilbertian=False). "
            f"Use metric {legal}, or linkage='average', 'complete' or 'single'."
        )


def resolved_linkage(linkage: Linkage | Literal["auto"], divergence: Divergence | None, *, on_graph: bool) -> Linkage:
    """Return the linkage that ``"auto"`` stands for, or the linkage itself.

    ``divergence`` is None for a user's own distances; ``on_graph`` says that there is a connectivity.
    """
    if linkage != "auto":
        return linkage
    return "ward" if divergence is not None and divergence.hilbertian and not on_graph else "average"


def is_cacheable(divergence: Divergence) -> bool:
    """Return whether a tree under a divergence may be taken from a cache.

    A cache knows a function by its name alone, and a user may have changed their own since the tree was stored.
    """
    functions = [divergence.term, divergence.finish, *filter(None, [divergence.rows])]
    return all(getattr(function, "__module__", "").startswith("skdiv.") for function in functions)


def _is_informational(divergence: Divergence) -> bool:
    """Return whether a divergence measures Kullback-Leibler information, as linkage by information does."""
    return divergence in [divergences()[name] for name in _INFORMATIONAL]


def tree_of_rows(
    rows: Distributions,
    masses: FloatArray | None,
    measure: Measure,
    linkage: str,
    connectivity: Any,
    version: str,  # noqa: ARG001 (part of the key in a cache)
    n_jobs: int | None,
    names: Names = UNNAMED,
) -> FloatArray:
    """Return the tree of distributions as SciPy's Z.

    ``masses`` are their weights, or None for equal ones. ``connectivity`` is None, or a graph in which only neighbours
    merge. ``names`` are used in messages.
    """
    if linkage == "information":
        return _information_tree(rows, masses, measure, n_jobs)
    if connectivity is None and linkage == "single" and _is_for_spanning_tree(measure, rows):
        with stage("distances"):
            i, j, lengths = spanning_tree(measure, rows, n_jobs)
        return tree_of_merges(np.column_stack([i, j]), lengths.astype(np.float64))
    if connectivity is None and len(rows) >= _MANY_ROWS and is_for_rounds(linkage, measure, rows):
        with _enough_memory_for_tree(bytes_of_rounds(rows), len(rows), linkage, _remedies(measure, rows, linkage)):
            return tree_in_rounds(linkage, rows, masses, measure, n_jobs)
    if connectivity is None:
        n_bytes = bytes_of_linkage(len(rows), linkage, masses)
        with _enough_memory_for_tree(n_bytes, len(rows), linkage, _remedies(measure, rows, linkage)):
            condensed = measure.condensed(rows, n_jobs=n_jobs)
            refuse_infinite(condensed, lambda place: condensed_position(place, len(rows)), measure, names)
            condensed = condensed.astype(np.float64, copy=False)  # Else SciPy would, and the float32 would stay too.
            return linkage_matrix(condensed, linkage, masses)
    with stage("connection"):
        edges = connected_edges(connectivity, lambda i, j: measure.matrix(rows[i], rows[j], n_jobs=n_jobs))
    distances = measure.paired(rows, rows, *edges, n_jobs=n_jobs)
    refuse_infinite(distances, lambda place: (int(edges[0][place]), int(edges[1][place])), measure, names)
    return tree_of_graph(len(rows), edges, distances, linkage)


def _is_for_spanning_tree(measure: Measure, rows: Distributions) -> bool:
    """Return whether a minimum spanning tree of rows is built faster without the matrix of their divergences."""
    divergence = measure.divergence
    return len(rows) >= _MANY_ROWS and divergence.symmetric and divergence.metric and has_screen(divergence, rows)


def tree_of_distances(D: FloatArray, masses: FloatArray | None, linkage: str, connectivity: Any) -> FloatArray:
    """Return the tree as SciPy's Z from a user's square matrix of distances, with weights of the rows or None."""
    check_square(D)
    if connectivity is None:
        remedies = [] if linkage == "single" else [_SINGLE_NEEDS_LESS]
        with _enough_memory_for_tree(bytes_of_linkage(len(D), linkage, masses), len(D), linkage, remedies):
            return linkage_matrix(condensed_of(D).astype(np.float64, copy=False), linkage, masses)
    edges = connected_edges(connectivity, lambda i, j: D[np.ix_(i, j)])
    return tree_of_graph(len(D), edges, D[edges], linkage)


def _enough_memory_for_tree(n_bytes: int, n: int, linkage: str, remedies: list[str]) -> AbstractContextManager[None]:
    """Return a context manager that raises MemoryError if a tree of n leaves needs more memory than is available.

    The check is made on entry, before the distances are computed. It counts the condensed distances and the copies of
    them that the linkage needs. The message names the first three of the remedies and of those that always help.
    """
    remedies = [*remedies, "a sample of the rows, and predict the others"]
    what = f"fit with X of {n} rows and linkage={linkage!r}"
    return enough_memory(n_bytes, what, f"Use {', or '.join(remedies[:3])}.")


def _remedies(measure: Measure, rows: Distributions, linkage: str) -> list[str]:
    """Return what to use instead of a linkage of rows for which there is too little memory, the best first."""
    remedies = []
    if _is_informational(measure.divergence):
        remedies = [
            "MiniBatchDivergenceClustering, which clusters summaries of the rows",
            "linkage='information', which holds no distances",
        ]
    if linkage != "single":
        others = [other for other in ("ward", "average") if other != linkage and len(rows) >= _MANY_ROWS]
        without = [other for other in others if is_for_rounds(other, measure, rows)]
        without += ["single"] * _is_for_spanning_tree(measure, rows)
        remedies += [f"linkage={other!r}, which holds no distances" for other in without] or [_SINGLE_NEEDS_LESS]
    return remedies


def _information_tree(
    rows: Distributions, masses: FloatArray | None, measure: Measure, n_jobs: int | None
) -> FloatArray:
    """Return the tree for linkage by information as SciPy's Z, in the units of the measure.

    The masses are divided by their sum, so that all merges together lose the information between rows and bins.
    """
    masses = np.ones(len(rows)) if masses is None else masses
    tree = information_tree(rows, masses / masses.sum(), measure.kernel, n_jobs=n_jobs)
    tree[:, 2] /= measure.scale ** (1 / (measure.divergence.base_exponent or 1))
    return tree


def refuse_infinite(
    distances: FloatArray, pair: Callable[[int], tuple[int, int]], measure: Measure, names: Names
) -> None:
    """Refuse infinite distances; ``pair(k)`` returns the two rows to which the distance at position k belongs."""
    infinite = np.isinf(distances)
    if infinite.any():
        i, j = pair(int(infinite.argmax()))
        raise ValueError(
            f"metric {measure.divergence.name!r} is infinite between {names.row(i)} and {names.row(j)}, whose supports "
            "differ, and no tree can be built on infinite distances. Pass a pseudocount, or choose a bounded metric "
            "such as 'js_distance'."
        )
