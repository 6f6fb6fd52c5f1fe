"""From distances between distributions to a tree, and from the tree to labels. The algorithms are SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from skdiv._sklearn import cut_tree
from skdiv._terms import FloatArray

LINKAGES = ("average", "complete", "single", "ward")


def linkage_matrix(condensed: FloatArray, linkage: str) -> FloatArray:
    """SciPy's Z, from a finite condensed distance matrix."""
    tree: FloatArray = hierarchy.linkage(condensed, method=linkage)
    return tree


def labels_of(tree: FloatArray, n_clusters: int) -> NDArray[np.intp]:
    """Labels of the leaves when the last ``n_clusters`` − 1 merges are undone, numbered as in scikit-learn."""
    labels: NDArray[np.intp] = cut_tree(n_clusters, tree[:, :2].astype(np.intp), len(tree) + 1)
    return labels


def refuse_infinite(condensed: FloatArray, n: int, metric: str) -> None:
    """A tree has no place for an infinite distance."""
    infinite = np.isinf(condensed)
    if infinite.any():
        i, j = condensed_position(int(infinite.argmax()), n)
        raise ValueError(
            f"metric {metric!r} is infinite between X[{i}] and X[{j}], whose supports differ, and no tree can be built "
            "on infinite distances. Pass a pseudocount, or choose a bounded metric such as 'js_distance'."
        )


def condensed_position(index: int, n: int) -> tuple[int, int]:
    """Row and column of an entry of a condensed matrix."""
    starts = np.cumsum(np.arange(n - 1, 0, -1)) - np.arange(n - 1, 0, -1)
    row = int(np.searchsorted(starts, index, side="right")) - 1
    return row, row + 1 + index - int(starts[row])


def condensed_of_precomputed(D: FloatArray) -> FloatArray:
    """The upper triangle of a user's square matrix, once it is known to be a matrix of distances.

    Symmetry and a zero diagonal are asked for up to the rounding of a square root, relative to the largest entry.
    """
    _refuse_entries(D)
    n = len(D)
    if D.shape != (n, n):
        raise ValueError(f"A precomputed X must be square, a row and a column for each distribution; got {D.shape}.")
    tolerance = float(np.sqrt(np.finfo(D.dtype).eps)) * float(D.max())
    diagonal = np.abs(np.diagonal(D))
    if (diagonal > tolerance).any():
        i = int(diagonal.argmax())
        raise ValueError(
            f"Precomputed X[{i}, {i}] = {D[i, i]}, but the distance of a distribution to itself is 0. "
            "Is X a similarity? Then pass the distances."
        )
    for i in range(n - 1):
        off = np.abs(D[i, i + 1 :] - D[i + 1 :, i])
        if off.max() > tolerance:
            j = i + 1 + int(off.argmax())
            raise ValueError(
                f"Precomputed X is not symmetric: X[{i}, {j}] = {D[i, j]}, X[{j}, {i}] = {D[j, i]}. "
                "Symmetrise it first, for instance with (X + X.T) / 2."
            )
    condensed: FloatArray = squareform(D, force="tovector", checks=False)
    return condensed


def _refuse_entries(D: FloatArray) -> None:
    for i, row in enumerate(D):
        bad = ~(np.isfinite(row) & (row >= 0))
        if bad.any():
            j = int(bad.argmax())
            kind = "Negative values in data" if row[j] < 0 and np.isfinite(row[j]) else "NaN or inf"
            raise ValueError(
                f"{kind} passed to X: precomputed X[{i}, {j}] = {row[j]}. Distances are finite and not negative; "
                "a pseudocount or a bounded divergence keeps them finite."
            )


def as_children(tree: FloatArray) -> NDArray[Any]:
    """The merged pairs as integers, as `AgglomerativeClustering.children_`."""
    return tree[:, :2].astype(np.int64)
