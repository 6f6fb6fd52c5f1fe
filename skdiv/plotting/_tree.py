"""Where the links of a tree lie in a picture, and to which cluster each belongs.

SciPy's ``dendrogram`` computes the same coordinates (a test compares them), but calls itself for each level: it fails
on the chains of single linkage, which are more than a thousand levels deep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list

from skdiv._utils.typing import FloatArray, Labels, Places

MIXED = -1  # the cluster of a link that joins leaves of different clusters


@dataclass(frozen=True)
class TreeLayout:
    """The coordinates of a drawn tree: along its leaves, where leaf k lies at k + ½, and of the height.

    ``links``, of shape (n_links, 4, 2), are the corners of each link, and ``clusters`` the cluster of all its leaves or
    MIXED. ``leaves`` are the drawn leaves in their order, as nodes of the tree, and ``sizes`` their numbers of rows:
    more than one where merges are left out.
    """

    links: FloatArray
    clusters: Labels
    leaves: Places
    sizes: Places


def layout_of(tree: FloatArray, clusters: Labels, max_leaves: int | None = None) -> TreeLayout:
    """Lay out the last merges of a tree, as SciPy's Z: as many as leave ``max_leaves`` leaves, or all for None."""
    n = len(tree) + 1
    first = 0 if max_leaves is None else max(0, n - max_leaves)  # the first merge that is drawn
    children, sizes = tree[:, :2].astype(np.intp), np.append(np.ones(n), tree[:, 3]).astype(np.intp)
    drawn = children[first:]
    leaves = drawn[drawn < n + first]
    leaves = leaves[np.argsort(_first_places(tree)[leaves])]
    positions, heights = np.zeros(2 * n - 1), np.zeros(2 * n - 1)
    positions[leaves] = np.arange(len(leaves)) + 0.5
    heights[n + first :] = tree[first:, 2]
    for node, pair in enumerate(drawn, start=n + first):
        positions[node] = positions[pair].mean()
    left, right, top = drawn[:, 0], drawn[:, 1], heights[n + first :]
    corners = [(positions[left], heights[left]), (positions[left], top), (positions[right], top)]
    links = np.stack([np.stack(corner, axis=1) for corner in [*corners, (positions[right], heights[right])]], axis=1)
    return TreeLayout(links, clusters_of_nodes(tree, clusters)[n + first :], leaves, sizes[leaves])


def _first_places(tree: FloatArray) -> Places:
    """Return for each node the place of its first leaf in the order of the leaves."""
    n = len(tree) + 1
    places = np.empty(2 * n - 1, dtype=np.intp)
    places[leaves_list(tree)] = np.arange(n)
    for node, left in enumerate(tree[:, 0].astype(np.intp), start=n):
        places[node] = places[left]
    return places


def clusters_of_nodes(tree: FloatArray, clusters: Labels) -> Labels:
    """Return for each node, leaves first, the cluster of all its leaves, or MIXED if they are of different ones."""
    n = len(tree) + 1
    of_nodes = np.concatenate([clusters, np.full(n - 1, MIXED)]).astype(np.intp)
    for node, (left, right) in enumerate(tree[:, :2].astype(np.intp), start=n):
        if of_nodes[left] == of_nodes[right]:
            of_nodes[node] = of_nodes[left]
    return of_nodes


def cut_of(tree: FloatArray, clusters: Labels, threshold: float | None = None) -> float | None:
    """Return the height at which the clusters are cut off the tree, or None if no height separates all of them.

    It is the ``threshold`` if that separates them, else halfway between the highest merge within a cluster and the
    lowest between clusters. None is for clusters that are not those of a cut: where rows were moved after it, where the
    tree was cut at several heights, or where a merge is lower than one before it.
    """
    n = len(tree) + 1
    within = clusters_of_nodes(tree, clusters)[n:] != MIXED
    low, high = tree[within, 2].max(initial=0), tree[~within, 2].min(initial=np.inf)
    if within.all() or low > high or n - np.count_nonzero(within) != len(np.unique(clusters)):
        return None
    return float(threshold if threshold is not None and low <= threshold <= high else (low + high) / 2)
