"""From rows by way of summaries to clusters, and what each step loses of the information about the bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skdiv._input.distributions import Distributions
from skdiv._utils.typing import Labels
from skdiv.cluster._collection import Collection
from skdiv.cluster._refinement import refined
from skdiv.cluster._summaries import Summaries, Tree

_EPS = float(np.finfo(np.float64).eps)


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
        What the clusters lose of the total in the end, after refinement.
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
    return information if information > (_EPS * (3 + n / 2)) ** 2 * rows.masses.sum() else 0.0


def clusters_of_rows(
    rows: Collection, summaries: Summaries, of_rows: Labels, total: float, n_clusters: int, n_passes: int
) -> Clusters:
    """Merge summaries into clusters, and refine these by so many passes over the rows.

    ``of_rows`` says which summary each row belongs to, and ``total`` is the information of the rows, times their mass.
    """
    tree = Tree.of(summaries, rows)
    labels = refined(rows, tree.labels(n_clusters)[of_rows], n_clusters, n_passes)
    centers = rows.means(labels, n_clusters)
    total, compressing, lost = (part / summaries.mass for part in (total, summaries.lost, rows.lost(labels, centers)))
    return Clusters(summaries, labels, centers, Information(total, compressing, tree.lost(n_clusters), lost))


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
    labels = refined(rows, of_union[first], n_clusters, n_passes)
    centers = rows.means(labels, n_clusters)
    compressing = summaries.lost / summaries.mass
    lost = compressing + rows.lost(labels, centers) / summaries.mass
    information = Information(total, compressing, tree.lost(n_clusters) - tree.lost(n), lost)
    return Clusters(summaries, labels, centers, information)
