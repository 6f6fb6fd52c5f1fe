"""From distributions, or their distances, to a tree: which algorithm builds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skdiv._checks import UNNAMED, Names
from skdiv._distributions import Distributions
from skdiv._divergence import Divergence, divergences
from skdiv._graph import connected_edges, tree_of_graph
from skdiv._information import information_tree
from skdiv._linkage import condensed_of_precomputed, condensed_position, linkage_matrix
from skdiv._terms import FloatArray
from skdiv.pairwise import BlockKernel

LINKAGES = ("average", "complete", "information", "single", "ward")
_INFORMATIONAL = ("kl", "js_divergence", "js_distance")


def check_linkage(linkage: str, divergence: Divergence) -> None:
    """Refuse a linkage that has no meaning for a divergence."""
    if linkage == "information" and divergence not in map(divergences().get, _INFORMATIONAL):
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


def tree_of_rows(
    rows: Distributions,
    masses: FloatArray | None,
    kernel: BlockKernel,
    linkage: str,
    connectivity: Any,
    version: str,  # noqa: ARG001 (part of the key in a cache)
    n_jobs: int | None,
    names: Names = UNNAMED,
) -> FloatArray:
    """SciPy's Z of distributions, each of a mass."""
    if linkage == "information":
        return _information_tree(rows, masses, kernel, n_jobs)
    if connectivity is None:
        condensed = kernel.condensed(rows, n_jobs=n_jobs)
        _refuse_infinite(condensed, lambda place: condensed_position(place, len(rows)), kernel, names)
        return linkage_matrix(condensed, linkage, masses)
    edges = connected_edges(connectivity, lambda i, j: kernel.matrix(rows[i], rows[j], n_jobs=n_jobs))
    distances = kernel.paired(rows, rows, *edges, n_jobs=n_jobs)
    _refuse_infinite(distances, lambda place: (int(edges[0][place]), int(edges[1][place])), kernel, names)
    return tree_of_graph(len(rows), edges, distances, linkage)


def tree_of_distances(D: FloatArray, masses: FloatArray | None, linkage: str, connectivity: Any) -> FloatArray:
    """SciPy's Z of a user's square matrix."""
    condensed = condensed_of_precomputed(D)
    if connectivity is None:
        return linkage_matrix(condensed, linkage, masses)
    edges = connected_edges(connectivity, lambda i, j: D[np.ix_(i, j)])
    return tree_of_graph(len(D), edges, D[edges], linkage)


def _information_tree(
    rows: Distributions, masses: FloatArray | None, kernel: BlockKernel, n_jobs: int | None
) -> FloatArray:
    """With masses that sum to one, so that what all merges lose is the information between rows and bins."""
    masses = np.ones(len(rows)) if masses is None else masses
    tree = information_tree(rows, masses / masses.sum(), kernel.kernel, n_jobs=n_jobs)
    tree[:, 2] /= kernel.scale ** (1 / (kernel.divergence.base_exponent or 1))
    return tree


def _refuse_infinite(
    distances: FloatArray, pair: Callable[[int], tuple[int, int]], kernel: BlockKernel, names: Names
) -> None:
    """A tree has no place for an infinite distance."""
    infinite = np.isinf(distances)
    if infinite.any():
        i, j = pair(int(infinite.argmax()))
        raise ValueError(
            f"metric {kernel.divergence.name!r} is infinite between {names.row(i)} and {names.row(j)}, whose supports "
            "differ, and no tree can be built on infinite distances. Pass a pseudocount, or choose a bounded metric "
            "such as 'js_distance'."
        )
