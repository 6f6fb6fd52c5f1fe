"""From a tree to labels: the rules by which a tree is cut. A rule is called with SciPy's Z and returns a `Cut`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from skdiv._utils.sklearn import cut_tree
from skdiv._utils.typing import FloatArray, Labels


class Cut(NamedTuple):
    """The label of each leaf and, from a rule that tests the nodes, their p-values."""

    labels: Labels
    pvalues: FloatArray | None = None


class Rule(Protocol):
    """Where a tree is cut."""

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree into clusters."""


@dataclass(frozen=True)
class IntoClusters:
    """Undoes the last merges, until there are so many clusters."""

    n_clusters: int

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree into clusters that are numbered as in scikit-learn."""
        return Cut(cut_tree(self.n_clusters, tree[:, :2].astype(np.intp), len(tree) + 1))


@dataclass(frozen=True)
class AtDistance:
    """Stops merging at the first distance that is as large as the threshold."""

    threshold: float

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree into the clusters that are left then."""
        far = tree[:, 2] >= self.threshold
        return IntoClusters(len(tree) + 1 - int(far.argmax()) if far.any() else 1)(tree)
