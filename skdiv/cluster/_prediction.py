"""Assign new rows to the clusters of a fit.

A predictor is made by the fit and keeps all that prediction needs, so later changes of the parameters have no effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.utils import gen_batches

from skdiv._compute.kernels import chosen
from skdiv._compute.measure import Measure
from skdiv._input.checks import Matrix
from skdiv._input.distributions import Distributions, normalise
from skdiv._input.names import UNNAMED, Names
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray, Labels

Assign = Literal["member", "center"]
HandleEmpty = Literal["error", "label"]
Batches = Iterator[tuple[slice, FloatArray]]

_PART = 2**19  # `predicted_by_parts` holds a normalised copy of so many entries of rows, or as many as targets have
_BATCH_BYTES = 64 * 2**20  # the largest size of a batch of distances from new rows to fitted rows or centers


@dataclass(frozen=True)
class Members:
    """The order in which the fitted rows are sorted by their clusters, and where in it each cluster starts."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, labels: Labels) -> Members:
        """Sort rows by their labels; each of 0, 1, 2 up to the largest label has to occur."""
        order = np.argsort(labels, kind="stable")
        return cls(order, np.searchsorted(labels[order], np.arange(labels.max() + 1)))

    def nearest(self, distances: FloatArray) -> FloatArray:
        """Return the distance of each row to the nearest member of each cluster.

        ``distances``, of shape (n_rows, n_fitted), are those to the members in their order.
        """
        nearest: FloatArray = np.minimum.reduceat(distances, self.starts, axis=1)
        return nearest


class Predictor(Protocol):
    """The interface by which the estimator predicts."""

    takes_distances: ClassVar[bool]  # whether X holds distances to the fitted rows, not rows

    def to_clusters(self, X: Any, names: Names, n_jobs: int | None) -> Batches:
        """Yield slices of the new rows, each with the distances of its rows to the clusters.

        The distances of a row without mass are NaN; only a predictor that labels such rows accepts them.
        """

    def labels(self, distances: FloatArray, start: int, names: Names) -> Labels:
        """Return the nearest cluster of each row of a batch, whose first row is row ``start`` of all new rows."""


@dataclass(frozen=True)
class FromDistances:
    """Prediction from finite distances to the fitted rows, which the user passes."""

    members: Members
    takes_distances: ClassVar[bool] = True

    def to_clusters(self, X: Any, names: Names, n_jobs: int | None) -> Batches:  # noqa: ARG002
        """Yield slices of the rows of X, each with the distances to the nearest member of each cluster."""
        for batch in _batches(len(X), len(self.members.order)):
            yield batch, self.members.nearest(X[batch][:, self.members.order])

    def labels(self, distances: FloatArray, start: int, names: Names) -> Labels:  # noqa: ARG002
        """Return the nearest cluster of each row."""
        return np.asarray(distances.argmin(axis=1))


@dataclass(frozen=True)
class FromRows:
    """Prediction from rows, by their divergences from targets.

    The targets are the fitted rows in the order of ``members``, or the centers of the clusters if ``members`` is None.
    """

    measure: Measure
    targets: Distributions
    members: Members | None
    pseudocount: float
    handle_empty: HandleEmpty
    takes_distances: ClassVar[bool] = False

    @classmethod
    def of(
        cls,
        rows: Distributions,
        labels: Labels,
        centers: FloatArray,
        measure: Measure,
        *,
        assign: Assign,
        pseudocount: float,
        handle_empty: HandleEmpty,
    ) -> FromRows:
        """Make a predictor that keeps the fitted rows, or with ``assign="center"`` only the centers of clusters."""
        if assign == "member":
            members = Members.of(labels)
            return cls(measure, rows[members.order], members, pseudocount, handle_empty)
        to_centers = Measure(measure.divergence, measure.scale)
        return cls(to_centers, Distributions(centers), None, pseudocount, handle_empty)

    def to_clusters(self, X: Any, names: Names, n_jobs: int | None) -> Batches:
        """Yield slices of the rows of X, each with the divergences from the centers or from the nearest members."""
        rows, empty = self._normalised(X, names)
        measure = replace(self.measure, kernel=chosen())  # A model may have been fitted where Numba was at hand.
        for batch in _batches(len(rows), len(self.targets)):
            distances = measure.matrix(rows[batch], self.targets, n_jobs=n_jobs)
            if self.members is not None:
                distances = self.members.nearest(distances)
            distances[empty[batch]] = np.nan
            yield batch, distances

    def labels(self, distances: FloatArray, start: int, names: Names) -> Labels:
        """Return the nearest cluster of each row of a batch, whose first row is row ``start`` of all new rows.

        With ``handle_empty="label"`` a row without mass, or infinitely far from every cluster, gets -1. With "error" a
        row infinitely far from every cluster raises a ValueError; rows without mass have been refused before.
        """
        labels: Labels = distances.argmin(axis=1)
        outside = ~np.isfinite(distances.min(axis=1))
        if outside.any() and self.handle_empty == "error":
            raise ValueError(
                f"{names.row(start + int(outside.argmax()))} is infinitely far from every cluster, so it belongs to "
                "none. Fit again with a pseudocount, with a bounded metric such as 'js_distance', or with "
                "handle_empty='label', by which its label is -1."
            )
        labels[outside] = -1
        return labels

    def _normalised(self, X: Matrix, names: Names) -> tuple[Distributions, NDArray[np.bool_]]:
        """Return the rows as distributions, and a mask of those without mass, or refuse these.

        A row without mass is replaced by some distribution, so that all others keep the numbers by which messages name
        them.
        """
        empty = np.zeros(X.shape[0], dtype=bool) if self.pseudocount else _without_mass(X)
        places = np.flatnonzero(empty)
        if places.size and self.handle_empty == "error":
            others = f" (and {places.size - 1} more rows)" if places.size > 1 else ""
            raise ValueError(
                f"{names.row(int(places[0]))} sums to 0{others}: an all-zero row is not a distribution. Drop it, or "
                "fit again with pseudocount > 0 to make it uniform, or with handle_empty='label', by which its label "
                "is -1."
            )
        if places.size:
            X = _with_mass_at(places, X)
        return normalise(X, pseudocount=self.pseudocount, names=names), empty


def predicted(predictor: Predictor, X: Any, names: Names, n_jobs: int | None) -> Labels:
    """Return the nearest cluster of each row of X."""
    labels = np.empty(X.shape[0], dtype=np.intp)
    for batch, distances in predictor.to_clusters(X, names, n_jobs):
        labels[batch] = predictor.labels(distances, batch.start, names)
    return labels


def predicted_by_parts(predictor: FromRows, X: Matrix, names: Names, n_jobs: int | None) -> Labels:
    """Return the nearest cluster of each row of X, with a normalised copy of only some rows at a time."""
    n, n_entries = X.shape[0], int(X.nnz if sp.issparse(X) else X.size)
    part = max(_PART, int(np.prod(predictor.targets.shape)))  # To read the targets for each part takes less time then.
    parts = gen_batches(n, max(1, n * part // max(part, n_entries)))
    try:
        return np.concatenate([predicted(predictor, X[some], UNNAMED, n_jobs) for some in parts])
    except ValueError:
        predicted(predictor, X, names, n_jobs)  # This names the row by its place among all.
        raise


def transformed(predictor: Predictor, X: Any, n_clusters: int, names: Names, n_jobs: int | None) -> FloatArray:
    """Return the distance of each row of X to each cluster."""
    n, what = X.shape[0], f"transform of {X.shape[0]} rows to {n_clusters} clusters"
    with enough_memory(n * n_clusters * X.dtype.itemsize, what, "Transform fewer rows at a time."):
        out = np.empty((n, n_clusters), dtype=X.dtype)
    for batch, distances in predictor.to_clusters(X, names, n_jobs):
        out[batch] = distances
    return out


def _batches(n_rows: int, n_targets: int) -> Iterator[slice]:
    """Yield slices of rows whose distances fit into `_BATCH_BYTES` and into scikit-learn's working memory."""
    room = min(_BATCH_BYTES, int(get_config()["working_memory"] * 2**20))
    batches: Iterator[slice] = gen_batches(n_rows, max(1, room // (8 * n_targets)))
    return batches


def _without_mass(X: Matrix) -> NDArray[np.bool_]:
    """Return a mask of the rows of an array or CSR matrix that hold nothing but zeros."""
    if not sp.issparse(X):
        return np.asarray(~X.any(axis=1))
    empty: NDArray[np.bool_] = np.diff(X.indptr) == 0
    if empty.any() or not X.data.all() or not X.has_canonical_format:
        rows = sp.csr_array(X, copy=True)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        empty = np.diff(rows.indptr) == 0
    return empty


def _with_mass_at(places: NDArray[np.intp], X: Matrix) -> Matrix:
    """Return a copy of X in which the rows at these places have mass in the first bin."""
    if sp.issparse(X):
        ones = np.ones(len(places), dtype=X.dtype)
        return X + sp.csr_array((ones, (places, np.zeros_like(places))), shape=X.shape)
    filled = X.copy()
    filled[places, 0] = 1
    return filled
