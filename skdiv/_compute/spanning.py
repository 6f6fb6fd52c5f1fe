"""The exact minimum spanning tree of the divergences between all rows of a collection, without their matrix.

Most of its edges lead to near neighbours. Borůvka's algorithm (1926) joins each component with another by the shortest
edge that leaves it. A row whose list of neighbours reaches outside its component knows the shortest edge from itself; a
row whose list does not knows that this edge is no shorter than the last in the list. So components are joined as long
as an edge is certain. What remains are components that lie apart: one more pass over all pairs bounds the shortest edge
between each two of them, and Kruskal's algorithm (1956) asks for those edges alone that it needs. Where these are too
many, as for components that are equally far from each other, a pass over the divergences of all pairs finds all edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from skdiv._compute.duplicates import EqualRows
from skdiv._compute.measure import Measure
from skdiv._compute.run import Work, run
from skdiv._compute.search import NANOSECONDS, Search, nearest
from skdiv._input.distributions import Distributions
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.typing import FloatArray, Places

_NEIGHBOURS = 10  # in the first lists
_MORE = 4  # the factor of the length of the lists if too many components remain
_NANOSECONDS_OF_TERM = 1.0  # the time for one pair and one bin where no pair is left out, roughly
_PAIRS_OF_CALL = 2**13  # to look for one shortest edge takes as long as the divergences of so many pairs, at the least


class Edges(NamedTuple):
    """Edges between rows: two of them, and their divergence, for each edge."""

    i: Places
    j: Places
    lengths: FloatArray


def spanning_tree(measure: Measure, rows: Distributions, n_jobs: int | None) -> Edges:
    """Return the n − 1 edges of a minimum spanning tree of n rows, in ascending order of their lengths.

    The measure must be symmetric. Of equal rows, each after the first is joined to the first by an edge of length 0.
    """
    groups = EqualRows.of(rows)
    first = groups.first
    if measure.divergence.fast is None or len(first) == len(rows):
        edges = _of_distinct(measure, rows, n_jobs)
    else:
        others = np.flatnonzero(first[groups.of_row] != np.arange(len(rows)))
        i, j, lengths = _of_distinct(measure, rows[first], n_jobs)
        edges = Edges(
            np.concatenate([first[groups.of_row[others]], first[i]]),
            np.concatenate([others, first[j]]),
            np.concatenate([np.zeros(len(others), dtype=lengths.dtype), lengths]),
        )
    order = np.argsort(edges.lengths, kind="stable")
    ordered = _picked(edges, order)
    return ordered._replace(lengths=ordered.lengths.astype(rows.dtype, copy=False))


def _picked(edges: Edges, places: Any) -> Edges:
    """Return the edges at these places."""
    return Edges(edges.i[places], edges.j[places], edges.lengths[places])


def _of_distinct(measure: Measure, rows: Distributions, n_jobs: int | None) -> Edges:
    """Return the edges of a minimum spanning tree of different rows."""
    n, n_neighbors = len(rows), _NEIGHBOURS
    forest = _Forest(n)
    search = Search.of(measure, rows, None, reverse=False)
    most = int((n * rows.shape[1]) ** 0.5)  # so that the table of pairs of components is no larger than the rows
    while forest.n_components > 1:
        n_neighbors = min(n_neighbors, n - 1)
        forest.join_by_neighbours(*nearest(search, rows, n_neighbors, n_jobs))
        if forest.n_components <= most:
            break
        n_neighbors *= _MORE
    if forest.n_components > 1:
        _join_components(forest, search, n_jobs)
    return forest.edges()


class _Forest:
    """A forest that grows to a spanning tree of n rows; ``labels`` says in which component each row is."""

    def __init__(self, n: int) -> None:
        self.labels: Places = np.arange(n)
        self.n_components = n
        self._parts: list[Edges] = []

    def edges(self) -> Edges:
        """Return all edges that have been added."""
        none = np.empty(0, dtype=np.intp)
        i, j, lengths = zip(*(self._parts or [Edges(none, none, np.empty(0))]), strict=True)
        return Edges(np.concatenate(i), np.concatenate(j), np.concatenate(lengths))

    def add(self, edges: Edges) -> None:
        """Add edges, each of which is a shortest one that leaves some component; those that close a cycle are left out.

        In ascending order of their lengths it is safe to add one after another, of edges of equal length too.
        """
        order = np.argsort(edges.lengths, kind="stable")
        parent = np.arange(self.n_components).tolist()
        kept = []
        for edge, a, b in zip(
            order.tolist(), self.labels[edges.i[order]].tolist(), self.labels[edges.j[order]].tolist(), strict=True
        ):
            one, other = _root(parent, a), _root(parent, b)
            if one != other:
                parent[one] = other
                kept.append(edge)
        self._parts.append(_picked(edges, kept))
        roots = np.array([_root(parent, label) for label in range(self.n_components)])
        names, numbered = np.unique(roots, return_inverse=True)
        self.labels, self.n_components = numbered[self.labels], len(names)

    def join_by_neighbours(self, lengths: FloatArray, neighbours: Places) -> None:
        """Join components by the shortest edges that leave them, as long as lists of neighbours make one certain."""
        rows = np.arange(len(self.labels))
        while self.n_components > 1:
            outside = self.labels[neighbours] != self.labels[:, np.newaxis]
            place = outside.argmax(axis=1)
            leaves = outside[rows, place]
            candidates = np.where(leaves, lengths[rows, place], np.inf)
            bounds = np.full(self.n_components, np.inf)
            np.minimum.at(bounds, self.labels[~leaves], lengths[~leaves, -1])
            order = np.lexsort((candidates, self.labels))
            best = order[np.flatnonzero(np.diff(self.labels[order], prepend=-1))]  # one row of each component
            certain = best[(candidates[best] <= bounds) & leaves[best]]
            if not certain.size:
                return
            self.add(Edges(certain, neighbours[certain, place[certain]], candidates[certain]))


def _root(parent: list[int], place: int) -> int:
    """Return the root of a tree of names, and shorten the path to it."""
    while parent[place] != place:
        parent[place] = place = parent[parent[place]]
    return place


# --- Components that lie apart ---


def _join_components(forest: _Forest, search: Search, n_jobs: int | None) -> None:
    """Join all components of a forest by the shortest edges between them."""
    order = np.argsort(forest.labels, kind="stable")
    starts = np.searchsorted(forest.labels[order], np.arange(forest.n_components + 1))
    parts = _Parts(search, order, starts)
    lower, upper = parts.bounds(n_jobs)
    if np.count_nonzero(_may_be_needed(lower, upper)) * _PAIRS_OF_CALL > len(order) ** 2 / 2:
        edges = parts.shortest_edges(n_jobs)
    else:
        edges = _asked_one_by_one(parts, lower, upper, n_jobs)
    forest.add(Edges(order[edges.i], order[edges.j], edges.lengths.astype(search.Q.dtype)))


def _may_be_needed(lower: FloatArray, upper: FloatArray) -> NDArray[np.bool_]:
    """Return for each two components whether Kruskal's algorithm may ask for their shortest edge.

    It does not if the two are connected by edges which are all shorter than the lower bound. The longest edge on the
    best of these paths is, by upper bounds, the height at which single linkage joins the components.
    """
    pairs = np.triu_indices(len(lower), 1)
    tree = hierarchy.linkage(np.minimum(upper[pairs], np.finfo(upper.dtype).max), "single")
    needed: NDArray[np.bool_] = lower[pairs] <= hierarchy.cophenet(tree)
    return needed


def _asked_one_by_one(parts: _Parts, lower: FloatArray, upper: FloatArray, n_jobs: int | None) -> Edges:
    """Return the edges of a minimum spanning tree of components, whose shortest edges are asked for one by one.

    A heap holds for each two components a lower bound of the shortest edge between them. Kruskal's algorithm takes the
    lowest; if that is a bound, the edge is computed and put back with its length.
    """
    a, b = np.triu_indices(len(lower), 1)
    heap: list[tuple[float, int, int, tuple[int, int] | None]]
    heap = list(zip(lower[a, b].tolist(), a.tolist(), b.tolist(), [None] * len(a), strict=True))
    heapify(heap)
    parent, found = list(range(len(lower))), list[tuple[int, int, float]]()
    while len(found) < len(lower) - 1:
        length, one, other, edge = heappop(heap)
        if _root(parent, one) == _root(parent, other):
            continue
        if edge is None:
            length, i, j = parts.shortest_edge(one, other, float(upper[one, other]), n_jobs)
            heappush(heap, (length, one, other, (i, j)))
            continue
        parent[_root(parent, one)] = _root(parent, other)
        found.append((*edge, length))
    return Edges(*(np.array(column) for column in zip(*found, strict=True)))


@dataclass(frozen=True)
class _Parts:
    """The components of a forest of the rows of a search.

    ``order`` lists the rows one component after another, and ``starts`` says where each begins. Edges are between
    places in this order.
    """

    search: Search
    order: Places
    starts: Places

    def bounds(self, n_jobs: int | None) -> FloatArray:
        """Return bounds of the length of the shortest edge between each component and each later one.

        The result has the shape (2, n_components, n_components), lower bounds first.
        """
        n_parts = len(self.starts) - 1
        table = np.full((2, n_parts, n_parts), np.inf)
        work = Work(2**16, lambda: NANOSECONDS * self._work, True, self._n_calls, "bounds")
        run(self.bounds_of, self._calls(), _IntoMinima(table), work, n_jobs=n_jobs)
        return table

    def shortest_edges(self, n_jobs: int | None) -> Edges:
        """Return the shortest edge between each component and each later one, from the divergences of all pairs.

        Of edges of equal length it is the one that comes first in the order of the rows.
        """
        n, n_parts = int(self.starts[-1]), len(self.starts) - 1
        table = np.full((2, n_parts, n_parts), np.inf)
        work = Work(2**16, lambda: _NANOSECONDS_OF_TERM * self._work, n_calls=self._n_calls)
        run(self.edges_of, self._calls(), _IntoShortest(table), work, n_jobs=n_jobs)
        lengths, places = table[:, *np.triu_indices(n_parts, 1)]
        i, j = np.divmod(places.astype(np.intp), n)
        return Edges(i, j, lengths)

    @property
    def _work(self) -> float:
        """Return the number of pairs of rows times the number of bins."""
        n, n_bins = self.search.Q.shape
        return n * n / 2 * n_bins

    @property
    def _n_calls(self) -> int:
        """Return how many calls `_calls` yields."""
        return -(-int(self.starts[-1]) // self.search.rows_of_task)

    def _calls(self) -> Iterator[tuple[slice, tuple[Any, ...]]]:
        """Yield some rows at a time, and as the key which components they meet."""
        n, step = int(self.starts[-1]), self.search.rows_of_task
        for start in range(0, n, step):
            some = slice(start, min(start + step, n))
            yield self._parts_of(some), (self.search.Q[self.order[some]], some)

    def _parts_of(self, rows: slice) -> slice:
        """Return which components some rows meet."""
        first = int(np.searchsorted(self.starts, rows.start, side="right")) - 1
        return slice(first, int(np.searchsorted(self.starts, rows.stop, side="left")))

    def _cuts(self, rows: slice) -> Places:
        """Return where the components begin among some rows, the first of which is at 0."""
        cuts: Places = np.maximum(self.starts[self._parts_of(rows)] - rows.start, 0)
        return cuts

    def bounds_of(self, P: Distributions, rows: slice) -> FloatArray:
        """Return the bounds for the components that some rows meet: a task of `bounds`."""
        table = np.full((2, len(P), len(self.starts) - 1), np.inf)
        first = self.starts[self._parts_of(rows).start]
        tiles = [columns for columns in self.search.tiles() if columns.stop > first]
        with one_blas_thread():
            bounds = self.search.bounds_in_parts(P, ((self.order[some], self._cuts(some)) for some in tiles))
            for columns, of_columns in zip(tiles, bounds, strict=True):
                parts = table[:, :, self._parts_of(columns)]
                np.minimum(parts, of_columns, out=parts)
        minima: FloatArray = np.minimum.reduceat(table, self._cuts(rows), axis=1)
        return minima

    def edges_of(self, P: Distributions, rows: slice) -> FloatArray:
        """Return lengths and places of the shortest edges for the components that some rows meet: a task.

        The place of the edge between the rows i and j of n is i · n + j.
        """
        parts, n = self._parts_of(rows), int(self.starts[-1])
        table = np.full((2, parts.stop - parts.start, len(self.starts) - 1), np.inf)
        with one_blas_thread():
            for columns in self.search.tiles():
                if columns.stop > self.starts[parts.start]:
                    values = self.search.block(P, self.order[columns])
                    lengths, i, j = _first_minima(values, self._cuts(rows), self._cuts(columns))
                    places = (rows.start + i) * n + columns.start + j
                    _keep_shorter(table[:, :, self._parts_of(columns)], lengths, places)
        return table

    def shortest_edge(self, one: int, other: int, at_most: float, n_jobs: int | None) -> tuple[float, int, int]:
        """Return the length and the places of the shortest edge between two components, known to be ``at_most``."""
        left, right = (self._slices(part) for part in (one, other))
        n_pairs = (left[-1].stop - left[0].start) * (right[-1].stop - right[0].start)
        calls = ((None, (rows, columns, at_most)) for rows in left for columns in right)
        found: list[tuple[float, int, int]] = []
        work = Work(2**16, lambda: NANOSECONDS * n_pairs * self.search.Q.shape[1], blas_bound=True)
        run(self.lowest_between, calls, _IntoList(found), work, n_jobs=n_jobs)
        edges = [edge for edge in found if edge[1] >= 0]
        if not edges:
            raise RuntimeError(
                f"No edge of at most {at_most} was found between two components, though one was expected."
            )
        return min(edges)

    def lowest_between(self, rows: slice, columns: slice, at_most: float) -> FloatArray:
        """Return the lowest divergence between some rows and others, and their places: a task."""
        with one_blas_thread():
            lowest = self.search.lowest_between(self.order[rows], self.order[columns], at_most)
        return np.add(lowest, [0, rows.start, columns.start]) if lowest[1] >= 0 else lowest

    def _slices(self, part: int) -> list[slice]:
        """Return the rows of a component as slices of not too many rows."""
        start, stop, step = int(self.starts[part]), int(self.starts[part + 1]), self.search.rows_of_task
        return [slice(some, min(some + step, stop)) for some in range(start, stop, step)]


def _first_minima(values: FloatArray, row_cuts: Places, column_cuts: Places) -> tuple[FloatArray, Places, Places]:
    """Return the least value of each part of a matrix, and the first row and column where it is.

    The parts begin at these rows and columns; the results have the shape (n_row_parts, n_column_parts).
    """
    minima = np.minimum.reduceat(np.minimum.reduceat(values, column_cuts, axis=1), row_cuts, axis=0)
    row_part, column_part = (
        np.repeat(np.arange(len(cuts)), np.diff(cuts, append=size))
        for cuts, size in zip((row_cuts, column_cuts), values.shape, strict=True)
    )
    i, j = np.nonzero(values == minima[row_part[:, np.newaxis], column_part])
    first = np.empty((2, *minima.shape), dtype=np.intp)
    first[:, row_part[i[::-1]], column_part[j[::-1]]] = i[::-1], j[::-1]  # What is assigned last remains.
    return minima, first[0], first[1]


def _keep_shorter(table: FloatArray, lengths: FloatArray, places: Any) -> None:
    """Replace the lengths and the places in a table by others that are shorter, or as short and come before."""
    shorter = (lengths < table[0]) | ((lengths == table[0]) & (places < table[1]))
    table[0][shorter], table[1][shorter] = lengths[shorter], places[shorter]


@dataclass(frozen=True)
class _IntoShortest:
    """A store that keeps the shortest edges of results, at slices of the second axis of a table."""

    table: FloatArray
    _lock: Any = field(default_factory=Lock, init=False)  # since two tasks may share a component

    def target(self, some: slice) -> None:
        """Return None: a result is combined with those of other tasks."""

    def __call__(self, some: slice, edges: FloatArray) -> None:
        """Combine a result with the table."""
        with self._lock:
            _keep_shorter(self.table[:, some], *edges)


@dataclass(frozen=True)
class _IntoList:
    """A store that appends the length and the rows of an edge to a list."""

    found: list[tuple[float, int, int]]

    def target(self, _: None) -> None:
        """Return None: the edges of all tasks are compared when they are there."""

    def __call__(self, _: None, edge: FloatArray) -> None:
        """Append the edge."""
        self.found.append((float(edge[0]), int(edge[1]), int(edge[2])))


@dataclass(frozen=True)
class _IntoMinima:
    """A store that keeps the minima of results, at slices of the second axis of a table."""

    table: FloatArray
    _lock: Any = field(default_factory=Lock, init=False)  # since two tasks may share a component

    def target(self, some: slice) -> None:
        """Return None: a result is combined with those of other tasks."""

    def __call__(self, some: slice, values: FloatArray) -> None:
        """Combine a result with the table."""
        with self._lock:
            part = self.table[:, some]
            np.minimum(part, values, out=part)
