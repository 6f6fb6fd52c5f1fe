"""Limits for the noncentrality of a scaled noncentral χ², from one value, its bias and its variance.

Near zero a divergence of counts is a quadratic form, not a normal variable: it is at least 0, and it is skewed. So a
sum T with bias B and variance V is taken for c χ²_ν(λ), which has the mean c ν + c λ. Here c λ is the sum without bias
and c ν the bias. By the jackknife V is 4 c T: with T = c |z|² the influence of an observation is the slope 2 c z, whose
variance is 4 c² |z|². This gives c and ν; far from zero the distribution is normal with the variance V.
"""

from __future__ import annotations

import numpy as np

from skdiv._utils.typing import FloatArray

_HALVINGS = 50  # of the interval that holds a limit
_NO_SUM = 1e-6  # a sum below this share of its bias is one of equal rows, and V / (4 T) is 0 / 0
_LEAST_FREEDOM = 1e-3  # degrees of freedom; at 0 the approximation divides by zero


def limits(
    total: FloatArray,
    bias: FloatArray,
    variance: FloatArray,
    n_bins: FloatArray,
    normal: FloatArray,
    other_bias: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper limits of the sums without bias, all vectors of one entry a sum.

    Parameters
    ----------
    total, bias, variance : ndarray of shape (n,)
        The sums of terms, which are not negative, their biases and their variances by the jackknife. An infinite
        variance gives the limits 0 and infinity.
    n_bins : ndarray of shape (n,)
        The number of bins with mass.
    normal : ndarray of shape (n,)
        The quantile, of the normal or of Student's distribution, that the two limits are apart from the sum.
    other_bias : ndarray of shape (n,), optional
        What the biases may be as well: the lower limit is that of the larger one, the upper limit of the smaller one.
    """
    known = np.isfinite(variance)
    low, high = np.zeros(total.shape), np.full(total.shape, np.inf)
    least = most = bias
    if other_bias is not None:
        least, most = np.minimum(bias, other_bias), np.maximum(bias, other_bias)
    rest = variance[known], n_bins[known], normal[known]
    low[known] = _finite_limit(total[known], most[known], *rest, upper=False)
    high[known] = _finite_limit(total[known], least[known], *rest, upper=True)
    return low, high


def _finite_limit(
    total: FloatArray, bias: FloatArray, variance: FloatArray, n_bins: FloatArray, normal: FloatArray, *, upper: bool
) -> FloatArray:
    """Return one limit where the variances are finite. A negative bias moves the sum, for no χ² has one."""
    total, bias = total - np.minimum(bias, 0), np.maximum(bias, 0)
    is_sum = total > _NO_SUM * bias
    scale = np.where(is_sum, variance, 4 * bias) / np.where(is_sum, 4 * total, 4 * np.maximum(n_bins - 1, 1))
    varies = scale > 0
    scale = np.where(varies, scale, 1)
    x, freedom = total / scale, np.maximum(bias / scale, _LEAST_FREEDOM)
    # The limits lie on two sides of the sum without bias, which the approximation may miss at one degree and below.
    middle = np.maximum(total - bias, 0)
    if not upper:
        return np.where(varies, np.minimum(_noncentrality(x, freedom, normal) * scale, middle), middle)
    # A sum below its bias is so by chance, and its upper limit is not below that of a sum as large as the bias.
    high = _noncentrality(np.maximum(x, freedom), freedom, -normal)
    return np.where(varies, np.maximum(high * scale, middle), middle)


def _noncentrality(x: FloatArray, freedom: FloatArray, normal: FloatArray) -> FloatArray:
    """Return the λ for which χ²_ν(λ) is below x with the probability Φ(normal); 0 if no λ is as small."""
    low, high = np.zeros(x.shape), x + 10 + 2 * normal**2 + 4 * np.abs(normal) * np.sqrt(freedom + x)
    reached = _normal_score(x, freedom, low) > normal
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _normal_score(x, freedom, middle) > normal
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(reached, (low + high) / 2, 0)


def _normal_score(x: FloatArray, freedom: FloatArray, noncentrality: FloatArray) -> FloatArray:
    """Return the normal quantile of the probability that χ²_ν(λ) is below x, by Sankaran's approximation (1963).

    That is right to 0.004 in the probability from four degrees of freedom on.
    """
    mean, spread = freedom + noncentrality, freedom + 2 * noncentrality
    h = 1 - 2 / 3 * mean * (freedom + 3 * noncentrality) / spread**2
    p = spread / mean**2
    m = (h - 1) * (1 - 3 * h)
    scores: FloatArray = ((x / mean) ** h - 1 - h * p * (h - 1 - (2 - h) * m * p / 2)) / (
        h * np.sqrt(2 * p) * (1 + m * p / 2)
    )
    return scores
