"""Search for the nearest rows of a collection, or for those within a radius, without the matrix of all divergences.

A task takes some rows of the left collection, and goes through the right one some rows at a time. If there is a screen
(`skdiv._compute.screens`), it leaves a few candidates for each row, whose divergences are then computed one by one;
else the divergences of all pairs are computed block by block, and the lowest are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._compute.blocks import of_candidates
from skdiv._compute.graphs import graph_of
from skdiv._compute.kernels import load
from skdiv._compute.measure import Measure
from skdiv._compute.run import Store, Work, run
from skdiv._compute.screens import Screen, ScreenedRows, screen_of
from skdiv._compute.shortlists import Shortlists
from skdiv._divergences.forms import ProductForm
from skdiv._input.distributions import Distributions
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.memory import Workspace, enough_memory
from skdiv._utils.typing import FloatArray, Places

_ROWS = 512  # the largest number of left rows of a task
_FEWEST_ROWS = 64  # the least such number, for with fewer a matrix product is slower
_FEATURES = 2**22  # the largest number of features of the left rows of a task, if there are more than the fewest
COLUMNS = 1024  # the number of right rows at a time, so that their scores stay in the cache
_LIST = 1024  # the largest capacity of a list of candidates, if four times the neighbours are fewer
_SHORT_LIST = 64  # the least such capacity
_MANY = 8  # if one pair in so many is a candidate, the divergences of all pairs are computed, which is faster then
_MANY_OF_PRODUCT = 200  # the same where the divergences of all pairs are one matrix product
_MANY_BETWEEN = 512  # the same where a finer screen can be made, which takes the time of so few pairs
_FEW_BETWEEN = 2**13  # so few pairs are compared in less time than a finer screen takes
_MANY_PAIRS = 2**20  # for so many pairs between two parts a finer screen is made at once
_SLACK = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-5}  # above the relative error of a divergence
_ROUNDINGS = 8.0  # the number of roundings of a limit, and more
NANOSECONDS = 0.1  # the time for one pair and one bin, roughly
_workspace = Workspace()


@dataclass(frozen=True)
class Search:
    """A search among the rows of Q, by D(P[i] ‖ Q[j]) or with ``reverse`` by D(Q[j] ‖ P[i]).

    ``of_itself`` says that P and Q are the same collection; a row is then no neighbour of itself.
    """

    measure: Measure
    Q: Distributions
    screen: Screen | None
    of_itself: bool
    reverse: bool
    _kept: dict[str, Screen] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickling, without the screen in double precision."""
        return {**vars(self), "_kept": {}}

    @classmethod
    def of(cls, measure: Measure, P: Distributions, Q: Distributions | None, *, reverse: bool) -> Search:
        """Make a search in Q for rows of P, or without Q in P itself."""
        right = P if Q is None else Q
        reverse = reverse and not measure.symmetric
        screen = None
        if measure.symmetrize is None or measure.divergence.symmetric:
            screen = screen_of(measure.divergence, P, right, measure.kernel, reverse=reverse)
        return cls(measure, right, screen, Q is None, reverse)

    def nearest(self, P: Distributions, places: Places, n_neighbors: int) -> FloatArray:
        """Return the divergences of rows from their nearest, in ascending order, and the positions of these in Q.

        ``places`` are the positions of the rows in the left collection. The result is one array of doubles of shape
        (2, len(P), n_neighbors); of equal divergences the lower positions come first.
        """
        with one_blas_thread():
            found = np.empty((2, len(P), n_neighbors))
            remaining, asked = np.ones(len(P), dtype=bool), np.arange(len(P))
            worth = n_neighbors * self._many < len(self.Q)
            for screen in self._screens() if worth else ():
                left, its_places = P[asked], places[asked]
                rows = screen.of_rows(left)
                lists = self._screened(rows, screen, its_places, n_neighbors)
                found[:, asked] = self._nearest_in_lists(left, rows, screen, lists)
                given_up = lists.lengths < 0
                remaining[asked] = given_up
                asked = asked[given_up & _is_for_double(rows, screen, lists)]
                if not asked.size:
                    break
            if remaining.any():
                found[:, remaining] = self._nearest_by_blocks(P[remaining], places[remaining], n_neighbors)
            return found

    def within(self, P: Distributions, places: Places, radius: float) -> sp.csr_array:
        """Return the divergences of at most ``radius`` of rows of P from those of Q, in CSR."""
        limits: FloatArray = np.empty(0)
        with one_blas_thread():
            if self.screen is not None:
                rows = self.screen.of_rows(P)
                limits = self._limits(rows, self.screen, np.full(len(P), radius * self.measure.scale), P.dtype)
            parts = []
            for columns in self.tiles():
                if self.screen is None:
                    i, j, values = self._all_within(P, places, columns, radius)
                else:
                    scores = self._scores(rows, self.screen, places, columns)
                    i, j = np.nonzero(scores <= limits[:, np.newaxis])
                    if len(i) * self._many > scores.size:
                        i, j, values = self._all_within(P, places, columns, radius)
                    else:
                        values = self._values(P, i, columns.start + j)
                near = values <= radius
                shape = len(P), columns.stop - columns.start
                parts.append(graph_of(i[near], j[near], values[near], shape))
        return sp.hstack(parts, format="csr")

    # --- What both need ---

    @property
    def rows_of_task(self) -> int:
        """Return the number of left rows of a task, which are few where a screen makes many features of them."""
        if self.screen is None:
            return _ROWS
        return max(_FEWEST_ROWS, min(_ROWS, _FEATURES // int(self.screen.right.shape[1])))

    @property
    def _many(self) -> int:
        """Return of how many pairs one has to be a candidate for it to be faster to compute all of them."""
        return _MANY_OF_PRODUCT if isinstance(self.measure.divergence.fast, ProductForm) else _MANY

    def _screens(self) -> Iterator[Screen]:
        """Yield the screen, and then the same in double precision, which is made once for all tasks."""
        if self.screen is not None:
            yield self.screen
            if "in double" not in self._kept:
                self._kept["in double"] = self.screen.in_double(self.Q)
            yield self._kept["in double"]

    def tiles(self) -> Iterator[slice]:
        """Yield slices of the rows of Q."""
        return (slice(start, min(start + COLUMNS, len(self.Q))) for start in range(0, len(self.Q), COLUMNS))

    def _leave_out_itself(self, scores: FloatArray, places: Places, columns: slice) -> None:
        """Make the scores of rows with themselves infinite."""
        if self.of_itself:
            rows = np.flatnonzero((places >= columns.start) & (places < columns.stop))
            scores[rows, places[rows] - columns.start] = np.inf

    def _scores(self, rows: ScreenedRows, screen: Screen, places: Places, columns: slice) -> FloatArray:
        """Return the scores of some columns, in memory that is valid until this thread makes the next ones."""
        scores = _product(rows, screen, columns)
        self._leave_out_itself(scores, places, columns)
        return scores

    def _limits(self, rows: ScreenedRows, screen: Screen, values: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
        """Return the largest score that each row can have with a column whose divergence is at most a value in nats."""
        sums = screen.sums(values) * (1 + screen.distortion) * (1 + _SLACK[dtype])
        limits: FloatArray = sums + rows.margins - rows.terms
        return limits + _rounding(screen) * np.abs(limits)

    def _values(self, P: Distributions, i: Places, j: Places) -> FloatArray:
        """Return the divergences of the rows P[i[k]] and Q[j[k]], in the units of the measure."""
        kernel, divergence = load(self.measure.kernel), self.measure.divergence
        if self.reverse:
            return self.measure.scaled(of_candidates(divergence, self.Q, P, j, i, kernel))
        return self.measure.scaled(of_candidates(divergence, P, self.Q, i, j, kernel))

    def block(self, P: Distributions, columns: slice | Places) -> FloatArray:
        """Return the divergences of rows from all rows of Q in ``columns``."""
        Q = self.Q[columns]
        return self.measure(Q, P).T if self.reverse else self.measure(P, Q)

    # --- Between parts of the collection ---

    def bounds_in_parts(
        self, P: Distributions, tiles: Iterable[tuple[Places, Places]]
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield for each tile bounds of the lowest divergence of each row from the rows of Q in each part of the tile.

        A tile is the columns, which are rows of Q, and the places among them where a part begins. The bounds are in the
        units of the measure.
        """
        if self.screen is None:
            for columns, cuts in tiles:
                lowest = np.minimum.reduceat(self.block(P, columns), cuts, axis=1)
                yield lowest, lowest
            return
        screen, rows, slack, scale = self.screen, self.screen.of_rows(P), _SLACK[P.dtype], self.measure.scale
        terms, margins = rows.terms[:, np.newaxis], rows.margins[:, np.newaxis]
        for columns, cuts in tiles:
            sums = np.minimum.reduceat(_product(rows, screen, columns), cuts, axis=1) + terms
            lower = np.maximum(sums - margins, 0) / (1 + screen.distortion)
            upper = (sums + margins) / (1 - screen.distortion)
            yield screen.values(lower) * (1 - slack) / scale, screen.values(upper) * (1 + slack) / scale

    def lowest_between(self, rows: Places, columns: Places, at_most: float) -> FloatArray:
        """Return the lowest divergence between two parts of Q that have no row in common, and its places in them.

        If it is not ``at_most`` a number, an infinite one may be returned. If a screen leaves many pairs, a finer one
        is made for these rows.
        """
        P = self.Q[rows]
        i, j, values = self._few_between(P, columns, at_most) or self._all_between(P, columns)
        if not len(values):
            return np.array([np.inf, -1, -1])
        k = int(np.lexsort((j, i, values))[0])
        return np.array([float(values[k]), i[k], j[k]])

    def _all_between(self, P: Distributions, columns: Places) -> tuple[Places, Places, FloatArray]:
        """Return all pairs of rows of P and Q with the lowest divergence, and that divergence for each."""
        values = self.block(P, columns)
        i, j = np.nonzero(values == values.min())
        return i, j, values[i, j]

    def _few_between(
        self, P: Distributions, columns: Places, at_most: float
    ) -> tuple[Places, Places, FloatArray] | None:
        """Return a few pairs of rows of P and Q, with the lowest if it is ``at_most`` a number; None if many remain."""
        n_pairs = len(P) * len(columns)
        for screen in self._screens_between(columns, n_pairs):
            left = screen.of_rows(P)
            scores = _product(left, screen, slice(None))
            row = int((scores.min(axis=1) + left.terms).argmin())
            i, j = np.array([row]), scores[row : row + 1].argmin(axis=1)
            at_most = min(at_most, float(self._values(P, i, columns[j])[0]))
            limits = self._limits(left, screen, np.full(len(P), at_most * self.measure.scale), P.dtype)
            i, j = np.nonzero(scores <= limits[:, np.newaxis])
            if len(i) <= max(_FEW_BETWEEN, n_pairs // _MANY_BETWEEN):
                return i, j, self._values(P, i, columns[j])
        return None

    def _screens_between(self, columns: Places, n_pairs: int) -> Iterator[Screen]:
        """Yield screens for some rows of Q: the screen of the search, unless there are many pairs, and a finer one."""
        if self.screen is not None:
            if n_pairs < _MANY_PAIRS:
                yield self.screen.of_part(columns)
            yield self.screen.finer(self.Q[columns])

    # --- The nearest ---

    def _screened(self, rows: ScreenedRows, screen: Screen, places: Places, n_neighbors: int) -> Shortlists:
        """Return for each row a list of all columns that may be among the nearest.

        A column with score s has a sum from (terms + s − margin) / (1 + distortion) to (terms + s + margin) / (1 −
        distortion). It can be among the nearest k only if the former is at most the latter for the k-th lowest score.
        """
        kernel = load(self.measure.kernel)
        stretch = (1 + screen.distortion) / (1 - screen.distortion)
        offsets = stretch * (rows.terms + rows.margins) + rows.margins - rows.terms
        offsets += _rounding(screen) * (np.abs(rows.terms) + rows.margins)
        in_lists = 2 * len(self.Q) // self._many  # With more candidates it is faster to compute all divergences.
        capacity = max(4 * n_neighbors, min(_LIST, max(_SHORT_LIST, in_lists)))
        lists = Shortlists.of(len(places), n_neighbors, capacity, screen.right.dtype, stretch, offsets)
        for columns in self.tiles():
            kernel.add_to_shortlists(lists, self._scores(rows, screen, places, columns), columns.start)
        return lists

    def _nearest_in_lists(self, P: Distributions, rows: ScreenedRows, screen: Screen, lists: Shortlists) -> FloatArray:
        """Return the nearest of each row among the columns in its list; NaN for a list that has been given up.

        The divergences of the k columns with the lowest scores are computed first: those of the nearest k are at most
        the largest of them, and this leaves few of the other columns.
        """
        n, k = lists.lowest.shape
        i, j, scores = lists.kept()
        first = scores <= lists.lowest[i, 0]  # This is the k-th lowest score of the row.
        values = np.full(len(i), np.inf)
        values[first] = self._values(P, i[first], j[first])
        highest = np.zeros(n)
        np.maximum.at(highest, i[first], values[first])
        limits = self._limits(rows, screen, highest * self.measure.scale, P.dtype)
        others = ~first & (scores <= limits[i])
        values[others] = self._values(P, i[others], j[others])
        return lowest_of_each(i, j, values, n, k)

    def _nearest_by_blocks(self, P: Distributions, places: Places, n_neighbors: int) -> FloatArray:
        """Return the nearest of each row, from the divergences of all pairs."""
        kernel, limits = load(self.measure.kernel), np.finfo(P.dtype)
        lists = Shortlists.of(len(P), n_neighbors, max(4 * n_neighbors, 64), P.dtype)
        for columns in self.tiles():
            values = np.minimum(self.block(P, columns), limits.max, order="C")  # A list takes finite numbers only.
            self._leave_out_itself(values, places, columns)
            kernel.add_to_shortlists(lists, values, columns.start)
        i, j, values = lists.kept()
        found = lowest_of_each(i, j, values, len(P), n_neighbors)
        found[0][found[0] == limits.max] = np.inf
        return found

    # --- All within a radius ---

    def _all_within(
        self, P: Distributions, places: Places, columns: slice, radius: float
    ) -> tuple[Places, Places, FloatArray]:
        """Return rows, columns from the first of ``columns`` on, and divergences of all pairs within the radius."""
        values = self.block(P, columns)
        near = values <= radius
        rows = np.flatnonzero((places >= columns.start) & (places < columns.stop)) if self.of_itself else places[:0]
        near[rows, places[rows] - columns.start] = False
        i, j = np.nonzero(near)
        return i, j, values[i, j]


def _rounding(screen: Screen) -> float:
    """Return the relative rounding error of a limit in the precision of a screen."""
    return _ROUNDINGS * float(np.finfo(screen.right.dtype).eps)


def _is_for_double(rows: ScreenedRows, screen: Screen, lists: Shortlists) -> NDArray[np.bool_]:
    """Return whether more is uncertain of the k-th lowest sum of each row by rounding than by distortion."""
    uncertain: NDArray[np.bool_] = rows.margins > screen.distortion * (rows.terms + lists.lowest[:, 0])
    return uncertain


def _product(rows: ScreenedRows, screen: Screen, columns: slice | Places) -> FloatArray:
    """Return the scores of some columns, in memory that is valid until this thread makes the next ones."""
    right, terms = screen.right[columns], screen.right_terms[columns]
    scores = _workspace.array((len(rows.factor), len(right)), right.dtype)
    np.matmul(rows.factor, right.T, out=scores)
    scores += terms
    return scores


def lowest_of_each(i: Places, j: Places, values: FloatArray, n: int, k: int) -> FloatArray:
    """Return the k lowest values of each row and their columns; NaN for a row with fewer.

    Of equal values the lower columns come first. The rows ``i`` of the values are in ascending order, and so are the
    columns ``j`` within each.
    """
    counts = np.bincount(i, minlength=n)
    table = np.full((n, max(k, int(counts.max(initial=0)))), np.inf)
    starts = np.cumsum(counts) - counts
    table[i, np.arange(len(i)) - starts[i]] = values
    rows = np.flatnonzero(counts >= k)
    places = starts[rows, np.newaxis] + table[rows].argsort(axis=1, kind="stable")[:, :k]
    found = np.full((2, n, k), np.nan)
    found[0, rows], found[1, rows] = values[places], j[places]
    return found


# --- Tasks ---


def nearest(search: Search, P: Distributions, n_neighbors: int, n_jobs: int | None) -> tuple[FloatArray, Places]:
    """Return the divergences and the positions of the nearest rows for each row of P, as `Search.nearest` does."""
    values = np.empty((len(P), n_neighbors), dtype=P.dtype)
    columns = np.empty((len(P), n_neighbors), dtype=np.intp)
    if n_neighbors == 0:
        return values, columns
    _run(search.nearest, search, P, n_neighbors, _IntoTwo(values, columns), n_jobs)
    return values, columns


def within(search: Search, P: Distributions, radius: float, n_jobs: int | None) -> sp.csr_array:
    """Return the divergences of at most a radius for all rows of P, as `Search.within` does."""
    found = _IntoParts(len(P), radius)
    _run(search.within, search, P, radius, found, n_jobs, result_bytes=2**21)
    with found.enough_memory():
        return sp.vstack([found.parts[start] for start in sorted(found.parts)], format="csr")


def _run(
    function: Callable[..., Any],
    search: Search,
    P: Distributions,
    argument: float,
    store: Store[slice],
    n_jobs: int | None,
    *,
    result_bytes: int = 2**16,
) -> None:
    """Call ``function(rows, places, argument)`` for some rows of P at a time, and store what it returns."""

    def calls() -> Iterator[tuple[slice, tuple[Any, ...]]]:
        """Yield each slice of rows with the arguments."""
        for start in range(0, len(P), search.rows_of_task):
            some = slice(start, min(start + search.rows_of_task, len(P)))
            yield some, (P[some], np.arange(some.start, some.stop), argument)

    n_calls = -(-len(P) // search.rows_of_task)
    nanoseconds = NANOSECONDS * len(P) * len(search.Q) * P.shape[1]
    run(function, calls(), store, Work(result_bytes, lambda: nanoseconds, True, n_calls, "neighbors"), n_jobs=n_jobs)


@dataclass(frozen=True)
class _IntoTwo:
    """A store that puts divergences and positions of the nearest into two arrays, at a slice of rows."""

    values: FloatArray
    columns: NDArray[np.intp]

    def target(self, rows: slice) -> None:
        """Return None: a result has two parts."""

    def __call__(self, rows: slice, found: FloatArray) -> None:
        """Store the result of a task."""
        self.values[rows], self.columns[rows] = found


@dataclass
class _IntoParts:
    """A store that keeps the pairs within a radius of some of n rows, by the first row of their slice."""

    n: int
    radius: float
    parts: dict[int, sp.csr_array] = field(default_factory=dict, init=False)
    _n_rows: int = field(default=0, init=False)
    _n_pairs: int = field(default=0, init=False)
    _n_bytes: int = field(default=0, init=False)
    _lock: Any = field(default_factory=Lock, init=False)

    def target(self, rows: slice) -> None:
        """Return None: the size of a result is not known."""

    def __call__(self, rows: slice, found: sp.csr_array) -> None:
        """Store the result of a task, unless there is too little memory to put together what is stored."""
        with self._lock:
            self._n_rows += found.shape[0]
            self._n_pairs += found.nnz
            self._n_bytes += found.data.nbytes + found.indices.nbytes
            with self.enough_memory():
                self.parts[rows.start] = found

    def enough_memory(self) -> AbstractContextManager[None]:
        """Refuse to put the stored pairs together if there is too little memory."""
        return enough_memory(
            self._n_bytes,
            f"The result with {self._n_pairs} pairs within radius = {self.radius} for {self._n_rows} of {self.n} rows",
            "Use a smaller radius, or nearest_divergences, which finds a given number for each row, or pass some rows "
            "of X at a time.",
        )
