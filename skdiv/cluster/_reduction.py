"""From rows by way of summaries to clusters, and what each step loses of the information about the bins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdiv._compute.blocks.weighted import rounding_of_mean
from skdiv._compute.measure import Measure
from skdiv._divergences.registry import resolve
from skdiv._input.distributions import Distributions, in_all_bins, in_used_bins
from skdiv._utils.progress import stage
from skdiv._utils.typing import Labels
from skdiv.cluster._collection import Collection
from skdiv.cluster._prediction import FromRows, HandleEmpty, predicted_by_parts
from skdiv.cluster._refinement import refined
from skdiv.cluster._summaries import Summaries, Tree, summarised

_SPARSE = 8  # centers with fewer entries than one in so many are held as sparse rows for prediction too
_ENOUGH = 0.001  # a gain in the share of the information at which more summaries are not tried


@dataclass(frozen=True)
class Information:
    """What is known of the information about the bins, in nats.

    Attributes
    ----------
    total : float
        The information of the rows.
    compressing, merging : float
        What the summaries lose of it, and what their merges into clusters lose further.
    lost : float
        What the clusters lose of the total in the end, after refinement: the mean of KL(row ‖ center of its cluster).
    """

    total: float
    compressing: float
    merging: float
    lost: float

    @property
    def regained(self) -> float:
        """Return what refinement has won back."""
        return self.compressing + self.merging - self.lost

    @property
    def retained(self) -> float:
        """Return the share of the total that the clusters retain; equal rows have nothing to lose."""
        return 1 - self.lost / self.total if self.total else 1.0


@dataclass(frozen=True)
class Clusters:
    """Clusters of rows, or of their summaries: the label of each, and the center of each cluster."""

    summaries: Summaries
    labels: Labels
    centers: Distributions
    information: Information


def total_information(rows: Collection, mean: Distributions) -> float:
    """Return the information about the bins, in nats times mass, or 0 where equal rows may seem to have it.

    Their mean is rounded at each of n additions, and entries that differ by a relative δ have less than δ² of it.
    """
    n = len(rows)
    information = rows.lost(np.zeros(n, dtype=np.intp), mean)
    return information if information > rounding_of_mean(n) ** 2 * rows.masses.sum() else 0.0


def best_of_sizes(
    rows: Collection, sizes: Iterator[int], n_clusters: int, n_passes: int, random_state: np.random.RandomState
) -> Clusters:
    """Return the clusters that retain the most information, of numbers of summaries that grow while it is worth while.

    ``n_passes`` is how many passes over the rows refine the clusters.
    """
    n_bins = rows.n_bins
    with stage("information"):
        rows, mean = rows.checked()
        total = total_information(rows, mean)
        rows, mean, used = _of_used_bins(rows, mean)
    found = list[Clusters]()
    for n_summaries in sizes:
        with stage("summaries"):
            summaries, of_rows = summarised(rows, mean, total, n_summaries, random_state)
        found.append(clusters_of_rows(rows, summaries, of_rows, total, n_clusters, n_passes))
        retained = [clusters.information.retained for clusters in found]
        if len(found) > 1 and retained[-1] - max(retained[:-1]) < _ENOUGH:
            break
    best = found[int(np.argmax(retained))]
    if used is None:
        return best
    summaries = replace(best.summaries, means=in_all_bins(best.summaries.means, used, n_bins))
    return replace(best, summaries=summaries, centers=in_all_bins(best.centers, used, n_bins))


def _of_used_bins(rows: Collection, mean: Distributions) -> tuple[Collection, Distributions, Any]:
    """Leave out the bins in which no row of CSR has mass, if there are many; the last result is None if not."""
    if not sp.issparse(rows.X) or rows.pseudocount or not mean.is_sparse:
        return rows, mean, None
    X, values = in_used_bins(rows.X, mean.values)
    if X is rows.X:
        return rows, mean, None
    used = np.unique(np.concatenate([rows.X.indices, mean.values.indices]))
    return replace(rows, X=X), Distributions(values), used


def clusters_of_rows(
    rows: Collection, summaries: Summaries, of_rows: Labels, total: float, n_clusters: int, n_passes: int
) -> Clusters:
    """Merge summaries into clusters, and refine these by so many passes over the rows.

    ``of_rows`` says which summary each row belongs to, and ``total`` is the information of the rows, times their mass.
    """
    tree = Tree.of(summaries, rows)
    with stage("refinement"):
        labels = refined(rows, tree.labels(n_clusters)[of_rows], n_clusters, n_passes)
    centers = rows.means(labels, n_clusters)
    total, compressing, lost = (part / summaries.mass for part in (total, summaries.lost, rows.lost(labels, centers)))
    return Clusters(summaries, labels, centers, Information(total, compressing, tree.lost(n_clusters), lost))


def assigned(clusters: Clusters, rows: Collection, predictor: FromRows) -> Clusters:
    """Return clusters of the rows that the predictor gives them, with what these lose beside the same centers."""
    nearest = predicted_by_parts(replace(predictor, handle_empty="label"), rows.X, rows.names, rows.n_jobs)
    labels = np.where(nearest < 0, clusters.labels, nearest)
    if np.array_equal(labels, clusters.labels):
        return clusters
    lost = rows.lost(labels, clusters.centers) / clusters.summaries.mass
    return replace(clusters, labels=labels, information=replace(clusters.information, lost=lost))


def clusters_of_summaries(
    union: Summaries, n_summaries: int, n_clusters: int, n_passes: int, n_jobs: int | None
) -> Clusters:
    """Merge summaries down to so many, and these into clusters; refine the clusters by passes over the summaries.

    The labels are those of the summaries that are left.
    """
    tree, n = Tree.of(union, union.as_collection(n_jobs)), min(n_summaries, len(union))
    total = union.lost / union.mass + tree.lost(1)
    groups, of_union = tree.labels(n), tree.labels(n_clusters)
    summaries = union.merged(groups, n, union.mass * tree.lost(n)) if n < len(union) else union
    _, first = np.unique(groups, return_index=True)
    rows = summaries.as_collection(n_jobs)
    with stage("refinement"):
        labels = refined(rows, of_union[first], n_clusters, n_passes)
    centers = rows.means(labels, n_clusters)
    compressing = summaries.lost / summaries.mass
    lost = compressing + rows.lost(labels, centers) / summaries.mass
    information = Information(total, compressing, tree.lost(n_clusters) - tree.lost(n), lost)
    return Clusters(summaries, labels, centers, information)


def fitted_attributes(
    result: Clusters, dtype: Any, *, base: float | None, pseudocount: float, handle_empty: HandleEmpty
) -> dict[str, Any]:
    """Return the fitted attributes that describe clusters and summaries, by their names, among them the predictor."""
    scale, information = resolve("kl")._scale(base), result.information
    centers = result.centers.dense().astype(dtype, copy=False)
    predictor = FromRows.of(
        result.centers,
        result.labels,
        centers,
        Measure(resolve("kl"), scale),
        assign="center",
        pseudocount=pseudocount,
        handle_empty=handle_empty,
    )
    if result.centers.is_sparse and _SPARSE * result.centers.values.nnz < centers.size:
        targets = result.centers.values.astype(dtype)
        targets.eliminate_zeros()  # Single precision may have made some.
        predictor = replace(predictor, targets=Distributions(targets))
    return {
        "n_clusters_": len(centers),
        "_n_features_out": len(centers),
        "cluster_centers_": centers,
        "summaries_": result.summaries.means.values,
        "summary_weights_": result.summaries.masses,
        "information_": information.total / scale,
        "information_lost_compressing_": information.compressing / scale,
        "information_lost_merging_": information.merging / scale,
        "information_regained_": information.regained / scale,
        "information_retained_": information.retained,
        "_predictor": predictor,
        "_summaries": result.summaries,
    }
