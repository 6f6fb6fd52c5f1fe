"""Find how many clusters counts can justify, by a test at every node of the tree, from the top down."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_scalar

from skdiv._input.blocks import Blocks, warn_of_sizes
from skdiv._input.checks import as_counts
from skdiv._input.names import Names
from skdiv._input.weights import are_totals, totals_of
from skdiv._significance.heights import TreeHeights
from skdiv._significance.nodes import NodeTests, SignificanceCut
from skdiv._significance.nulls import CountedRows, Rows, RowsOfBlocks
from skdiv._utils.typing import FloatArray
from skdiv._utils.warnings import warn_caller

_UNEQUAL = 10  # times as many observations in a row as in another are too many for rows of one mass
_MOST = 3e9  # the largest number of observations in a table: SciPy multiplies two totals in 64 bits


class Significance(BaseEstimator):
    """Choose the number of clusters by tests of significance, for rows of counts.

    It is passed as ``n_clusters`` to `DivergenceClustering`. The nodes of the tree are tested from the top down. The
    null hypothesis of a test is that all rows of the node come from one distribution. The height of its highest merge
    is compared with the heights in tables that are drawn under this hypothesis and clustered by the same linkage. Where
    the height is significant, the node is split, and its two parts are tested in turn; where it is not, the node is a
    cluster. How the tables are drawn depends on what the observations are:

    - If single observations are independent of each other, they are exchanged at random between the rows. The tables
      have the same totals of rows and of bins as the counts.
    - If observations come in bursts, as words in a page or pixels in an image, pass the pages or images as ``blocks``
      to `DivergenceClustering.fit`. Whole blocks are then exchanged between the rows, each of which keeps its number of
      blocks. Without blocks, nearly every difference between such rows is found to be significant.

    Parameters
    ----------
    alpha : float, default=0.05
        The largest probability of splitting any node whose rows come from one distribution (the family-wise error
        rate). A node of m of the n rows is tested at the level alpha (m - 1) / (n - 1).
    n_resamples : int, default=999
        The largest number of tables that are drawn for a node. More are drawn if the level of a node is so low that its
        p-value needs them, and fewer if the outcome is clear before.
    random_state : int, RandomState instance or None, default=None
        Determines the tables. Pass an int for the same result each time. The result does not depend on the number of
        workers.

    See Also
    --------
    pairwise_homogeneity : Tests two rows at a time.
    skdiv.preprocessing.sum_blocks : Makes rows and blocks from a table with a row for each block.

    Notes
    -----
    *What a result means*. A split says that the rows of the node come from more than one distribution. It does not say
    that its two parts are the true groups: where groups differ little or are of unequal size, a tree may divide one of
    them.

    *Validity*. The p-value of the root is exact, whatever the common distribution is and however low the counts are: if
    the totals of rows and of bins are kept, any observation might as well be in any row. So the probability that
    anything is split although all rows come from one distribution is at most alpha. The rows of other nodes have been
    chosen by the tree, because they are alike. This makes no difference where groups are far apart. Where they overlap
    no theorem covers it, but in simulations the level was never exceeded.

    *Number of tables*. Drawing stops when none of the first 2 / level - 1 tables reaches the observed height, or when
    so many have reached it that the node can no longer be significant (Besag & Clifford 1991). The p-values in
    ``node_pvalues_`` take this into account: each is the exact probability of an outcome that is as extreme or more.
    Those of clear splits lie between half of the level and the level.

    *Blocks*. They may hold any weights, not only counts. If two rows have b blocks each, no p-value is below
    2 (b!)² / (2 b)!, which is 1/3 for two blocks, 1/10 for three and 1/462 for six. Six blocks for each row are a good
    number, and more where there are many rows. A warning names a node that has too few blocks for its level; if it is
    the root, an error is raised. A warning is also given if the blocks of one row are larger than those of another, for
    then they cannot be exchanged. With ``sample_weight="counts"``, or weights in proportion to the totals of the rows,
    the weights of rows with exchanged blocks are their new totals.

    *Time*. It takes from a second to many minutes. A node that is split takes some 2 / level tables, which are many for
    small nodes of large trees; a node that is not split takes few. ``n_jobs`` distributes large nodes and small
    branches over workers. Within ``joblib.parallel_config(verbose=10)`` a line is printed for each hundredth of the
    merges that are settled, because they have been tested or lie within a cluster that is not split.

    References
    ----------
    P. K. Kimes, Y. Liu, D. N. Hayes and J. S. Marron, "Statistical Significance for Hierarchical Clustering",
    Biometrics 73(3) (2017), 811–821.
    N. Meinshausen, "Hierarchical Testing of Variable Importance", Biometrika 95 (2008), 265–278, for the level of each
    node.
    I. N. Grabski, K. Street and R. A. Irizarry, "Significance analysis for clustering with single-cell RNA-sequencing
    data", Nature Methods 20 (2023), 1196–1202.
    W. M. Patefield, "An Efficient Method of Generating Random R × C Tables with Given Row and Column Totals", Applied
    Statistics 30(1) (1981), 91–97.
    J. Besag and P. Clifford, "Sequential Monte Carlo p-values", Biometrika 78(2) (1991), 301–304.
    P. Good, "Permutation, Parametric, and Bootstrap Tests of Hypotheses", 3rd edition, Springer (2005), for what may be
    exchanged.

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


def _counts_of(X: Any, names: Names) -> Any:
    """Return X as counts, and refuse one that is not counts, or has too many observations to draw tables."""
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


def observed_rows(
    rule: Significance,
    X: Any,
    names: Names,
    masses: FloatArray | None,
    blocks: Blocks | None,
    *,
    with_empty_bins: bool,
) -> Rows:
    """Return the rows to be tested, before any tree is built of them, and warn of what their test cannot tell.

    ``masses`` are the weights of the rows of X, or None if all are equal; ``blocks`` are those of which the rows are
    the sums, or None. ``with_empty_bins`` says that bins in which no row has mass count too, because of a pseudocount.
    """
    check_scalar(rule.alpha, "alpha", Real, min_val=0, max_val=1, include_boundaries="neither")
    check_scalar(rule.n_resamples, "n_resamples", Integral, min_val=1)
    rows: Rows
    if blocks is None:
        rows = CountedRows(_counts_of(X, names), masses, with_empty_bins)
    else:
        by_totals = masses is not None and are_totals(masses, X)
        rows = RowsOfBlocks(blocks, masses, by_totals, with_empty_bins)
        _refuse_too_few_blocks(rows, float(rule.alpha))
        warn_of_sizes(blocks, names)
    if masses is None:
        _warn_of_totals(totals_of(X), names)
    return rows


def cut_of(rule: Significance, rows: Rows, heights: TreeHeights, names: Names, n_jobs: int | None) -> SignificanceCut:
    """Return the rule that cuts the tree of some rows, whose heights are those that ``heights`` computes."""
    seed = int(check_random_state(rule.random_state).randint(np.iinfo(np.int32).max))
    tests = NodeTests(float(rule.alpha), int(rule.n_resamples), seed, heights)
    return SignificanceCut(tests, rows, names, n_jobs)


def _warn_of_totals(totals: FloatArray, names: Names) -> None:
    """Warn if some rows, all of one mass, have far more observations than others."""
    low, high = int(totals.argmin()), int(totals.argmax())
    if totals[high] >= _UNEQUAL * totals[low]:
        warn_caller(
            f"{names.row(low)} has {totals[low]:g} observations and {names.row(high)} has {totals[high]:g}. A row of "
            "so few is far from all others by chance, and the tree may show little else. Fit the rows of many "
            "observations and let predict assign the others, or pass sample_weight='counts' to fit with "
            "linkage='information'."
        )


def _refuse_too_few_blocks(rows: RowsOfBlocks, alpha: float) -> None:
    """Refuse rows of so few blocks that not even all of them together could be split."""
    least = rows.least_pvalue()
    if least > alpha:
        raise ValueError(
            f"blocks has too few blocks to find anything: the {rows.blocks.sizes.sum()} blocks of all rows can be "
            f"arranged in so few ways that no p-value is below {least:.2g}, but alpha = {alpha:g}. Divide the rows "
            "into more blocks, six a row or more, or pass none if single observations are independent."
        )
