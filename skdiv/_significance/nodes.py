"""The nodes of a tree are tested from the top down, and the tree is cut where a node is not significant.

The tables of a large node are drawn in chunks by several workers. Small nodes are many, and each takes little time, so
one worker tests a small node and all nodes below it. Each chunk of tables of a node has its own seed, and its size
depends on the test and on the size of the table alone, so that the result is the same whoever does what.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from skdiv._input.names import Names
from skdiv._significance.heights import TreeHeights
from skdiv._significance.nulls import Null, Rows
from skdiv._significance.sequential import SequentialTest, is_significant
from skdiv._trees.cut import Cut
from skdiv._utils.progress import Advance, silent, stage, verbosity
from skdiv._utils.typing import FloatArray, Labels
from skdiv._utils.warnings import warn_caller

_FIRST = 32  # the largest number of tables in a chunk before any is known, for few may settle the test
_CELLS = 2**18  # the largest size of all tables of a chunk, unless one table is larger
_SMALL = 32  # a node of so many rows or fewer is tested by one worker, with all nodes below it


class Node(NamedTuple):
    """A node of a tree, by its number in SciPy's Z, and its rows in the order of the leaves."""

    number: int
    members: NDArray[np.intp]

    def children(self, tree: FloatArray) -> list[Node]:
        """Return the two nodes that it merges; the members of the left one come first."""
        n = len(tree) + 1
        left, right = (int(child) for child in tree[self.number - n, :2])
        n_left = 1 if left < n else int(tree[left - n, 3])
        return [Node(left, self.members[:n_left]), Node(right, self.members[n_left:])]


def root_of(tree: FloatArray) -> Node:
    """Return the node of all rows."""
    return Node(2 * len(tree), hierarchy.leaves_list(tree).astype(np.intp))


@dataclass(frozen=True)
class NodeTests:
    """The tests of nodes of one tree.

    A node of m of the n rows is tested at the level alpha (m − 1) / (n − 1), with ``n_resamples`` tables or more. The
    probability of any false split is then alpha at the most (P. K. Kimes et al. 2017).
    """

    alpha: float
    n_resamples: int
    seed: int
    heights: TreeHeights

    def of_subtree(self, rows: Rows, node: Node, tree: FloatArray, advance: Advance) -> dict[int, float]:
        """Return the p-value of a node, and those of the nodes below it as long as the ones above are significant.

        ``rows`` are those of the node, in the order in which they are in the whole. In the end as many merges have been
        reported to ``advance`` as p-values are returned.
        """
        pvalues: dict[int, float] = {}
        places, nodes = np.sort(node.members), [node]
        while nodes:
            some = nodes.pop()
            if len(some.members) == 1:
                continue
            of_some = rows.some(np.searchsorted(places, np.sort(some.members)))
            pvalues[some.number] = self.of_node(of_some, some, tree, _in_turn, advance)
            if self.splits(some, pvalues[some.number], tree):
                nodes += some.children(tree)
        return pvalues

    def of_node(self, rows: Rows, node: Node, tree: FloatArray, run: _Run, advance: Advance) -> float:
        """Return the p-value of a node, whose ``rows`` these are.

        ``run`` runs tasks of which each draws some tables; in the end one merge has been reported to ``advance``.
        """
        null, test = rows.null(), SequentialTest.at(self.level(node, tree), self.n_resamples)
        (height,) = self.heights(rows.observed())
        tasks = (delayed(self._drawn)(null, n, (node.number, k)) for k, n in enumerate(_chunks(null.size, test)))
        with closing(_reported(run(tasks), test.n_early, advance)) as heights:
            return test.pvalue(float(height), heights)

    def _drawn(self, null: Null, n: int, key: tuple[int, int]) -> FloatArray:
        """Return the heights of n tables that are drawn from the seed with this key."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
        return self.heights(null.drawn(n, rng))

    def level(self, node: Node, tree: FloatArray) -> float:
        """Return the level at which a node is tested."""
        return self.alpha * (len(node.members) - 1) / len(tree)

    def splits(self, node: Node, pvalue: float, tree: FloatArray) -> bool:
        """Return whether a node with this p-value is significant."""
        return is_significant(pvalue, self.level(node, tree))

    def labels(self, tree: FloatArray, pvalues: FloatArray) -> Labels:
        """Return the labels of the rows, from the p-values of the nodes; clusters are numbered by their first rows."""
        labels, nodes = np.empty(len(tree) + 1, dtype=np.intp), [root_of(tree)]
        while nodes:
            node = nodes.pop()
            labels[node.members] = node.members.min()
            if len(node.members) > 1 and self.splits(node, pvalues[node.number - len(tree) - 1], tree):
                nodes += node.children(tree)
        numbered: Labels = np.unique(labels, return_inverse=True)[1]
        return numbered


def _chunks(size: int, test: SequentialTest) -> Iterator[int]:
    """Yield the numbers of tables of some size to be drawn one after another; one chunk ends where luck may end it."""
    drawn, most = 0, max(1, _CELLS // size)
    while drawn < test.n_most:
        size = min(
            most if drawn else min(most, _FIRST), (test.n_early if drawn < test.n_early else test.n_most) - drawn
        )
        yield size
        drawn += size


_Run = Callable[[Iterator[Any]], Iterator[FloatArray]]  # the tasks are joblib's delayed calls


def _in_turn(tasks: Iterator[Any]) -> Iterator[FloatArray]:
    """Run each task when its result is asked for."""
    for function, arguments, _ in tasks:
        yield function(*arguments)


def _by_workers(parallel: Parallel) -> _Run:
    """Return a function that runs the first task here, for it may be the last, and then as many as there are workers.

    Results come in the order of the tasks.
    """

    def run(tasks: Iterator[Any]) -> Iterator[FloatArray]:
        """Run the tasks."""
        yield from _in_turn(islice(tasks, 1))
        while some := list(islice(tasks, parallel.n_jobs)):
            yield from _in_turn(iter(some)) if parallel.n_jobs == 1 else parallel(some)

    return run


def _reported(parts: Iterator[FloatArray], n: int, advance: Advance) -> Generator[FloatArray]:
    """Yield parts of heights, and report each height as the n-th part of one merge, and at the end its rest."""
    drawn = 0
    try:
        for part in parts:
            advance(max(0, min(n - drawn, len(part))) / n)
            drawn += len(part)
            yield part
    finally:
        advance(max(0, 1 - drawn / n))


@dataclass(frozen=True)
class SignificanceCut:
    """The rule that cuts a tree by tests of its nodes; ``rows`` are the observed rows that it was built of."""

    tests: NodeTests
    rows: Rows
    names: Names
    n_jobs: int | None

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree from the top down, and return the labels of the rows and the p-value of each node.

        A node whose test is significant is split, and its two children are tested in turn; any other node becomes a
        cluster. The nodes below a cluster are not tested, and their p-values are NaN.
        """
        pvalues = np.full(len(tree), np.nan)
        with stage("significance", len(tree)) as advance, self._workers(advance) as parallel:
            small = self._test_large(tree, pvalues, parallel, advance)
            self._test_small(small, tree, pvalues, parallel, advance)
        self._warn_of_the_untestable(tree, pvalues)
        return Cut(self.tests.labels(tree, pvalues), pvalues)

    def _workers(self, advance: Advance) -> Parallel:
        """Return joblib's workers, which print nothing if somebody follows the progress."""
        return Parallel(n_jobs=effective_n_jobs(self.n_jobs), **verbosity(advance))

    def _rows_of(self, node: Node) -> Rows:
        """Return the rows of a node."""
        return self.rows.some(np.sort(node.members))

    def _test_large(self, tree: FloatArray, pvalues: FloatArray, parallel: Parallel, advance: Advance) -> list[Node]:
        """Test the large nodes, and return the small ones that are to be tested."""
        small, nodes, run = [], [root_of(tree)], _by_workers(parallel)
        while nodes:
            node = nodes.pop()
            if len(node.members) <= _SMALL:
                small.append(node)
                continue
            pvalue = pvalues[node.number - len(tree) - 1] = self.tests.of_node(
                self._rows_of(node), node, tree, run, advance
            )
            if self.tests.splits(node, pvalue, tree):
                nodes += node.children(tree)
            else:
                advance(len(node.members) - 2)  # The merges below the node will not be tested.
        return [node for node in small if len(node.members) > 1]

    def _test_small(
        self, nodes: list[Node], tree: FloatArray, pvalues: FloatArray, parallel: Parallel, advance: Advance
    ) -> None:
        """Test the small nodes, and those below them; the largest come first, so that all workers end together."""
        tasks = [(self._rows_of(node), node, tree) for node in sorted(nodes, key=lambda node: -len(node.members))]
        here = parallel.n_jobs == 1 or len(tasks) == 1  # so that progress can be reported node by node
        step = 1 if here else 4 * parallel.n_jobs
        for start in range(0, len(tasks), step):
            some = tasks[start : start + step]
            calls = [delayed(self.tests.of_subtree)(*task, advance if here else silent) for task in some]
            results = _in_turn(iter(calls)) if here else parallel(calls)
            for (_, node, _), found in zip(some, results, strict=True):
                pvalues[np.array(list(found)) - len(tree) - 1] = list(found.values())
                advance(len(node.members) - 1 - (len(found) if here else 0))

    def _warn_of_the_untestable(self, tree: FloatArray, pvalues: FloatArray) -> None:
        """Warn of nodes that were tested although no p-value could be as low as their level."""
        n, found, nodes = len(tree) + 1, [], [root_of(tree)]
        while nodes:
            node = nodes.pop()
            if len(node.members) == 1:
                continue
            if self.tests.splits(node, pvalues[node.number - n], tree):
                nodes += node.children(tree)
            elif self._rows_of(node).least_pvalue() > self.tests.level(node, tree):
                found.append(node)
        if found:
            node = min(found, key=lambda node: len(node.members))
            rows = ", ".join(map(self.names.row, np.sort(node.members)[:3])) + (", …" if len(node.members) > 3 else "")
            warn_caller(
                f"{len(found)} clusters were not split for want of blocks: those of {rows} can be arranged in so few "
                f"ways that no p-value is below {self._rows_of(node).least_pvalue():.2g}, and the level is "
                f"{self.tests.level(node, tree):.2g}. Divide the rows into more blocks."
            )
