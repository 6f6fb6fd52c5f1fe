"""Find how many clusters counts can justify, by a test at every node of the tree, from the top down."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.stats import random_table
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_scalar

from skdiv._compute.measure import Measure
from skdiv._input.checks import Names, as_counts
from skdiv._input.distributions import normalise
from skdiv._trees.build import tree_of_rows
from skdiv._trees.cut import Cut
from skdiv._utils.progress import Advance, stage, verbosity
from skdiv._utils.typing import FloatArray
from skdiv._version import __version__

_CHUNK = 32  # the number of tables that are drawn from one seed
_MOST = 3e9  # the largest number of observations in a table: SciPy multiplies two totals in 64 bits
_TIE = 1e-9  # relative: heights so close are taken as equal, for rounding may have made them differ


class Significance(BaseEstimator):
    """The rule that a cluster is split where its counts could not have come from one distribution.

    For ``n_clusters`` of `DivergenceClustering`, when the rows are counts. From the top of the tree down, the highest
    merge of each node is compared with that of tables drawn under the hypothesis that all rows of the node have one
    distribution: tables with the same totals of rows and of bins, put through the same linkage. Where that merge is not
    significantly higher, the node is a cluster. Drawing with both totals kept makes the test exact, whatever the common
    distribution and however few the counts.

    Parameters
    ----------
    alpha : float, default=0.05
        The probability, at most, of splitting any node whose rows have one distribution. A node of m of the n rows is
        tested at the level alpha (m - 1) / (n - 1).
    n_resamples : int, default=999
        Number of tables, at least: a node whose level is so low that no p-value of so many could reach it gets more.
        Drawing ends early where the outcome is settled.
    random_state : int, RandomState instance or None, default=None
        Seed of the tables. The result is the same for any number of workers.

    See Also
    --------
    pairwise_homogeneity : Tests of two rows at a time.

    Notes
    -----
    The test takes time: for each node that is split some thousand tables are drawn, and a tree is built of each. A
    node that is not split takes a few tables. With one worker and 1,000 observations a row in 64 bins, 100 rows from
    three distributions take 3 seconds. Where all rows differ, every node is split: 50 rows take 15 seconds, 100 take
    40 and 200 take two minutes. Many bins with many observations take longer: of `load_languages`, in 26,427 bins, 4
    rows take 6 seconds and 8 take 23. ``n_jobs`` spreads the tables of a node over workers. A lower ``n_resamples``
    spares tables of large nodes alone, for a small node gets at least as many as its level needs.

    To see how far the test is, fit within ``joblib.parallel_config(verbose=10)``: a line is then printed for each
    hundredth of the merges that are settled, because they have been tested, or lie within a cluster that is not split.

    References
    ----------
    P. K. Kimes et al., "Statistical Significance for Hierarchical Clustering", Biometrics 73 (2017).
    I. N. Grabski, K. Street and R. A. Irizarry, "Significance analysis for clustering with single-cell RNA-sequencing
    data", Nature Methods 20 (2023).
    W. M. Patefield, "An Efficient Method of Generating Random R × C Tables with Given Row and Column Totals", Applied
    Statistics 30 (1981).

    Examples
    --------
    >>> import numpy as np
    >>> from skdiv import DivergenceClustering, Significance
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.multinomial(200, p, size=5) for p in ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5])])
    >>> rule = Significance(alpha=0.01, random_state=0)
    >>> DivergenceClustering(n_clusters=rule).fit_predict(X)
    array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    """

    def __init__(self, alpha: float = 0.05, n_resamples: int = 999, random_state: Any = None) -> None:
        self.alpha = alpha
        self.n_resamples = n_resamples
        self.random_state = random_state


@dataclass(frozen=True)
class Null:
    """The null hypothesis that some rows of counts have one distribution: tables are drawn under it, and trees built.

    Each table has the ``row_totals`` and the ``bin_totals`` that were observed. Its tree is built like that of the
    counts, with the same masses, measure, linkage and pseudocount, from dense or sparse rows.
    """

    row_totals: NDArray[np.int64]
    bin_totals: NDArray[np.int64]
    masses: FloatArray | None
    measure: Measure
    linkage: str
    pseudocount: float
    sparse: bool

    def height(self, table: Any) -> float:
        """Return the height of the highest merge in the tree of one table."""
        rows = normalise(sp.csr_array(table) if self.sparse else table, pseudocount=self.pseudocount)
        try:
            tree = tree_of_rows(rows, self.masses, self.measure, self.linkage, None, __version__, n_jobs=1)
        except ValueError as error:
            raise ValueError(f"Counts drawn for the test of significance: {error}") from error
        return float(tree[-1, 2])

    def heights(self, n: int, seed: np.random.SeedSequence) -> list[float]:
        """Draw n tables and return the heights of their trees."""
        tables = random_table(self.row_totals, self.bin_totals)
        method = "boyett" if len(self.bin_totals) == 1 else None  # SciPy's other method fails on a single column
        rng = np.random.default_rng(seed)
        return [self.height(tables.rvs(method=method, random_state=rng).astype(np.float64)) for _ in range(n)]


def counts_for(rule: Significance, X: Any, names: Names) -> Any:
    """Return X as counts, before any tree is built of them.

    Refused are parameters of the rule out of range, an X that is not counts, and too many observations to draw tables.
    """
    check_scalar(rule.alpha, "alpha", Real, min_val=0, max_val=1, include_boundaries="neither")
    check_scalar(rule.n_resamples, "n_resamples", Integral, min_val=1)
    counts = as_counts(
        X,
        "significance needs counts: how many observations stand behind a row decides what chance may do, and "
        "probabilities do not tell. Pass the counts, or a number of clusters or distance_threshold of your own.",
        names,
    )
    with np.errstate(over="ignore"):
        total = counts.sum()
    if total > _MOST:
        held = f"{total:g}" if np.isfinite(total) else "more than 1e308"
        raise ValueError(
            f"X holds {held} observations, and tables can be drawn of {_MOST:g} at the most. Of so many the least "
            "difference is significant: pass a number of clusters, or see how much linkage='information' retains."
        )
    return counts


@dataclass(frozen=True)
class SignificanceTest:
    """The rule that cuts the tree of some counts by the test that a `Significance` describes.

    ``measure``, ``linkage``, ``masses`` (the weights of the rows, or None) and ``pseudocount`` are those of the tree.
    """

    rule: Significance
    counts: Any
    measure: Measure
    linkage: str
    masses: FloatArray | None
    pseudocount: float
    n_jobs: int | None

    def __call__(self, tree: FloatArray) -> Cut:
        """Cut a tree from the top down, and return the labels of the rows and the p-value of each node.

        A node whose test is significant is split, and its two children are tested in turn; any other node becomes a
        cluster. The nodes below a cluster are not tested, and their p-values are NaN. Clusters are numbered in the
        order of their first rows.
        """
        n = len(tree) + 1
        seed = int(check_random_state(self.rule.random_state).randint(np.iinfo(np.int32).max))
        labels, pvalues = np.empty(n, dtype=np.intp), np.full(n - 1, np.nan)
        nodes = [(2 * n - 2, hierarchy.leaves_list(tree))]
        with stage("significance", n - 1) as advance, self._workers(advance) as parallel:
            while nodes:
                node, members = nodes.pop()
                labels[members] = members.min()  # provisional: the children overwrite it if the node is split
                if node < n:
                    continue
                # With these levels the probability of any false split is at most alpha (Kimes et al. 2017).
                level = self.rule.alpha * (len(members) - 1) / (n - 1)
                pvalues[node - n], significant = self._test(np.sort(members), level, (seed, node), parallel, advance)
                if significant:
                    # The members are in the order of the leaves, in which those of the left child come first.
                    left, right = (int(child) for child in tree[node - n, :2])
                    n_left = 1 if left < n else int(tree[left - n, 3])
                    nodes += [(left, members[:n_left]), (right, members[n_left:])]
                else:
                    advance(len(members) - 2)  # The merges below the node will not be tested.
        return Cut(np.unique(labels, return_inverse=True)[1], pvalues)

    def _workers(self, advance: Advance) -> Parallel:
        """Return joblib's workers, which print nothing if somebody follows the progress."""
        return Parallel(n_jobs=effective_n_jobs(self.n_jobs), **verbosity(advance))

    def _test(
        self, members: NDArray[np.intp], level: float, seed: tuple[int, int], parallel: Parallel, advance: Advance
    ) -> tuple[float, bool]:
        """Return the p-value of a node with these members, and whether it is at or below its level."""
        null, height = self._null(members)
        n_resamples = max(self.rule.n_resamples, math.ceil(1 / level) - 1)
        with closing(_reported(_heights(null, n_resamples, seed, parallel), n_resamples, advance)) as heights:
            return _test(height, heights, n_resamples, level)

    def _null(self, members: NDArray[np.intp]) -> tuple[Null, float]:
        """Return the null hypothesis for some rows, and the height of the tree that these rows really have."""
        table = self.counts[members]
        row_totals, bin_totals = (np.asarray(table.sum(axis=axis)).astype(np.int64) for axis in (1, 0))
        if not self.pseudocount:  # With a pseudocount, empty bins have mass too.
            table, bin_totals = table[:, bin_totals > 0], bin_totals[bin_totals > 0]
        masses = None if self.masses is None else self.masses[members]
        is_sparse = sp.issparse(self.counts)
        null = Null(row_totals, bin_totals, masses, self.measure, self.linkage, self.pseudocount, is_sparse)
        return null, null.height(table.toarray() if is_sparse else table)


def _heights(null: Null, n: int, seed: tuple[int, int], parallel: Parallel) -> Iterator[float]:
    """Yield the heights of the trees of n tables, which are drawn in chunks, as far as they are asked for.

    Each chunk has its own seed, so that the heights do not depend on the workers. The first chunk is drawn here, for it
    may settle the test; the others are drawn by the workers.
    """
    seed_of_all, node = seed

    def chunk(k: int) -> tuple[int, np.random.SeedSequence]:
        """Return the number of tables of chunk k, and its seed."""
        return min(_CHUNK, n - k * _CHUNK), np.random.SeedSequence(seed_of_all, spawn_key=(node, k))

    yield from null.heights(*chunk(0))
    n_chunks, step = -(-n // _CHUNK), parallel.n_jobs
    for start in range(1, n_chunks, step):
        some = range(start, min(start + step, n_chunks))
        for heights in parallel(delayed(null.heights)(*chunk(k)) for k in some):
            yield from heights


def _reported(heights: Iterator[float], n: int, advance: Advance) -> Generator[float]:
    """Yield heights, and report each as the n-th part of one merge; in the end, the rest of the merge is reported."""
    drawn = 0
    try:
        for height in heights:
            drawn += 1
            advance(1 / n)
            yield height
    finally:
        advance(1 - drawn / n)


def _test(height: float, heights: Iterator[float], n: int, level: float) -> tuple[float, bool]:
    """Return the p-value of an observed height among up to n drawn heights, and whether it is at or below the level.

    No more heights are drawn once the outcome is settled: when the p-value of all n would be above the level even if no
    further height reached the observed one, or at or below it even if each of them did. The p-value that is returned
    is that of the heights drawn so far, which lies on the same side of the level.
    """
    exceeding, most = 0, math.floor(level * (n + 1) * (1 + 1e-12)) - 1
    for drawn, each in enumerate(heights, start=1):
        exceeding += each >= height * (1 - _TIE)
        if exceeding > most or exceeding + n - drawn <= most:
            break
    return (1 + exceeding) / (1 + drawn), exceeding <= most
