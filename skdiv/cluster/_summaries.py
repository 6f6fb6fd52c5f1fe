"""Summaries: a collection of rows as a few weighted means, and what of the information about the bins that loses."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skdiv._input.checks import Matrix
from skdiv._input.distributions import Distributions
from skdiv._trees.cut import IntoClusters
from skdiv._trees.information import information_tree
from skdiv._utils.memory import Workspace, enough_memory
from skdiv._utils.typing import FloatArray, Labels
from skdiv.cluster._collection import Collection, Part

_SCORES = 2**20  # the number of scores, in single precision, of a part of the rows: they stay in the cache
_memory_for_rows, _memory_for_scores = Workspace(), Workspace()  # see `Part.rows`


@dataclass(frozen=True)
class Summaries:
    """Mean distributions of groups of rows.

    Attributes
    ----------
    means : Distributions
        The weighted mean of each group, in double precision.
    masses : ndarray
        The mass of each group: the sum of the weights of its rows.
    lost : float
        The sum over all rows of weight times KL(row ‖ mean of its group), in nats.
    """

    means: Distributions
    masses: FloatArray
    lost: float

    def __len__(self) -> int:
        """Return the number of summaries."""
        return len(self.masses)

    @property
    def mass(self) -> float:
        """Return the mass of all rows."""
        return float(self.masses.sum())

    def joined(self, other: Summaries) -> Summaries:
        """Return these summaries and others, of other rows."""
        both = self.means, other.means
        if all(means.is_sparse for means in both):
            means = Distributions(sp.vstack([means.values for means in both], format="csr"))
        else:
            means = Distributions(np.vstack([means.dense() for means in both]))
        return Summaries(means, np.concatenate([self.masses, other.masses]), self.lost + other.lost)

    def merged(self, labels: Labels, n_groups: int, lost: float) -> Summaries:
        """Return the summaries of groups of these, of which the merges lose so much, in nats times mass."""
        collection = self.as_collection()
        means, masses = collection.means(labels, n_groups), collection.masses_of(labels, n_groups)
        return Summaries(means, masses, self.lost + lost)

    def as_collection(self, n_jobs: int | None = None) -> Collection:
        """Return the means as rows of their masses."""
        return Collection(self.means.values, self.masses, n_jobs=n_jobs)


@dataclass(frozen=True)
class Tree:
    """The tree of summaries by linkage by information: SciPy's Z, whose distances are in nats."""

    linkage_matrix: FloatArray

    @classmethod
    def of(cls, summaries: Summaries, collection: Collection) -> Tree:
        """Build the tree of summaries with the kernel and the workers of a collection."""
        if len(summaries) == 1:
            return cls(np.empty((0, 4)))
        shares, kernel = summaries.masses / summaries.mass, collection.kl.kernel
        return cls(information_tree(summaries.means, shares, kernel, n_jobs=collection.n_jobs))

    def labels(self, n_clusters: int) -> Labels:
        """Return the cluster of each summary after the last merges are undone."""
        n_leaves = len(self.linkage_matrix) + 1
        if n_clusters == n_leaves:
            return np.arange(n_leaves)
        return IntoClusters(n_clusters)(self.linkage_matrix).labels

    def lost(self, n_clusters: int) -> float:
        """Return what the merges down to so many clusters lose, in nats."""
        return float(self.linkage_matrix[: len(self.linkage_matrix) + 1 - n_clusters, 2].sum())


def summarised(
    collection: Collection, mean: Distributions, total: float, n_summaries: int, random_state: np.random.RandomState
) -> tuple[Summaries, Labels]:
    """Return at most so many summaries of the rows, and which of them each row belongs to, in one pass.

    ``mean`` is the mean of all rows, and ``total`` their information times their mass. Of it the summaries lose what
    they do not have themselves, by the chain rule.

    Some rows are drawn as seeds, heavy ones more often. Each row x goes to the seed s
    with the lowest KL(x ‖ (s + mean)/2), which is finite, for no bin that x has is empty in the mean. One row tells
    little of a group; half of the mean was found to be better than any smaller share of it.
    """
    n = len(collection)
    if n <= n_summaries:
        labels = np.arange(n)
        return Summaries(collection.means(labels, n), collection.masses.copy(), 0.0), labels
    draws = random_state.exponential(size=n) / collection.masses  # Efraimidis and Spirakis (2006)
    seeds = np.sort(np.argpartition(draws, n_summaries)[:n_summaries])
    with _enough_memory(n_summaries, collection):
        labels = np.empty(n, dtype=np.intp)
        center = mean.dense()[0]
        factors = _factors(_rows_at(collection, seeds), center, sparse=collection.is_sparse)
        collection.of_each(_nearest_seed, center, factors, width=n_summaries, out=labels, cell=_SCORES)  # type: ignore[arg-type]
        labels[seeds] = np.arange(n_summaries)  # No summary is empty, not even if seeds are equal.
        means, masses = collection.means(labels, n_summaries), collection.masses_of(labels, n_summaries)
    own = Summaries(means, masses, 0.0).as_collection(collection.n_jobs).lost(np.zeros_like(masses, np.intp), mean)
    return Summaries(means, masses, max(0.0, total - own)), labels


def _enough_memory(n_summaries: int, collection: Collection) -> AbstractContextManager[None]:
    """Return a context manager that refuses dense summaries that do not fit into memory."""
    n_bytes = 0 if collection.is_sparse else 12 * n_summaries * collection.n_bins
    return enough_memory(n_bytes, f"{n_summaries} summaries of {collection.n_bins} bins", "Ask for fewer summaries.")


def _rows_at(collection: Collection, places: Labels) -> Distributions:
    """Return some rows, normalised."""
    return Part(collection.X[places], collection.pseudocount, None).rows()


def _factors(seeds: Distributions, mean: FloatArray, *, sparse: bool) -> Matrix:
    """Return the matrix by which rows are multiplied for scores, the highest of which belongs to the nearest seed.

    The seed s of lowest KL(x ‖ (s + g)/2), where g is the mean, has the highest sum of x ln((s + g)/(2g)).

    For dense rows it is computed as (x − g) ln((s + g)/(2g)) plus g ln((s + g)/(2g)), which is added as one more bin
    in which each row holds one: so single precision is enough, even if all rows are near the mean. With the excess
    e = (s − g)/(2g) the latter is the sum of g (ln(1 + e) − e), whose terms have one sign, because that of g e is 0.

    For sparse rows ln 2 is added in each bin, so that bins which a seed does not have add nothing. They are multiplied
    in double precision.
    """
    if sparse:
        values = seeds.values
        logs = np.log1p(values.data / mean[values.indices])
        return sp.csr_array((logs, values.indices, values.indptr), shape=values.shape).T.tocsr()
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        excess = np.where(mean > 0, (seeds.dense() - mean) / (2 * mean), 0)
    excess = np.minimum(excess, np.finfo(np.float64).max)
    logs = np.log1p(excess)
    return np.vstack([logs.T, (logs - excess) @ mean]).astype(np.float32)


def _nearest_seed(part: Part, mean: FloatArray, factors: Matrix) -> Labels:
    """Return the seed of the highest score of each row."""
    rows = part.rows()
    if sp.issparse(factors):
        scores = (rows.values @ factors).toarray()
        return scores.argmax(axis=1)  # type: ignore[no-any-return]
    centred = _memory_for_rows.array((len(rows), len(mean) + 1), np.float32)
    np.subtract(rows.dense(), mean, out=centred[:, :-1], casting="same_kind")
    centred[:, -1] = 1
    scores = _memory_for_scores.array((len(rows), factors.shape[1]), np.float32)
    return np.matmul(centred, factors, out=scores).argmax(axis=1)  # type: ignore[no-any-return]
