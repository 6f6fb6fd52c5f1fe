"""What a fit of `DivergenceClustering` does with its checked input: rows, tree, cut, and what describes the clusters.

The functions take the estimator for its parameters, and leave it as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_memory

from skdiv._compute.measure import Measure, check_symmetrize
from skdiv._divergences.registry import resolve
from skdiv._input.blocks import Blocks
from skdiv._input.distributions import Distributions, normalise
from skdiv._input.names import Names
from skdiv._significance.heights import TreeHeights
from skdiv._trees.build import Linkage, is_cacheable, tree_of_distances, tree_of_rows
from skdiv._trees.cut import AtDistance, IntoClusters, Rule
from skdiv._trees.graph import check_connectivity
from skdiv._trees.information import information_curve
from skdiv._utils.progress import stage
from skdiv._utils.typing import FloatArray, Labels
from skdiv._version import __version__
from skdiv.barycenters import centers_of, memory_for_centers
from skdiv.cluster._collection import Collection
from skdiv.cluster._combinations import is_precomputed
from skdiv.cluster._prediction import FromDistances, FromRows, Members
from skdiv.cluster._refinement import refined
from skdiv.significance import Significance, cut_of, observed_rows


@dataclass(frozen=True)
class Given:
    """The checked input of a fit: the rows, how messages name them, their masses and blocks, and the linkage.

    ``learned`` holds the fitted attributes that follow from X alone, such as the number of columns.
    """

    X: Any
    names: Names
    masses: FloatArray | None
    blocks: Blocks | None
    linkage: Linkage
    learned: dict[str, Any]


def most_stages(estimator: Any) -> int:
    """Return how many stages of work a fit reports, at most: distances, tree, and what the parameters ask for."""
    asked = (estimator.connectivity is not None, _significance(estimator) is not None, bool(estimator.refine))
    return 2 + sum(asked)


def fitted_attributes(estimator: Any, given: Given) -> dict[str, Any]:
    """Return the fitted attributes by their names."""
    rows, rule = _rows(estimator, given), _rule(estimator, given)
    tree = _tree(estimator, given, rows)
    labels, pvalues = rule(tree)
    labels = _refined(estimator, given, labels)
    of_tree, of_clusters = _of_tree(given, tree, pvalues), _of_clusters(estimator, given, rows, labels)
    shown = {"_base": estimator.base, "_distance_threshold": estimator.distance_threshold}  # by the displays
    return {**given.learned, **of_tree, **of_clusters, **shown}


def measure_of(estimator: Any) -> Measure:
    """Return the measure of the distance between two distributions that the parameters describe."""
    divergence = resolve(estimator.metric)
    symmetrize = check_symmetrize(divergence, estimator.symmetrize)
    return Measure(divergence, divergence._scale(estimator.base), symmetrize)


def _rows(estimator: Any, given: Given) -> Distributions | None:
    """Return the distributions, unless X holds distances."""
    if is_precomputed(estimator.metric):
        return None
    return normalise(given.X, pseudocount=estimator.pseudocount, names=given.names)


def _significance(estimator: Any) -> Significance | None:
    """Return the rule of significance if the number of clusters is to be found by one."""
    n_clusters = Significance() if estimator.n_clusters == "significant" else estimator.n_clusters
    return n_clusters if isinstance(n_clusters, Significance) else None


def _rule(estimator: Any, given: Given) -> Rule:
    """Return the rule by which the tree is to be cut."""
    if estimator.distance_threshold is not None:
        return AtDistance(estimator.distance_threshold)
    rule = _significance(estimator)
    if rule is not None:
        rows = observed_rows(
            rule, given.X, given.names, given.masses, given.blocks, with_empty_bins=estimator.pseudocount > 0
        )
        heights = TreeHeights(measure_of(estimator), given.linkage, float(estimator.pseudocount))
        return cut_of(rule, rows, heights, given.names, estimator.n_jobs)
    n_clusters = int(estimator.n_clusters)
    if not is_precomputed(estimator.metric):
        with memory_for_centers(n_clusters, given.X.shape[1], given.X.dtype):
            pass  # This refuses too many clusters before the tree is built.
    return IntoClusters(n_clusters)


def _tree(estimator: Any, given: Given, rows: Distributions | None) -> FloatArray:
    """Return the tree as SciPy's Z, from the cache of ``memory`` if it is there."""
    graph = check_connectivity(estimator.connectivity, given.X, given.linkage, given.masses, given.names)
    if rows is None:
        return tree_of_distances(given.X, given.masses, given.linkage, graph)
    measure = measure_of(estimator)
    cached = check_memory(estimator.memory).cache(tree_of_rows, ignore=["n_jobs", "names"])
    build: Callable[..., FloatArray] = cached if is_cacheable(measure.divergence) else tree_of_rows
    return build(rows, given.masses, measure, given.linkage, graph, __version__, estimator.n_jobs, given.names)


def _refined(estimator: Any, given: Given, labels: Labels) -> Labels:
    """Return the labels after the passes of ``refine``."""
    if not estimator.refine:
        return labels
    masses = np.ones(len(labels)) if given.masses is None else given.masses
    rows = Collection(given.X, masses, estimator.pseudocount, given.names, estimator.n_jobs)
    with stage("refinement"):
        return refined(rows, labels, int(labels.max()) + 1, int(estimator.refine))


def _of_tree(given: Given, tree: FloatArray, pvalues: FloatArray | None) -> dict[str, Any]:
    """Return the fitted attributes that describe the tree, by their names."""
    fitted: dict[str, Any] = {"linkage_": given.linkage, "linkage_matrix_": tree, "n_leaves_": len(tree) + 1}
    fitted |= {"children_": tree[:, :2].astype(np.int64), "distances_": tree[:, 2]}
    if given.linkage == "information":
        fitted["information_curve_"] = information_curve(tree[:, 2])
    if pvalues is not None:
        fitted["node_pvalues_"] = pvalues
    return fitted


def _of_clusters(estimator: Any, given: Given, rows: Distributions | None, labels: Labels) -> dict[str, Any]:
    """Return the fitted attributes that describe the clusters, by their names, among them the predictor."""
    n_clusters = int(labels.max()) + 1
    fitted = {
        "labels_": labels,
        "n_clusters_": n_clusters,
        "_n_features_out": n_clusters,
        "_row_labels": given.names.row_labels,
    }
    if rows is None:
        return {**fitted, "_predictor": FromDistances(Members.of(labels))}
    centers = centers_of(rows, given.masses, labels, n_clusters, estimator.center)
    measure = measure_of(estimator)
    predictor = FromRows.of(
        rows,
        labels,
        centers,
        measure,
        assign=estimator.assign,
        pseudocount=estimator.pseudocount,
        handle_empty=estimator.handle_empty,
    )
    return {**fitted, "cluster_centers_": centers, "_predictor": predictor, "_between": measure}
