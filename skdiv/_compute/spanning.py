"""The exact minimum spanning tree of the divergences between all rows of a collection, without their matrix.

Most of its edges lead to near neighbours. Borůvka's algorithm (1926) joins each component with another by the shortest
edge that leaves it. A row whose list of neighbours reaches outside its component knows the shortest edge from itself; a
row whose list does not knows that this edge is no shorter than the last in the list. So components are joined as long
as an edge is certain. What remains are components that lie apart: one more pass over all pairs bounds the shortest edge
between each two of them, and Kruskal's algorithm (1956) asks for those edges alone that it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from skdiv._compute.duplicates import EqualRows
from skdiv._compute.measure import Measure
from skdiv._compute.run import Work, run
from skdiv._compute.search import NANOSECONDS, ROWS, Search, nearest
from skdiv._input.distributions import Distributions
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.typing import FloatArray, Places

_NEIGHBOURS = 10  # in the first lists
_MORE = 4  # the factor of the length of the lists if too many components remain
_PART = 2048  # the largest number of rows of a component that are compared with such a number of another at a time


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
        _join_components(forest, measure, rows, n_jobs)
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


def _join_components(forest: _Forest, measure: Measure, rows: Distributions, n_jobs: int | None) -> None:
    """Join all components of a forest by the shortest edges between them.

    A heap holds for each two components a lower bound of the shortest edge between them. Kruskal's algorithm takes the
    lowest; if that is a bound, the edge is computed and put back with its length.
    """
    order = np.argsort(forest.labels, kind="stable")
    starts = np.searchsorted(forest.labels[order], np.arange(forest.n_components + 1))
    search = Search.of(measure, rows[order], None, reverse=False)
    parts = _Parts(search, starts)
    lower, upper = parts.bounds(n_jobs)
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
    left, right, lengths = (np.array(column) for column in zip(*found, strict=True))
    forest.add(Edges(order[left], order[right], lengths.astype(rows.dtype)))


@dataclass(frozen=True)
class _Parts:
    """The components of a forest, whose rows lie one component after another; ``starts`` says where each begins."""

    search: Search
    starts: Places

    def bounds(self, n_jobs: int | None) -> FloatArray:
        """Return bounds of the length of the shortest edge between each component and each later one.

        The result has the shape (2, n_components, n_components), lower bounds first.
        """
        n, n_parts = int(self.starts[-1]), len(self.starts) - 1
        table = np.full((2, n_parts, n_parts), np.inf)

        def calls() -> Iterator[tuple[slice, tuple[Any, ...]]]:
            """Yield some rows at a time."""
            for start in range(0, n, ROWS):
                some = slice(start, min(start + ROWS, n))
                yield self._parts_of(some), (self.search.Q[some], some)

        work = Work(2**16, lambda: NANOSECONDS * n * n / 2 * self.search.Q.shape[1], blas_bound=True)
        run(self.bounds_of, calls(), _IntoMinima(table), work, n_jobs=n_jobs)
        return table

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
        with one_blas_thread():
            for columns in self.search.tiles():
                if columns.stop > first:
                    parts = table[:, :, self._parts_of(columns)]
                    places = np.arange(rows.start, rows.stop)
                    bounds = self.search.bounds_in_parts(P, places, columns, self._cuts(columns))
                    np.minimum(parts, bounds, out=parts)
        minima: FloatArray = np.minimum.reduceat(table, self._cuts(rows), axis=1)
        return minima

    def shortest_edge(self, one: int, other: int, at_most: float, n_jobs: int | None) -> tuple[float, int, int]:
        """Return the length and the rows of the shortest edge between two components, known to be ``at_most``."""
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
        """Return the lowest divergence between some rows and others, and its row and column: a task."""
        with one_blas_thread():
            return self.search.lowest_between(rows, columns, at_most)

    def _slices(self, part: int) -> list[slice]:
        """Return the rows of a component as slices of at most `_PART` rows."""
        start, stop = int(self.starts[part]), int(self.starts[part + 1])
        return [slice(some, min(some + _PART, stop)) for some in range(start, stop, _PART)]


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
