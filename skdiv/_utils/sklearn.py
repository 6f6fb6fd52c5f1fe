"""All that skdiv imports from private modules of scikit-learn, in one place, where a change of theirs is to be met.

What is in `sklearn.cluster` is imported where it is used, for its import takes a tenth of a second, which a program
that computes divergences alone need not spend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

from skdiv._utils.typing import FloatArray, Places

__all__ = [
    "HasMethods", "Interval", "StrOptions", "check_feature_names_in", "cut_tree", "fit_context", "get_chunk_n_rows",
    "tree_of_edges",
]  # fmt: skip

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator for `fit`, which checks the parameters; here it keeps the type of the method."""
    decorator = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)
    return cast("Callable[[Method], Method]", decorator)


def cut_tree(n_clusters: int, children: Places, n_leaves: int) -> NDArray[np.intp]:
    """Return the cluster of each leaf of a tree that is cut into so many clusters."""
    from sklearn.cluster._agglomerative import _hc_cut

    labels: NDArray[np.intp] = _hc_cut(n_clusters, children, n_leaves)
    return labels


def tree_of_edges(edges: FloatArray) -> FloatArray:
    """Return SciPy's linkage matrix for the ascending edges, each two nodes and a distance, of a spanning tree."""
    from sklearn.cluster._hierarchical_fast import single_linkage_label

    tree: FloatArray = single_linkage_label(edges)
    return tree
