"""Rules by which a tree is cut into clusters. A rule is called with a tree, as SciPy's Z, and returns a `Cut`."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import NamedTuple, Protocol

import numpy as np
from sklearn.utils import check_scalar

from skdiv._utils.sklearn import cut_tree
from skdiv._utils.typing import FloatArray, Labels


class Cut(NamedTuple):
    """The label of each leaf, and the p-value of each node if the rule tests nodes, else None."""

    labels: Labels
    pvalues: FloatArray | None = None


class Rule(Protocol):
    """The interface of a rule, which decides where a tree is cut."""

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree into clusters, and return their labels."""


@dataclass(frozen=True)
class IntoClusters:
    """The rule that undoes the last merges until there are ``n_clusters`` clusters."""

    n_clusters: int

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree into clusters that are numbered as in scikit-learn."""
        return Cut(cut_tree(self.n_clusters, tree[:, :2].astype(np.intp), len(tree) + 1))


@dataclass(frozen=True)
class AtDistance:
    """The rule that keeps the merges before the first one whose distance is as large as the threshold, or larger."""

    threshold: float

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree into the clusters that these merges have made."""
        far = tree[:, 2] >= self.threshold
        return IntoClusters(len(tree) + 1 - int(far.argmax()) if far.any() else 1)(tree)


def checked_rule(n_clusters: int | None, distance_threshold: float | None, n_leaves: int) -> Rule:
    """Return the rule that cuts a tree of so many leaves into ``n_clusters`` or at ``distance_threshold``.

    Refused are both or neither, and what is out of range.
    """
    if (n_clusters is None) == (distance_threshold is None):
        raise ValueError(
            "Exactly one of n_clusters and distance_threshold has to be passed; got "
            f"n_clusters = {n_clusters} and distance_threshold = {distance_threshold}."
        )
    if distance_threshold is not None:
        if not check_scalar(distance_threshold, "distance_threshold", Real) >= 0:
            raise ValueError(f"distance_threshold = {distance_threshold} must be a number from 0 on.")
        return AtDistance(float(distance_threshold))
    return IntoClusters(int(check_scalar(n_clusters, "n_clusters", Integral, min_val=1, max_val=n_leaves)))
