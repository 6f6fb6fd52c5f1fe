"""Bregman k-means: rows go to the nearest center by KL(row ‖ center), and centers are the means of their rows.

Each of the two steps lowers what the clusters lose of the information about the bins, or leaves it as it is:
A. Banerjee et al., "Clustering with Bregman Divergences", JMLR 6 (2005); I. S. Dhillon, S. Mallela and R. Kumar, "A
Divisive Information-Theoretic Feature Clustering Algorithm for Text Classification", JMLR 3 (2003).
"""

from __future__ import annotations

import numpy as np

from skdiv._utils.typing import FloatArray, Labels
from skdiv.cluster._collection import Collection


def refined(collection: Collection, labels: Labels, n_clusters: int, n_passes: int) -> Labels:
    """Return labels of the rows after so many passes at most; they end when no row changes its cluster."""
    for _ in range(n_passes):
        before = labels
        nearest, distances = collection.nearest(labels, collection.means(labels, n_clusters))
        labels = _without_empty(nearest, collection.masses * distances, n_clusters)
        if np.array_equal(labels, before):
            break
    return labels


def _without_empty(labels: Labels, losses: FloatArray, n_clusters: int) -> Labels:
    """Move into each cluster without rows the row that loses the most in its own, which must have others.

    ``losses`` are the masses of the rows times their divergences from their centers. There have to be as many rows as
    clusters.
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    for empty in np.flatnonzero(sizes == 0):
        row = int(np.where(sizes[labels] > 1, losses, -1).argmax())
        sizes[labels[row]] -= 1
        labels[row], sizes[empty], losses[row] = empty, 1, 0
    return labels
