"""Find how many clusters counts can justify, by a test at every node of the tree, from the top down."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_scalar

from skdiv._input.checks import Names, as_counts
from skdiv._significance.heights import TreeHeights
from skdiv._significance.nodes import CountedRows, NodeTests, SignificanceCut
from skdiv._utils.typing import FloatArray

_MOST = 3e9  # the largest number of observations in a table: SciPy multiplies two totals in 64 bits


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


def cut_of_counts(
    rule: Significance, counts: Any, masses: FloatArray | None, heights: TreeHeights, n_jobs: int | None
) -> SignificanceCut:
    """Return the rule that cuts the tree of some counts, whose heights are those that ``heights`` computes.

    ``masses`` are the weights of the rows, or None.
    """
    rows = CountedRows(counts, masses, with_empty_bins=heights.pseudocount > 0)
    seed = int(check_random_state(rule.random_state).randint(np.iinfo(np.int32).max))
    return SignificanceCut(NodeTests(float(rule.alpha), int(rule.n_resamples), seed, heights), rows, n_jobs)
