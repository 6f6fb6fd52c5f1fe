"""Find the frequencies and weights of `skdiv._divergences.spectra`, which embed the Jensen-Shannon distance.

The term of Jensen-Shannon for a bin with p and q is a mixture, with a positive density over the frequencies ω, of
p + q − 2 √(pq) cos(ω ln(p/q)). A few frequencies with non-negative weights come near to it. For given frequencies the
weights with the least largest relative error are a linear program over a grid of u = ln(p/q), its limits at 0 and at
infinity included; the frequencies themselves are found by Nelder and Mead's simplex search, from several starts.

    python tools/js_frequencies.py          # every number of features a bin from 1 to 9, in a few minutes
    python tools/js_frequencies.py 5        # one of them
    python tools/js_frequencies.py fine     # 56 features a bin, in some minutes

With many frequencies the relative error is below what a linear program resolves. The weights for given frequencies are
then those of least squares, weighted until the extremes of the error are nearly equal (C. L. Lawson's iteration), and
the frequencies are found by least squares in them alone (G. H. Golub and V. Pereyra's variable projection, 1973).
"""

import math
import sys

import numpy as np
from scipy.optimize import least_squares, linprog, minimize

from skdiv._divergences.terms import jensen_shannon

STARTS = 6
COARSE = np.concatenate([np.geomspace(1e-2, 1, 40, endpoint=False), np.linspace(1, 30, 800)])
FINE = np.concatenate([np.geomspace(1e-2, 1, 500, endpoint=False), np.linspace(1, 60, 30_000)])


def ratios(u, frequencies):
    """Return, for each u and frequency, (p + q − 2 √(pq) cos(ω u)) over the term of Jensen-Shannon; last 0 and ∞."""
    u, frequencies = u[:, np.newaxis], np.asarray(frequencies)
    q = np.exp(-u)
    terms = np.expm1(-u / 2) ** 2 + 4 * np.exp(-u / 2) * np.sin(frequencies * u / 2) ** 2
    limits = [8 * (0.25 + frequencies**2), np.full(len(frequencies), 2 / math.log(2))]
    return np.vstack([terms / jensen_shannon(np.ones_like(q), q), *limits])


def best_weights(frequencies, u):
    """Return the largest relative error and the non-negative weights for which it is least."""
    table = ratios(u, frequencies)
    ones = np.ones((len(table), 1))
    rows = np.block([[table, -ones], [-table, -ones]])
    sides = np.concatenate([ones, -ones])[:, 0]
    costs = np.append(np.zeros(len(frequencies)), 1)
    solution = linprog(costs, A_ub=rows, b_ub=sides, method="highs-ds")
    return solution.x[-1], solution.x[:-1]


def frequencies_of(n_features, free):
    """Return all frequencies, of which 0 takes one feature and is there if their number is odd; others take two."""
    return np.concatenate([[0.0] * (n_features % 2), np.abs(free)])


def search(n_features, random):
    """Return the largest relative error, the frequencies and the weights that were found for a number of features."""
    n_free = n_features // 2
    best = (math.inf, np.empty(0))
    for _ in range(STARTS if n_free else 1):
        start = np.cumsum(random.uniform(0.2, 0.5, n_free))
        found = best_free(n_features, start)
        best = min(best, found, key=lambda pair: pair[0])
    frequencies = np.round(np.sort(frequencies_of(n_features, best[1])), 5)
    return *best_weights(frequencies, FINE), frequencies


def best_free(n_features, start):
    """Return the error and the free frequencies at which a simplex search from ``start`` ends."""
    if not len(start):
        return best_weights([0.0], COARSE)[0], start
    options = {"xatol": 1e-5, "fatol": 1e-9, "maxiter": 400}
    found = minimize(
        lambda free: best_weights(frequencies_of(n_features, free), COARSE)[0],
        start, method="Nelder-Mead", options=options,
    )  # fmt: skip
    return found.fun, found.x


EVEN = np.append(np.linspace(4e-3, 64, 2500), 400.0)
MILLION = 1e6  # residuals are scaled, so that the optimiser does not take them for zero


def projected(frequencies, importance):
    """Return the weights of least squares with the importance of each point, and the relative errors."""
    table, roots = ratios(EVEN, frequencies)[:-2], np.sqrt(importance)
    weights, *_ = np.linalg.lstsq(table * roots[:, np.newaxis], roots, rcond=1e-16)
    return weights, table @ weights - 1


def improved(frequencies, n_steps):
    """Return the largest relative error, the frequencies and the weights after so many steps of Lawson's iteration."""
    importance, best = np.ones(len(EVEN)), (math.inf, frequencies, frequencies)
    for _ in range(n_steps):
        root = np.sqrt(importance)
        found = least_squares(
            lambda logs, root=root, importance=importance: MILLION * root * projected(np.exp(logs), importance)[1],
            np.log(frequencies), max_nfev=40, xtol=1e-13, ftol=1e-13, gtol=1e-15,
        )  # fmt: skip
        frequencies = np.exp(found.x)
        weights, errors = projected(frequencies, importance)
        largest = np.abs(errors).max()
        if weights.min() > 0:
            best = min(best, (largest, frequencies, weights), key=lambda each: each[0])
        importance = importance * (np.abs(errors) / largest + 1e-3)
        importance /= importance.mean()
    return best


def fine():
    """Print the fine spectrum: frequencies are added two at a time, beginning with eight."""
    spread = 0.1
    best = improved(0.09 * np.sinh(np.arange(0.5, 8) * spread) / spread, 8)
    for n in range(10, 30, 2):
        places = np.interp(np.linspace(0, n - 3, n), np.arange(n - 2), np.sort(best[1]))
        best = min(
            (improved(places * factor, 8) for factor in (1, np.linspace(0.95, 1.08, n))), key=lambda each: each[0]
        )
        order = np.argsort(best[1])
        print(2 * n, f"{best[0]:.3e}", best[1][order].tolist(), best[2][order].tolist(), flush=True)


def main():
    """Print what was found, to be copied."""
    if sys.argv[1:] == ["fine"]:
        fine()
    else:
        for n_features in map(int, sys.argv[1:] or range(1, 10)):
            error, weights, frequencies = search(n_features, np.random.default_rng(n_features))
            print(n_features, f"{error:.3e}", frequencies.tolist(), weights.tolist(), flush=True)


if __name__ == "__main__":
    main()
