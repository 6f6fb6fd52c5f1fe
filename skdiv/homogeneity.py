"""Tests, for all pairs of rows of counts, of whether both rows come from one distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from numbers import Integral
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import chi2, false_discovery_control
from sklearn.utils import check_random_state, check_scalar

from skdiv._compute.blocks.weighted import WeightedRows, pair_costs
from skdiv._compute.kernels import KernelName, chosen
from skdiv._compute.run import Work, run
from skdiv._compute.tiles import Tile, number_of_tiles, tiles_of
from skdiv._input.blocks import Blocks, BlocksLike, checked_blocks, warn_of_sizes
from skdiv._input.checks import Matrix, MatrixLike, as_counts, as_weights
from skdiv._input.distributions import Distributions, normalise, of_used_bins
from skdiv._input.names import Names, names_of
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray
from skdiv._utils.warnings import warn_caller

Method = Literal["permutation", "chi2"]
Adjustment = Literal["bh", "by", "bonferroni"]

_TILE: dict[Method, int] = {"permutation": 8, "chi2": 256}  # rows and columns of a tile, which takes a second or less
_CELL = 2**18  # the largest number of entries of tables, drawn or pooled, that are in memory at a time
_FEW = 5.0  # the chi-squared approximation is poor if an expected count is below this (Cochran 1954)
_LARGE = 0.05  # a p-value above this is hardly ever called significant
_TIE = 1e-12  # relative: statistics so close are taken as equal, for rounding may have made them differ
_MOST = 10**9  # NumPy draws from fewer observations than this
_WHOLE = 2**53  # float64 holds every whole number up to this

_WHY_COUNTS = "a test needs counts: probabilities do not tell how many observations stand behind them. Pass the counts."


class HomogeneityResult(NamedTuple):
    """The statistics and p-values of the tests of all pairs of rows, as `pairwise_homogeneity` returns them.

    Parameters
    ----------
    statistic : ndarray of shape (n, n)
        The statistic G of each pair of rows; 0 on the diagonal.
    pvalue : ndarray of shape (n, n)
        The p-value of each pair, not adjusted for the number of pairs; 1 on the diagonal.

    See Also
    --------
    pairwise_homogeneity : The function that returns it.

    References
    ----------
    Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", Journal of the Royal Statistical Society B
    57(1) (1995), 289–300, and Y. Benjamini and D. Yekutieli, "The Control of the False Discovery Rate in Multiple
    Testing under Dependency", Annals of Statistics 29(4) (2001), 1165–1188, for `adjusted`.

    Examples
    --------
    >>> from skdiv import pairwise_homogeneity
    >>> result = pairwise_homogeneity([[30, 20], [28, 23], [12, 38]], method="chi2")
    >>> result.pvalue.round(3)
    array([[1.   , 0.604, 0.   ],
           [0.604, 1.   , 0.001],
           [0.   , 0.001, 1.   ]])
    >>> statistic, pvalue = result
    """

    statistic: FloatArray
    pvalue: FloatArray

    def adjusted(self, method: Adjustment = "bh") -> FloatArray:
        """Adjust the p-values for the number of pairs that have been tested.

        Parameters
        ----------
        method : {"bh", "by", "bonferroni"}, default="bh"
            How the p-values are adjusted. ``"bh"`` (Benjamini & Hochberg) and ``"by"`` (Benjamini & Yekutieli, which
            holds under any dependence of the tests) control the false discovery rate, by
            `scipy.stats.false_discovery_control`. ``"bonferroni"`` controls the probability that any pair is called
            different although it is not.

        Returns
        -------
        ndarray of shape (n, n)
            The adjusted p-values; 1 on the diagonal.

        Raises
        ------
        ValueError
            If the method is not known.
        """
        if method not in get_args(Adjustment):
            raise ValueError(f"method = {method!r} must be 'bh', 'by' or 'bonferroni'.")
        above = np.triu_indices(len(self.pvalue), 1)
        each = self.pvalue[above]
        adjusted = np.ones_like(self.pvalue)
        if method == "bonferroni":
            adjusted[above] = np.minimum(each * len(each), 1)
        elif len(each):
            adjusted[above] = false_discovery_control(each, method=method)
        return np.minimum(adjusted, adjusted.T)


def pairwise_homogeneity(
    X: MatrixLike,
    *,
    blocks: BlocksLike | None = None,
    method: Method = "permutation",
    n_resamples: int = 999,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> HomogeneityResult:
    """Test for every pair of rows of counts whether both come from one distribution.

    The null hypothesis of each test is that the observations of both rows were drawn from the same distribution. A low
    p-value speaks against it. The p-values are not adjusted for the number of pairs; the result has a method that does.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Counts: whole numbers up to 2⁵³, beyond which float64 does not hold each of them. With ``blocks`` the entries
        may be any weights.
    blocks : array-like of shape (n, n_blocks, n_bins) or sequence of matrices, optional
        The blocks that each row of X is the sum of, such as the pages of a book, days or images. They are to be passed
        where blocks are independent of each other and single observations are not. The sequence has a matrix of shape
        (n_blocks, n_bins), dense or CSR, for each row; `skdiv.preprocessing.sum_blocks` makes X and the blocks from a
        table with a row for each block.
    method : {"permutation", "chi2"}, default="permutation"
        How p-values are found. ``"permutation"`` exchanges the observations of both rows, or their blocks, at random;
        its p-values are valid however low the counts are. ``"chi2"`` uses the limiting distribution for large counts,
        and warns where counts are not large. It has no effect on the statistic.
    n_resamples : int, default=999
        The number of permutations for each pair; the lowest possible p-value is 1 / (n_resamples + 1).
    n_jobs : int, optional
        The number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Determines the permutations. Pass an int for the same p-values each time.

    Returns
    -------
    HomogeneityResult
        A named tuple of the arrays ``statistic`` and ``pvalue``, both of shape (n, n) and symmetric. Its method
        ``adjusted`` returns p-values that are adjusted for the number of pairs.

    Raises
    ------
    ValueError
        If an entry is negative, not finite, not a whole number or above 2⁵³; if a row sums to zero; if the blocks do
        not sum to the rows of X; if two rows have a billion observations or more together, from which
        ``"permutation"`` cannot draw; or if an argument is not valid.
    TypeError
        If X is masked or holds anything but real numbers.

    Warns
    -----
    UserWarning
        With ``"chi2"``, if an expected count is below 5 for some pair. With blocks, if two rows have so few blocks that
        no p-value can be below 0.05, or if the blocks of one row are larger than those of another.

    See Also
    --------
    Significance : Tests of the clusters of a tree, which tell how many clusters the counts support.
    divergence_estimates : Tells how far two distributions are apart, with confidence intervals.
    scipy.stats.chi2_contingency : The test of one table; the same statistic with ``lambda_="log-likelihood"``.

    Notes
    -----
    *Statistic*. For two rows p and q with N and M observations it is G = 2 [N KL(p ‖ c) + M KL(q ‖ c)], where c is the
    distribution of all N + M observations. So it is 2 (N + M) times the Jensen-Shannon divergence with the weights
    N / (N + M) and M / (N + M). In the limit of large counts it has a chi-squared distribution, whose degrees of
    freedom are one less than the number of bins in which one of the two rows has mass.

    *Blocks*. Observations that come in bursts, as words in a text or pixels in an image, are not independent, and
    without blocks nearly every pair of rows is then found to differ. With blocks, whole blocks are exchanged between
    the two rows, each of which keeps its number of blocks. If both rows have two blocks, no p-value is below 1/3; with
    three blocks none is below 1/10, and with six none is below 1/462.

    *Time*. With one worker and 999 permutations, a pair of rows takes 6 to 11 milliseconds if 64 bins have mass, and
    46 to 88 if 512 have: 50 rows, which are 1,225 pairs, take 7 to 14 seconds, and 200 rows two to four minutes.
    Time grows in proportion to the number of pairs, to ``n_resamples`` and to the bins with mass; it does not depend
    on the number of observations. To exchange blocks takes about half as long. ``"chi2"`` takes milliseconds for as
    many pairs. Within ``joblib.parallel_config(verbose=1)`` lines are printed that say how far the tests are.

    References
    ----------
    R. R. Sokal and F. J. Rohlf, "Biometry", 2nd edition, Freeman (1981), for the G test.
    I. Grosse, P. Bernaola-Galván, P. Carpena, R. Román-Roldán, J. Oliver and H. E. Stanley, "Analysis of symbolic
    sequences using the Jensen-Shannon divergence", Physical Review E 65 (2002), 041905.

    Examples
    --------
    >>> from skdiv import pairwise_homogeneity
    >>> X = [[30, 20, 10], [28, 23, 9], [12, 18, 30]]
    >>> result = pairwise_homogeneity(X, random_state=0)
    >>> result.statistic.round(2)
    array([[ 0.  ,  0.33, 18.54],
           [ 0.33,  0.  , 19.12],
           [18.54, 19.12,  0.  ]])
    >>> result.adjusted("bonferroni").round(3)
    array([[1.   , 1.   , 0.003],
           [1.   , 1.   , 0.003],
           [0.003, 0.003, 1.   ]])
    """
    if method not in get_args(Method):
        raise ValueError(f"method = {method!r} must be 'permutation' or 'chi2'.")
    if blocks is not None and method != "permutation":
        raise ValueError(f"method = {method!r} takes no blocks, which are permuted: pass method='permutation'.")
    check_scalar(n_resamples, "n_resamples", Integral, min_val=1)
    names = names_of(X)
    weights = as_weights(X, names)
    normalise(weights, pseudocount=None, names=names)  # This refuses entries that are not weights, and empty rows.
    if blocks is None:
        weights = as_counts(weights, _WHY_COUNTS, names)
        _refuse_what_is_not_whole(weights, names)
    counts, _ = of_used_bins(Distributions(weights.astype(np.float64, copy=False)))
    n, n_bins = counts.shape
    test: _Test = _chi2_pvalues
    if method == "permutation":
        n_resamples, entropy = int(n_resamples), int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        if blocks is None:
            _refuse_what_is_not_drawn(counts.values, names)
            test = _Permutation(n_resamples, entropy)
        else:
            test = _BlockPermutation(n_resamples, entropy, _usable(blocks, weights, names))
    what, remedy = f"pairwise_homogeneity of X of {n} rows", "Test a sample of the rows, or fewer at a time."
    with enough_memory(17 * n * n, what, remedy):
        store = _IntoLayers(np.zeros((2, n, n)), np.zeros((n, n), dtype=bool))
    size = _TILE[method]
    tiles = tiles_of((n, n), (size, size), of_itself=True, upper=True)
    calls = ((tile, (test, counts[tile.rows], counts[tile.columns], tile, chosen())) for tile in tiles)
    work = 3.0 * n * n * n_bins * (1 if method == "chi2" else n_resamples)
    n_tiles = number_of_tiles((n, n), (size, size), upper=True)
    run(_tests_of_tile, calls, store, Work(24 * size**2, lambda: work, n_calls=n_tiles, name="tests"), n_jobs=n_jobs)
    if store.few.any():
        warn_caller(
            f"For {np.count_nonzero(store.few)} of {n * (n - 1) // 2} pairs an expected count is below {_FEW:g}, where "
            "the chi-squared approximation of their p-values is poor: mostly too low, and too high if one row is far "
            "smaller than the other. Use method='permutation'."
        )
    statistic, pvalue = store.layers
    np.fill_diagonal(pvalue, 1)
    return HomogeneityResult(statistic, pvalue)


def _usable(blocks: BlocksLike, X: Matrix, names: Names) -> Blocks:
    """Return checked blocks of the rows of X, and warn of what a test of two rows cannot tell by them."""
    checked = checked_blocks(blocks, X, names)
    warn_of_sizes(checked, names)
    sizes, counts = np.unique(checked.sizes, return_counts=True)
    least, n_pairs = 0.0, 0
    for (a, n_a), (b, n_b) in combinations_with_replacement(zip(sizes, counts, strict=True), 2):
        of_pair = Blocks(None, np.array([a, b])).share_of_one_arrangement(rows_alike=True)
        if of_pair > _LARGE:
            least, n_pairs = max(least, of_pair), n_pairs + int(n_a * (n_a - 1) // 2 if a == b else n_a * n_b)
    if n_pairs:
        warn_caller(
            f"For {n_pairs} of {len(checked) * (len(checked) - 1) // 2} pairs the blocks can be arranged in so few "
            f"ways that no p-value is below {_LARGE:g}; of the fewest blocks none is below {least:.2g}. Divide the "
            "rows into more blocks, six a row or more."
        )
    return checked


def _refuse_what_is_not_whole(counts: Matrix, names: Names) -> None:
    """Refuse counts so large that float64 does not hold every whole number, and name the largest."""
    row, column = (int(place) for place in np.unravel_index(counts.argmax(), counts.shape))
    if counts[row, column] > _WHOLE:
        raise ValueError(
            f"{names.entry(row, column)} = {counts[row, column]:g} is above 2**53, where float64 does not tell whole "
            "numbers apart, but a test needs counts. Of so many observations the least difference is significant: see "
            "with pairwise_divergences how large it is."
        )


def _refuse_what_is_not_drawn(counts: Matrix, names: Names) -> None:
    """Refuse counts if two rows have together more observations than NumPy can draw from."""
    totals = np.asarray(counts.sum(axis=1))
    pair = np.sort(np.argsort(totals, kind="stable")[-2:])  # the two rows with the most observations
    together = totals[pair].sum()
    if len(pair) == 2 and together >= _MOST:
        raise ValueError(
            f"{' and '.join(map(names.row, pair))} have {together:.0f} observations, and permutation takes fewer than "
            f"{_MOST}. Pass method='chi2', which is right for so many."
        )


# test(p, q, statistics, place) tests one row p, of shape (1, n_bins), against each of the rows q; ``place`` holds the
# positions of p and of the first q. It returns the p-values, and for which pairs an expected count is too low for them.
_Test = Callable[[FloatArray, FloatArray, FloatArray, tuple[int, int]], tuple[FloatArray, NDArray[np.bool_]]]


def _tests_of_tile(
    test: _Test,
    P: Distributions,
    Q: Distributions,
    tile: Tile,
    kernel: KernelName,
) -> FloatArray:
    """Return the tests of all pairs of a row of P and a row of Q, as an array of shape (3, n_P, n_Q).

    Its layers are the statistics, the p-values, and 1 where an expected count is too low for the p-value. If the tile
    meets the diagonal, the entries on and below the diagonal mean nothing.
    """
    upper = tile.diagonal is not None
    of_p, of_q = (np.asarray(rows.values.sum(axis=1)) for rows in (P, Q))
    layers = np.zeros((3, len(P), len(Q)))
    layers[0] = 2 * pair_costs(WeightedRows(P, of_p), WeightedRows(Q, of_q), kernel, upper=upper)
    step = max(1, _CELL // P.shape[1])
    for i in range(len(P)):
        p = P[i : i + 1].dense()
        for start in range(i + 1 if upper else 0, len(Q), step):
            some = slice(start, min(start + step, len(Q)))
            q = Q[some].dense()
            place = tile.rows.start + i, tile.columns.start + start
            layers[1:, i, some] = test(p, q, layers[0, i, some], place)
    return layers


def _chi2_pvalues(
    p: FloatArray,
    q: FloatArray,
    statistics: FloatArray,
    place: tuple[int, int],  # noqa: ARG001
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the p-values of the chi-squared approximation, and where an expected count is below `_FEW`.

    Two rows that have mass in one bin alone cannot differ, and have the p-value 1.
    """
    pooled = p + q
    n_bins = np.count_nonzero(pooled, axis=1)
    smaller = np.minimum(p.sum(), q.sum(axis=1))
    expected = np.where(pooled > 0, pooled, np.inf).min(axis=1) * smaller / pooled.sum(axis=1)
    pvalues = np.where(n_bins > 1, chi2.sf(statistics, np.maximum(n_bins - 1, 1)), 1)
    return pvalues, (expected < _FEW) & (n_bins > 1)


@dataclass(frozen=True)
class _Permutation:
    """A test by permutation of observations: ``n_resamples`` tables with the row and bin totals of the one observed.

    Each pair of rows has its own seed, made of ``entropy`` and the positions of the rows, so the result does not depend
    on the order of the tests.
    """

    n_resamples: int
    entropy: int

    def __call__(
        self,
        p: FloatArray,
        q: FloatArray,
        statistics: FloatArray,  # noqa: ARG002
        place: tuple[int, int],
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the p-values of a row p and each of the rows q; they are exact however low the expected counts."""
        first = p[0].astype(np.int64)
        pvalues = np.array(
            [self._pvalue(first, row.astype(np.int64), (place[0], place[1] + k)) for k, row in enumerate(q)]
        )
        return pvalues, np.zeros(len(q), dtype=bool)

    def _pvalue(self, p: NDArray[np.int64], q: NDArray[np.int64], pair: tuple[int, int]) -> float:
        """Return the share of tables, the one observed included, whose statistic is at least the observed one."""
        met = p + q > 0
        p, pooled = p[met], (p + q)[met]
        observed = float(_varying(p, pooled))
        rng = np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=pair))
        reached, step = 0, max(1, _CELL // len(pooled))
        for start in range(0, self.n_resamples, step):
            size = min(step, self.n_resamples - start)
            drawn = rng.multivariate_hypergeometric(pooled, int(p.sum()), size=size)
            reached += int(np.count_nonzero(_varying(drawn, pooled) >= observed - _TIE * abs(observed)))
        return (1 + reached) / (1 + self.n_resamples)


@dataclass(frozen=True)
class _BlockPermutation:
    """A test by permutation of the blocks of two rows, with seeds as for `_Permutation`."""

    n_resamples: int
    entropy: int
    blocks: Blocks

    def __call__(
        self,
        p: FloatArray,  # noqa: ARG002
        q: FloatArray,
        statistics: FloatArray,  # noqa: ARG002
        place: tuple[int, int],
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the p-values of the row at a place and each of the rows q from another place on."""
        pvalues = np.array([self._pvalue((place[0], place[1] + k)) for k in range(len(q))])
        return pvalues, np.zeros(len(q), dtype=bool)

    def _pvalue(self, pair: tuple[int, int]) -> float:
        """Return the share of arrangements, the one observed included, whose statistic is at least the observed one."""
        blocks = self.blocks.of(np.array(pair)).in_bins_with_mass().dense()
        n_blocks, n_bins = blocks.values.shape
        rng = np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=pair))
        order = np.arange(n_blocks)[np.newaxis]
        (observed,) = _varying_with_totals(blocks, order)
        reached, step = 0, max(1, _CELL // (2 * n_bins + n_blocks))
        for start in range(0, self.n_resamples, step):
            orders = rng.permuted(np.tile(order, (min(step, self.n_resamples - start), 1)), axis=1)
            reached += int(np.count_nonzero(_varying_with_totals(blocks, orders) >= observed - _TIE * abs(observed)))
        return (1 + reached) / (1 + self.n_resamples)


def _varying_with_totals(blocks: Blocks, orders: NDArray[np.intp]) -> FloatArray:
    """Return the part of G / 2 that differs between orders of the blocks of two rows, whose totals differ too.

    It is the sum of k ln k over the entries k of both rows, less that of N ln N over their totals N.
    """
    rows = blocks.arranged(orders)
    totals = rows.sum(axis=1)
    sums: FloatArray = (xlogy(rows, rows).sum(axis=1) - xlogy(totals, totals)).reshape(-1, 2).sum(axis=1)
    return sums


def _varying(p: NDArray[np.int64], pooled: NDArray[np.int64]) -> FloatArray:
    """Return the part of G / 2 that differs between tables with the same totals.

    G / 2 is the sum of k ln k over the counts k of both rows, plus terms of the totals. ``pooled`` is p + q.
    """
    q = pooled - p
    sums: FloatArray = (xlogy(p, p) + xlogy(q, q)).sum(axis=-1)
    return sums


@dataclass(frozen=True)
class _IntoLayers:
    """A store that puts the tests of a tile into square arrays, and mirrors them into the half below the diagonal.

    ``layers`` are the statistics and the p-values; ``few`` says, above the diagonal, where counts are too low.
    """

    layers: FloatArray
    few: NDArray[np.bool_]

    def target(self, tile: Tile) -> None:  # noqa: ARG002
        """Return None: the layers of a tile are distributed over several arrays."""
        return

    def __call__(self, tile: Tile, values: FloatArray) -> None:
        """Store the three layers of a tile."""
        if tile.diagonal is not None:
            values = np.triu(values, 1)
            values[:2] += values[:2].transpose(0, 2, 1)
        else:
            self.layers[:, tile.columns, tile.rows] = values[:2].transpose(0, 2, 1)
        self.layers[:, tile.rows, tile.columns] = values[:2]
        self.few[tile.rows, tile.columns] = values[2] > 0
