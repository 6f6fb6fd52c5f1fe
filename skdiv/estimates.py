"""How far divergences between rows of counts may be off: estimates without bias, standard errors and intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_scalar

from skdiv._compute.estimates import (
    FEW_IN_BIN,
    FEWEST_EFFECTIVE,
    FEWEST_OF_UNEQUAL,
    N_LAYERS,
    UNEQUAL,
    Estimator,
    Sample,
    is_kinked,
)
from skdiv._compute.run import Call, Work, run
from skdiv._compute.tiles import Tile, number_of_tiles, tiles_of
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, resolve
from skdiv._input.blocks import Blocks, BlocksLike, checked_blocks
from skdiv._input.checks import MatrixLike, as_counts, as_weights, check_pseudocount
from skdiv._input.distributions import Distributions, as_distributions
from skdiv._input.names import Names, names_of
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray
from skdiv._utils.warnings import warn_caller
from skdiv.pairwise import as_pair

_TILE = 32  # the number of rows and of columns of a tile
_PAIRS_AT_A_TIME = 2**15  # entries of rows, for a task of pairs
_FEWEST = 3  # observations of a row, of which two may be deleted
_MOST = 10**9  # observations of a row; beyond, the effect of one of them is lost in rounding

_WHY_COUNTS = "an interval needs counts: probabilities do not tell how many observations stand behind them."


class ConfidenceInterval(NamedTuple):
    """The limits of confidence intervals, as arrays ``low`` and ``high`` of the shape of the estimates."""

    low: FloatArray
    high: FloatArray


class DivergenceEstimates(NamedTuple):
    """Estimated divergences with standard errors and confidence intervals, as `divergence_estimates` returns them.

    Parameters
    ----------
    estimate : ndarray
        The plug-in estimates: the divergences of the observed distributions, as `pairwise_divergences` computes them.
        They are too large on average.
    corrected : ndarray
        The estimates that are corrected for this bias by the jackknife.
    standard_error : ndarray
        The standard errors of the estimates.
    confidence_interval : ConfidenceInterval
        A named tuple of the arrays ``low`` and ``high``. The intervals are not symmetric about either estimate.

    See Also
    --------
    divergence_estimates : The function that returns it.

    References
    ----------
    B. Efron and C. Stein, "The Jackknife Estimate of Variance", Annals of Statistics 9(3) (1981), 586–596.

    Examples
    --------
    >>> from skdiv import divergence_estimates
    >>> result = divergence_estimates([[300, 200, 100]], [[280, 230, 90]], paired=True)
    >>> result.confidence_interval.high.round(3)
    array([0.073])
    >>> estimate, corrected, standard_error, interval = result
    """

    estimate: FloatArray
    corrected: FloatArray
    standard_error: FloatArray
    confidence_interval: ConfidenceInterval


def divergence_estimates(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    paired: bool = False,
    blocks: BlocksLike | None = None,
    Y_blocks: BlocksLike | None = None,
    base: float | None = None,
    confidence_level: float = 0.95,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> DivergenceEstimates:
    """Estimate divergences between the distributions behind rows of counts, with confidence intervals.

    Entry [i, j] estimates D(p_i ‖ q_j), where p_i and q_j are the distributions from which the counts in X[i] and Y[j]
    were drawn; with ``paired=True`` entry [i] estimates D(p_i ‖ q_i). The divergence of the observed counts is too
    large on average, the more so the fewer counts there are: that of two rows from one distribution is not 0. So each
    estimate is corrected for this bias, and has a standard error and a confidence interval. All of them are found by
    the jackknife, which computes the divergence again without each observation, or without each block.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Counts: whole numbers, which sum to at least 3 and at most one billion in each row.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection of counts over the same bins; by default X itself.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `divergences` lists, or a `Divergence`; but not
        ``"total_variation"``, for which no jackknife is valid.
    paired : bool, default=False
        Whether only rows with the same position in X and Y are compared.
    blocks, Y_blocks : array-like of shape (n, n_blocks, n_bins) or sequence of n matrices, optional
        The blocks that the rows of X, or of Y, are the sums of, such as pages, days or images. They are to be passed
        where the observations of a block are not independent of each other. Each matrix has a row for each block: at
        least 2, and better 6 or more. If there is a Y, both arguments are needed.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    confidence_level : float, default=0.95
        The probability with which an interval is to contain the divergence of the true distributions.
    pseudocount : float, default=0.0
        The number that is added to every count of X and Y. It keeps the estimates of ``"kl"`` and similar divergences
        finite, and their lower limits; an upper limit is infinite where the divergence is without it. The correction
        is for the bias of the counts, and removes the effect of a pseudocount only where all bins have many counts.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`; they shorten the time from 33 rows on. The result does
        not depend on it.

    Returns
    -------
    DivergenceEstimates
        A named tuple of the arrays ``estimate``, ``corrected`` and ``standard_error`` and of ``confidence_interval``,
        which has the arrays ``low`` and ``high``. All have the shape (n_X, n_Y), or with ``paired=True`` (n,), and are
        in nats unless ``base`` is given. Estimates and limits lie between 0 and the upper bound of the divergence; a
        corrected estimate below 0, as rows from one distribution often have it, is returned as 0.

    Raises
    ------
    ValueError
        For the same reasons as in `pairwise_divergences`; also if an entry is not a whole number, a row has fewer than
        3 observations or more than one billion, blocks do not sum to their rows or are fewer than 2, or no jackknife is
        valid for the metric.
    TypeError
        If X or Y is masked or holds anything but real numbers.

    Warns
    -----
    UserWarning
        If a row has so few observations that the interval may miss the true divergence more often than it should: fewer
        than 5 for each bin in which one row of the pair has mass, fewer than 100 in total, fewer than 1,000 if the
        other row has ten times as many, or fewer than 6 blocks; also if fewer than 10 observations decide about the
        value, as those of a rare event may do, or all are in one bin. For ``"hellinger"``, ``"bhattacharyya"`` and
        ``renyi(alpha)`` with alpha below 1, the first two limits are 20 and 1,000, and no bin in which a row has fewer
        than 5 may make more than half of the value. A warning is also given if a divergence is infinite, or would be
        without some observation; the interval then reaches from 0 to infinity, or, if a pseudocount is all that keeps
        the divergence finite, from its lower limit.

    See Also
    --------
    pairwise_divergences : Computes the divergences of the observed distributions alone, and is faster.
    pairwise_homogeneity : Tests whether two rows come from one distribution at all.

    Notes
    -----
    *Coverage*. How often the intervals contain the true divergence has been measured, for many distributions and sizes:
    the page "How large is large?" of the documentation has the table.

    *Time*. A pair of rows in 64 bins takes 150 to 210 microseconds: 200 rows take three or four
    seconds, and 1,000 rows, which are 499,500 pairs, take over a minute. With blocks 99 arrangements of
    them are evaluated for each pair, and the time grows with their number as well.

    *Jackknife*. Let S be the sum over the bins of which the divergence is a function (for ``"js_distance"`` this is the
    divergence of which it is the root), and S₍₋ᵢ₎ the same without observation i of a row of N observations. The bias
    of S is estimated by (N − 1) (mean S₍₋ᵢ₎ − S) and its variance by (N − 1)/N sum (S₍₋ᵢ₎ − mean)², both added up over
    the two rows. All observations in one bin give the same S₍₋ᵢ₎, so one evaluation for each bin is enough. The results
    are then transformed to the scale of the divergence.

    *Intervals*. Near 0 the distribution of S is bounded and skewed, and its variance alone misleads. So S is taken for
    a scaled noncentral χ² variable that has this bias and this variance, and the limits are those of its
    noncentrality. Far from 0 that gives the usual interval of a normal variable. With blocks the quantiles are those of
    Student's distribution, with one degree of freedom less than the number of blocks of the row with fewer blocks. A
    bootstrap of the blocks was measured too, and had a lower coverage.

    *Exchanges*. The jackknife finds no bias in a bin that only one row has reached, so where bins of few counts carry
    the difference, its bias is too small. A second bias is the mean of S when all observations of both rows, or their
    blocks, are dealt out anew: the one that S has if both rows come from one distribution. For observations it is
    exact, up to a small error in bins of many counts: in a bin with the sum of counts s, the count of a row of N
    observations beside one of M is hypergeometric (Fisher 1935). For blocks it is the mean of 99 arrangements, which
    are the same in each call. The lower limit is computed with the larger of the two biases, and the upper limit with
    the smaller one. Where a divergence may be infinite, the mean is over the counts for which it is finite.

    *Intervals of no width*. If two rows have all their mass in the same bin, the divergence does not change when an
    observation is left out, and the interval has no width. This does not mean that the divergence is known: a bin that
    none of N observations fell into may still have a probability of about 3/N. A warning is given.

    *Total variation*. A jackknife needs a smooth function. ``"total_variation"`` has a kink where p = q, where its bias
    is of the same order as its standard error, and so it is refused. The Hellinger distance h bounds it:
    h² ≤ TV ≤ h √(2 − h²).

    References
    ----------
    M. H. Quenouille, "Notes on Bias in Estimation", Biometrika 43 (1956), 353–360, for the correction of the bias.
    J. N. Arvesen, "Jackknifing U-statistics", Annals of Mathematical Statistics 40(6) (1969), 2076–2100, for two
    samples.
    B. Efron and C. Stein, "The Jackknife Estimate of Variance", Annals of Statistics 9(3) (1981), 586–596.
    R. A. Fisher, "The Design of Experiments" (Oliver and Boyd 1935), for the distribution under exchanges.
    M. Sankaran, "Approximations to the Non-Central Chi-Square Distribution", Biometrika 50 (1963), 199–204, for the
    limits of the intervals.

    Examples
    --------
    >>> from skdiv import divergence_estimates
    >>> X = [[300, 200, 100], [280, 230, 90], [120, 180, 300]]
    >>> result = divergence_estimates(X, metric="js_divergence")
    >>> result.estimate.round(4)
    array([[0.    , 0.0014, 0.0772],
           [0.0014, 0.    , 0.0797],
           [0.0772, 0.0797, 0.    ]])
    >>> result.corrected.round(4)
    array([[0.    , 0.0005, 0.0764],
           [0.0005, 0.    , 0.0788],
           [0.0764, 0.0788, 0.    ]])
    >>> low, high = result.confidence_interval
    >>> low[0].round(3), high[0].round(3)
    (array([0.   , 0.   , 0.057]), array([0.   , 0.005, 0.099]))
    """
    divergence = resolve(metric)
    _refuse_what_has_no_jackknife(divergence)
    check_scalar(confidence_level, "confidence_level", Real, min_val=0, max_val=1, include_boundaries="neither")
    scale = divergence._scale(base)
    estimator = Estimator(divergence, scale, float(confidence_level), check_pseudocount(pseudocount))
    P, Q = _samples(X, Y, blocks, Y_blocks)
    if paired:
        if Y is None or len(P) != len(Q):
            raise ValueError(
                f"paired=True needs one row of Y for each of the {len(P)} rows of X, but "
                f"{'there is no Y' if Y is None else f'Y has {len(Q)} rows'}."
            )
        layers = _of_pairs(estimator, P, Q, n_jobs)
    else:
        layers = _of_matrix(estimator, P, Q, n_jobs)
    estimate, corrected, error, low, high, few = layers
    n_pairs = few.size
    if Q is P:
        n_pairs -= len(P)
        if divergence.symmetric:
            few, high, n_pairs = np.triu(few), np.triu(high), n_pairs // 2
    _warn(estimator, int(np.count_nonzero(few)), int(np.count_nonzero(np.isinf(high))), n_pairs)
    return DivergenceEstimates(estimate, corrected, error, ConfidenceInterval(low, layers[4]))


def _refuse_what_has_no_jackknife(divergence: Divergence) -> None:
    """Refuse a divergence that is not smooth."""
    if is_kinked(divergence.term):
        raise ValueError(
            f"metric {divergence.name!r} has a kink where p = q, at which no jackknife tells how much it varies. Use "
            "'js_distance' or 'hellinger', which bound the total variation (docs/how_large.md says how)."
        )


def _samples(
    X: MatrixLike, Y: MatrixLike | None, blocks: BlocksLike | None, Y_blocks: BlocksLike | None
) -> tuple[Sample, Sample]:
    """Check the counts and blocks of a user. Without Y both samples are the same object."""
    if (Y is None and Y_blocks is not None) or (Y is not None and (blocks is None) != (Y_blocks is None)):
        raise ValueError("Pass blocks for X alone, or with Y both blocks and Y_blocks: of all rows or of none.")
    if Y is None:
        as_distributions(X, pseudocount=None)  # This refuses entries that are not weights, and empty rows.
        sample = _sample(X, blocks, names_of(X))
        return sample, sample
    as_pair(X, Y, None)
    return _sample(X, blocks, names_of(X)), _sample(Y, Y_blocks, names_of(Y, "Y"))


def _sample(X: MatrixLike, blocks: BlocksLike | None, names: Names) -> Sample:
    """Return rows of weights as rows of counts, with their blocks, or refuse them."""
    counts = as_counts(as_weights(X, names), f"{_WHY_COUNTS} Pass the counts.", names)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    wrong = np.flatnonzero((totals < _FEWEST) | (totals > _MOST))
    if wrong.size:
        i = int(wrong[0])
        limit, remedy = f"fewer than {_FEWEST}", "Drop the row."
        if totals[i] > _MOST:
            limit = "more than 10**9, of which one has no effect that could be computed"
            remedy = (
                "Use pairwise_divergences: so many leave nothing uncertain if they are independent; if not, blocks do."
            )
        raise ValueError(f"{names.row(i)} has {totals[i]:.0f} observations, {limit}. {remedy}")
    of_rows: Blocks | None = None
    if blocks is not None:
        of_rows = checked_blocks(blocks, counts, names, "Y_blocks" if names.argument == "Y" else "blocks")
        single = np.flatnonzero(of_rows.sizes < 2)
        if single.size:
            raise ValueError(
                f"{names.row(int(single[0]))} has one block, which does not tell how much blocks vary. Pass at least "
                "two for each row, better six, or no blocks if the observations are independent."
            )
    return Sample(Distributions(counts), of_rows)


def _of_matrix(estimator: Estimator, P: Sample, Q: Sample, n_jobs: int | None) -> FloatArray:
    """Return the layers of all pairs of rows, of shape (N_LAYERS, n_P, n_Q)."""
    of_itself, shape = Q is P, (len(P), len(Q))
    mirror = of_itself and estimator.divergence.symmetric
    what = f"divergence_estimates of {shape[0]} × {shape[1]} pairs"
    with enough_memory(8 * N_LAYERS * shape[0] * shape[1], what, "Pass fewer rows, or pairs of them with paired=True."):
        store = _IntoLayers(np.zeros((N_LAYERS, *shape)), mirror)
    tiles = tiles_of(shape, (_TILE, _TILE), of_itself=of_itself, upper=mirror)
    calls: Iterator[Call[Tile]] = ((tile, (P[tile.rows], Q[tile.columns], tile)) for tile in tiles)
    n_tiles = number_of_tiles(shape, (_TILE, _TILE), upper=mirror)
    nanoseconds = 400.0 * shape[0] * shape[1] * P.counts.shape[1]
    work = Work(8 * N_LAYERS * _TILE**2, lambda: nanoseconds, n_calls=n_tiles, name="estimates")
    run(estimator.tile, calls, store, work, n_jobs=n_jobs)
    if of_itself:
        store.layers[:, np.arange(len(P)), np.arange(len(P))] = 0
    return store.layers


def _of_pairs(estimator: Estimator, P: Sample, Q: Sample, n_jobs: int | None) -> FloatArray:
    """Return the layers of the pairs of rows with the same position, of shape (N_LAYERS, n)."""
    n, n_bins = P.counts.shape
    store = _IntoLayers(np.zeros((N_LAYERS, n)), mirror=False)
    step = max(1, _PAIRS_AT_A_TIME // n_bins)
    tiles = (Tile(slice(start, min(start + step, n)), slice(0, 0)) for start in range(0, n, step))
    calls: Iterator[Call[Tile]] = ((tile, (P[tile.rows], Q[tile.rows])) for tile in tiles)
    work = Work(8 * N_LAYERS * step, lambda: 400.0 * n * n_bins, n_calls=-(-n // step), name="estimates")
    run(estimator.pairs, calls, store, work, n_jobs=n_jobs)
    return store.layers


@dataclass(frozen=True)
class _IntoLayers:
    """A store that puts the layers of a tile into one array, and with ``mirror`` below the diagonal as well."""

    layers: FloatArray
    mirror: bool

    def target(self, tile: Tile) -> None:  # noqa: ARG002
        """Return None: the layers of a tile lie apart in memory."""
        return

    def __call__(self, tile: Tile, values: FloatArray) -> None:
        """Store the layers of a tile, or of the pairs of its rows."""
        if self.layers.ndim == 2:
            self.layers[:, tile.rows] = values
            return
        if self.mirror and tile.diagonal is not None:
            values = values + values.transpose(0, 2, 1)
        elif self.mirror:
            self.layers[:, tile.columns, tile.rows] = values.transpose(0, 2, 1)
        self.layers[:, tile.rows, tile.columns] = values


def _warn(estimator: Estimator, n_few: int, n_infinite: int, n_pairs: int) -> None:
    """Warn of intervals that may not hold, and of those that say nothing."""
    if n_few:
        of_bin, at_least = estimator.fewest()
        steep = f", not mostly on a bin with fewer than {FEW_IN_BIN} in a row" if estimator.is_steep() else ""
        warn_caller(
            f"For {n_few} of {n_pairs} pairs the counts are too few, and their intervals may miss more often than they "
            f"should: a row needs {of_bin} observations for each bin in which one of the two has mass, {at_least} in "
            f"any case, {FEWEST_OF_UNEQUAL} beside a row of {UNEQUAL} times as many, and of blocks six; and the value "
            f"has to depend on {FEWEST_EFFECTIVE} observations, and on two bins{steep}. Join bins that are rare, or "
            "leave out rows of few counts."
        )
    if n_infinite:
        name = estimator.divergence.name
        why, but = (
            f"{name!r} is infinite, or would be without some one or two observations",
            "; a pseudocount, such as 0.5, makes the estimate and the lower limit finite",
        )
        if estimator.pseudocount:
            why, but = f"{name!r} may be infinite, for it is without the pseudocount", ""
        warn_caller(
            f"For {n_infinite} of {n_pairs} pairs {why}, so that their intervals reach to infinity. Pass a bounded "
            f"metric, such as 'js_distance', or join bins that are rare{but}."
        )
