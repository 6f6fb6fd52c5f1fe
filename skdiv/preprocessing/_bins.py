"""Bins: a grid of intervals, a codebook or categories, each of which says in which bin an observation is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from numbers import Integral
from typing import Any, Literal, Protocol, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import pairwise_distances_argmin
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

from skdiv._utils.typing import FloatArray, Labels
from skdiv._utils.warnings import warn_caller
from skdiv.preprocessing._observations import Observations, as_observations

OutOfRange: TypeAlias = Literal["bins", "error", "clip"]
Rule: TypeAlias = Literal["auto", "doane", "fd", "rice", "scott", "sqrt", "stone", "sturges"]
Strategy: TypeAlias = Literal["auto", "categories", "kmeans", "quantile", "uniform"]

_MOST_BINS = 2**20  # of a grid: beyond, a row of counts takes more than 8 MiB, and nearly all of its bins are empty


class Bins(Protocol):
    """What the transformer asks of bins."""

    @property
    def n_bins(self) -> int:
        """Return the number of bins, with those for what is out of range."""

    def places(self, observations: Observations) -> Labels:
        """Return the bin of each observation."""

    def names(self, dimensions: Sequence[str]) -> list[str]:
        """Return the names of the bins, given those of the dimensions."""

    def fitted(self) -> dict[str, Any]:
        """Return the public attributes that describe the bins."""


# --- Intervals, and in several dimensions a grid of them --------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """Every combination of one interval in each dimension, which is closed on the left; the last is on both sides."""

    edges: list[FloatArray]
    out_of_range: OutOfRange

    @classmethod
    def learn(cls, observations: Observations, bins: Any, strategy: str, out_of_range: OutOfRange) -> Self:
        """Choose edges in each dimension by the observations of all collections; refuse a grid beyond all measure."""
        if observations.are_text:
            raise ValueError(
                f"strategy = {strategy!r} needs numbers, but X holds text. Pass strategy='categories', which is what "
                "strategy='auto' takes for text."
            )
        columns, n_typical = observations.values.T, _typical_size(observations)
        specs = zip(columns, _per_dimension(bins, len(columns)), strict=True)
        grid = cls([_edges_of(values, spec, strategy, n_typical, out_of_range) for values, spec in specs], out_of_range)
        if grid.n_bins > _MOST_BINS:
            raise ValueError(
                f"The grid would have {' x '.join(map(str, grid.shape))} = {grid.n_bins:,} bins, and at most "
                f"{_MOST_BINS:,} are allowed. Pass fewer bins, or strategy='kmeans' and the number of bins, which "
                "learns a codebook of as many in any number of dimensions."
            )
        return grid

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the number of bins along each dimension."""
        return tuple(len(edges) - 1 + 2 * (self.out_of_range == "bins") for edges in self.edges)

    @property
    def n_bins(self) -> int:
        """Return the number of bins."""
        return prod(self.shape)

    def places(self, observations: Observations) -> Labels:
        """Return the bin of each observation; the last dimension varies fastest."""
        along = [self._places_along(observations, dimension) for dimension in range(len(self.edges))]
        places: Labels = np.ravel_multi_index(along, self.shape)
        return places

    def _places_along(self, observations: Observations, dimension: int) -> Labels:
        """Return the interval of each observation in one dimension."""
        values, edges = observations.values[:, dimension], self.edges[dimension]
        places = np.searchsorted(edges, values, side="right") - 1
        last = len(edges) - 2
        places[values == edges[-1]] = last
        if self.out_of_range == "bins":
            return places + 1
        outside = (places < 0) | (places > last)
        if self.out_of_range == "error" and outside.any():
            raise ValueError(
                f"{observations.entry(int(outside.argmax()), dimension)} lies outside of the bins, which go from "
                f"{edges[0]} to {edges[-1]}. Pass out_of_range='bins' to count such observations in bins of their own, "
                "or 'clip' to count them in the outermost ones."
            )
        return np.clip(places, 0, last)

    def names(self, dimensions: Sequence[str]) -> list[str]:
        """Return the intervals, such as "[0, 0.5)", and in several dimensions such as "x in [0, 0.5), y in [1, 2]"."""
        along = [_intervals(edges, outside=self.out_of_range == "bins") for edges in self.edges]
        if len(along) == 1:
            return along[0]
        named = [[f"{name} in {each}" for each in intervals] for name, intervals in zip(dimensions, along, strict=True)]
        return [", ".join(combination) for combination in product(*named)]

    def fitted(self) -> dict[str, Any]:
        """Return the public attributes that describe the bins."""
        return {"bin_edges_": self.edges}


def _per_dimension(bins: Any, n_dimensions: int) -> list[Any]:
    """Return a rule, a number or edges for each dimension, as `numpy.histogramdd` reads them."""
    if isinstance(bins, str | Integral):
        return [bins] * n_dimensions
    specs = list(bins)
    if n_dimensions == 1 and specs and np.ndim(specs[0]) == 0:
        return [bins]
    if len(specs) != n_dimensions:
        raise ValueError(
            f"bins is a list of {len(specs)}, but the observations in X have {n_dimensions} dimensions. Pass a number "
            "or a rule for all, or for each dimension one of these or its edges."
        )
    return specs


def _typical_size(observations: Observations) -> int:
    """Return for how many observations the rule "auto" is to choose bins: the median of the collections.

    In d dimensions the width of bins is to shrink as n ** (-1 / (2 + d)) (Scott 1992), and that of the rule, which sees
    one dimension, shrinks as n ** (-1 / 3). So the number is n ** (3 / (2 + d)).
    """
    sizes = np.bincount(observations.rows)
    return int(np.ceil(np.median(sizes[sizes > 0]) ** (3 / (2 + observations.n_dimensions))))


def _typical(values: NDArray[Any], n: int) -> NDArray[Any]:
    """Return n of the values that are distributed as all are: the one in the middle of each n-th part."""
    middles = ((np.arange(n) + 0.5) * len(values) / n).astype(np.intp)
    return np.asarray(np.sort(values)[middles])


def _edges_of(values: NDArray[Any], spec: Any, strategy: str, n_typical: int, out_of_range: OutOfRange) -> FloatArray:
    """Return the edges of bins in one dimension: those that are given, or chosen by a rule, or of so many bins.

    The rule "auto" chooses as for ``n_typical`` observations, all other rules as for all that there are.
    """
    if not isinstance(spec, str | Integral):
        return _checked_edges(spec)
    if isinstance(spec, str) and spec not in get_args(Rule):
        raise ValueError(f"bins = {spec!r} is no rule of NumPy; choose one of {list(get_args(Rule))}.")
    if isinstance(spec, Integral) and spec < 1:
        raise ValueError(f"bins = {spec}, but there must be 1 bin at the least.")
    _refuse_too_many(values, spec)
    seen = _typical(values, n_typical) if spec == "auto" else values
    edges = _numpys_edges(seen, spec if isinstance(spec, str) else int(spec))
    most = int(np.ceil(2 * np.sqrt(n_typical)))
    if spec == "auto" and len(edges) - 1 > most:  # Recent versions of NumPy have this bound, for heavy tails.
        edges = _numpys_edges(seen, most)
    if strategy == "quantile":
        return _quantiles(values, len(edges) - 1)
    if out_of_range == "error":  # No fitted observation is to be refused.
        edges[[0, -1]] = min(edges[0], values.min()), max(edges[-1], values.max())
    return _checked_edges(edges)


def _numpys_edges(values: NDArray[Any], spec: str | int) -> NDArray[Any]:
    """Return NumPy's edges; refuse observations so near each other that edges between them are equal numbers."""
    try:
        edges = np.histogram_bin_edges(values, spec)
    except ValueError:
        edges = np.zeros(2)
    if not (np.diff(edges.astype(np.float64)) > 0).all():
        lowest, highest = values.min(), values.max()
        raise ValueError(
            f"bins = {spec!r}, but the observations go from {lowest} to {highest}, and double precision has too few "
            f"numbers between them for the edges. Subtract {lowest} from all observations first, or pass "
            "strategy='categories'."
        )
    return edges


def _refuse_too_many(values: NDArray[Any], spec: Any) -> None:
    """Refuse a number of bins, or observations of which a rule makes a number of bins, that is beyond all measure."""
    lowest, highest = float(values.min()), float(values.max())
    if not np.isfinite(highest - lowest):
        raise ValueError(
            f"The observations go from {lowest} to {highest}, and the difference is beyond the largest number of "
            "double precision. Scale them, or pass their logarithms."
        )
    n_bins = float(spec) if isinstance(spec, Integral) else 0.0
    if spec == "fd":  # the one rule whose number of bins is not bounded by that of the observations
        width = 2 * float(np.subtract(*np.percentile(values, [75, 25]))) / len(values) ** (1 / 3)
        n_bins = (highest - lowest) / width if width > 0 else 0.0
    if n_bins > _MOST_BINS:
        raise ValueError(
            f"bins = {spec!r} makes {n_bins:.3g} bins of observations from {lowest} to {highest}, and at most "
            f"{_MOST_BINS:,} are allowed. Pass a smaller number, or strategy='quantile' and a number."
        )


def _checked_edges(spec: ArrayLike) -> FloatArray:
    """Return edges of bins in double precision; refuse those that do not ascend or are not finite."""
    edges = np.asarray(spec)
    if edges.dtype.kind not in "fiu" or edges.ndim != 1 or len(edges) < 2:
        raise ValueError(f"The edges of bins must be a vector of two or more numbers, not {spec!r}.")
    edges = edges.astype(np.float64)
    if not np.isfinite(edges).all():
        k = int(np.isfinite(edges).argmin())
        raise ValueError(
            f"bins: edge {k} is {edges[k]}, but edges must be finite. What lies beyond them is counted in bins of its "
            "own, unless out_of_range says otherwise."
        )
    steps = np.diff(edges)
    if not (steps > 0).all():
        k = int((steps > 0).argmin())
        raise ValueError(f"bins: edge {k} is {edges[k]} and edge {k + 1} is {edges[k + 1]}, but edges must ascend.")
    return edges


def _quantiles(values: NDArray[Any], n_bins: int) -> FloatArray:
    """Return edges between which there are equal numbers of observations; equal edges become one, with a warning."""
    levels = np.linspace(0, 1, n_bins + 1)
    edges = np.unique(np.quantile(values, levels, method="averaged_inverted_cdf").astype(np.float64))
    if len(edges) == 1:
        edges = _numpys_edges(values, 1).astype(np.float64)
    if len(edges) <= n_bins:
        warn_caller(
            f"Of {n_bins + 1} quantiles of the observations some are equal, so there are {len(edges) - 1} bins in "
            f"place of {n_bins}. Pass fewer bins."
        )
    return edges


def _intervals(edges: FloatArray, *, outside: bool) -> list[str]:
    """Return the names of the intervals between edges; ``outside`` adds those below the first and above the last."""
    shown = _shown(edges)
    names = [f"[{low}, {high})" for low, high in pairwise(shown)]
    names[-1] = f"[{shown[-2]}, {shown[-1]}]"
    return [f"(-inf, {shown[0]})", *names, f"({shown[-1]}, inf)"] if outside else names


def _shown(edges: FloatArray) -> list[str]:
    """Return edges as text, with so many digits that none is wrong by more than a thousandth of the narrowest bin."""
    for digits in range(3, 17):
        shown = [f"{edge + 0.0:.{digits}g}" for edge in edges]  # adding 0 turns -0.0 into 0.0
        if np.abs(np.array(shown, dtype=float) - edges).max() <= np.diff(edges).min() / 1000:
            return shown
    return [repr(float(edge)) for edge in edges]


# --- A codebook ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Codebook:
    """Prototypes, learned by k-means over all dimensions; an observation is in the bin of the nearest.

    They are kept as deviations from the mean of the observations. scikit-learn computes distances from squares, and far
    from 0 their difference would have no correct digit.
    """

    center: FloatArray
    deviations: FloatArray

    @classmethod
    def learn(cls, observations: Observations, bins: Any, random_state: Any) -> Self:
        """Learn as many prototypes as there are to be bins."""
        from sklearn.cluster import MiniBatchKMeans  # Its import takes a tenth of a second.

        if observations.are_text:
            raise ValueError("strategy = 'kmeans' needs numbers, but X holds text. Pass strategy='categories'.")
        if not isinstance(bins, Integral):
            raise ValueError(f"bins = {bins!r}, but strategy='kmeans' needs the number of bins.")
        n_bins, values = int(bins), observations.values.astype(np.float64, copy=False)
        if n_bins > len(values):
            raise ValueError(f"bins = {bins}, but X has only {len(values)} observations to learn a codebook from.")
        center = values.mean(axis=0)
        kmeans = MiniBatchKMeans(n_bins, random_state=random_state, n_init="auto", compute_labels=False)
        with threadpool_limits(1, user_api="openmp"):  # Else threads wait for each other in each of the small batches.
            kmeans.fit(values - center)
        deviations = np.unique(kmeans.cluster_centers_, axis=0)
        if len(deviations) < n_bins:
            warn_caller(
                f"Of {bins} prototypes some are equal, so there are {len(deviations)} bins in place of {bins}. X has "
                "too few different observations; pass fewer bins."
            )
        return cls(center, deviations)

    @property
    def n_bins(self) -> int:
        """Return the number of prototypes."""
        return len(self.deviations)

    def places(self, observations: Observations) -> Labels:
        """Return the nearest prototype of each observation."""
        values = observations.values.astype(np.float64, copy=False)
        places: Labels = pairwise_distances_argmin(values - self.center, self.deviations)
        return places

    def names(self, dimensions: Sequence[str]) -> list[str]:  # noqa: ARG002
        """Return "codeword 0" and so on."""
        return [f"codeword {k}" for k in range(self.n_bins)]

    def fitted(self) -> dict[str, Any]:
        """Return the public attributes that describe the bins."""
        return {"codebook_": self.deviations + self.center}


# --- Categories ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Categories:
    """One bin for each category, and a last one for what is none of them.

    The categories are in the order of the bins, while those of the encoder ascend, as scikit-learn asks of numbers.
    """

    categories: NDArray[Any]
    encoder: OrdinalEncoder
    order: Labels
    out_of_range: OutOfRange

    @classmethod
    def learn(cls, observations: Observations, bins: Any, out_of_range: OutOfRange) -> Self:
        """Take the categories that are given, or all that occur."""
        if observations.n_dimensions > 1:
            raise ValueError(
                f"The observations in X have {observations.n_dimensions} dimensions, but categories have one. Join the "
                "columns to one label for each observation, or pass one of them."
            )
        if out_of_range == "clip":
            raise ValueError("out_of_range = 'clip' has no meaning for categories; pass 'bins' or 'error'.")
        given = _given_categories(bins, observations)
        order = None if given is None else np.argsort(given)
        encoder = OrdinalEncoder(
            categories="auto" if given is None else [given[order]],
            dtype=np.intp,
            handle_unknown="use_encoded_value",
            unknown_value=-1,
        )
        encoder.fit(observations.values if given is None else given[:, np.newaxis])
        categories = encoder.categories_[0] if given is None else given
        return cls(categories, encoder, np.arange(len(categories)) if order is None else order, out_of_range)

    @property
    def n_bins(self) -> int:
        """Return the number of bins."""
        return len(self.categories) + (self.out_of_range == "bins")

    def places(self, observations: Observations) -> Labels:
        """Return the category of each observation."""
        values, fits = _of_dtype(observations.values, self.encoder.categories_[0].dtype)
        codes = self.encoder.transform(values)[:, 0]
        unknown = (codes < 0) | ~fits
        places: Labels = self.order[codes]
        if self.out_of_range == "error" and unknown.any():
            raise ValueError(
                f"{observations.entry(int(unknown.argmax()))} is none of the {len(self.categories)} fitted categories. "
                "Pass out_of_range='bins' to count unknown ones in a bin of their own."
            )
        places[unknown] = len(self.categories)
        return places

    def names(self, dimensions: Sequence[str]) -> list[str]:  # noqa: ARG002
        """Return the categories as text, and "(unknown)" for what is none of them."""
        named, unknown = list(map(str, self.categories.tolist())), "(unknown)"
        while unknown in named:
            unknown = f"({unknown})"
        return [*named, unknown] if self.out_of_range == "bins" else named

    def fitted(self) -> dict[str, Any]:
        """Return the public attributes that describe the bins."""
        return {"categories_": self.categories}


def _of_dtype(values: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return integers in the dtype of categories where NumPy would compare both as float64, and which of them fit."""
    if {values.dtype.kind, dtype.kind} != {"i", "u"} or np.result_type(values.dtype, dtype).kind != "f":
        return values, np.ones(len(values), dtype=bool)
    wide = np.dtype(np.uint64 if dtype.kind == "u" else np.int64)
    fits = values[:, 0] >= 0 if dtype.kind == "u" else values[:, 0] <= np.uint64(np.iinfo(np.int64).max)
    return values.astype(wide), fits


def _given_categories(bins: Any, observations: Observations) -> NDArray[Any] | None:
    """Return the categories that are given, or declared by a dtype, in the order of their bins; None if neither."""
    if isinstance(bins, str) and bins == "auto":
        return observations.declared
    if isinstance(bins, str | Integral):
        raise ValueError(
            f"bins = {bins!r}, but categories have one bin each. Pass 'auto', or a list of the categories that are to "
            "have a bin."
        )
    categories = np.unique(as_observations(bins, "bins"))
    if (categories.dtype == object) != observations.are_text:
        raise ValueError("The categories in bins and the observations in X must both be text, or both be numbers.")
    return categories


def learn_bins(
    observations: Observations, bins: Any, strategy: Strategy, out_of_range: OutOfRange, random_state: Any
) -> Bins:
    """Learn the bins from the observations of all collections."""
    if strategy == "auto":
        are_categories = observations.are_text or observations.declared is not None
        strategy = "categories" if are_categories else "uniform"
    if strategy == "categories":
        return Categories.learn(observations, bins, out_of_range)
    if strategy == "kmeans":
        return Codebook.learn(observations, bins, random_state)
    return Grid.learn(observations, bins, strategy, out_of_range)
