"""How far feature maps for Jensen-Shannon distort its squared distance: the largest relative error over all pairs p, q.

    python benchmarks/maps.py

prints a table. The maps, with the same number of features for each bin:

- skdiv: frequencies and weights with the least largest relative error (`tools/js_frequencies.py`);
- Vedaldi and Zisserman (2012): frequencies at equal steps, with weights that are their spectral density, as
  `sklearn.kernel_approximation.AdditiveChi2Sampler` has them for chi2; the step is the one that is best here;
- Sutherland, Oliva, Póczos and Schneider (2015): frequencies drawn at random from the spectral density; the median of
  101 draws. The frequency 0 has probability 0, so each frequency takes two features.
"""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from skdiv._divergences.spectra import JENSEN_SHANNON
from skdiv._divergences.terms import jensen_shannon

U = np.concatenate([np.geomspace(1e-3, 1, 500), np.linspace(1, 60, 20_000)[1:]])  # ln(p/q)


def largest_error(frequencies, weights):
    """Return the largest relative error for all p, q > 0 on the grid, for p near q, and for q = 0."""
    u, q = U[:, np.newaxis], np.exp(-U)
    terms = np.expm1(-u / 2) ** 2 + 4 * np.exp(-u / 2) * np.sin(np.asarray(frequencies) * u / 2) ** 2
    ratios = (terms @ weights) / jensen_shannon(np.ones_like(q), q)
    return max(np.abs(ratios - 1).max(), abs(2 / math.log(2) * np.sum(weights) - 1))


def density(frequencies):
    """Return the spectral density of Jensen-Shannon in nats; its integral over all frequencies is ½ ln 2."""
    return 0.5 / np.cosh(np.pi * frequencies) / (1 + 4 * frequencies**2)


def at_equal_steps(n_features):
    """Return the error of Vedaldi and Zisserman's map with the best step."""
    multiples = np.arange(n_features // 2 + 1)

    def error(step):
        weights = step * density(step * multiples) * np.where(multiples == 0, 1, 2)
        return largest_error(step * multiples, weights)

    starts = np.arange(0.05, 1.5, 0.1)
    return min(minimize_scalar(error, bounds=(low, low + 0.3), method="bounded").fun for low in starts)


def at_random(n_features):
    """Return the median error of frequencies that are drawn at random."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 8, 100_001)
    cumulative = np.cumsum(density(grid))
    n = n_features // 2
    weights = np.full(n, math.log(2) / 2 / n)
    draws = np.interp(rng.random((101, n)), cumulative / cumulative[-1], grid)
    return float(np.median([largest_error(frequencies, weights) for frequencies in draws]))


def main():
    """Print the table."""
    assert abs(2 * np.trapezoid(density(np.linspace(0, 8, 100_001)), dx=8e-5) - math.log(2) / 2) < 1e-9
    print("| numbers a bin | skdiv | Vedaldi & Zisserman | Sutherland et al. |\n| --- | --- | --- | --- |")
    for spectrum in JENSEN_SHANNON[1:]:
        n = spectrum.n_features
        equal = f"{at_equal_steps(n):.1%}" if n % 2 else "needs an odd number"
        drawn = "needs an even number" if n % 2 else f"{at_random(n):.0%}"
        print(f"| {n} | {largest_error(spectrum.frequencies, spectrum.weights):.2%} | {equal} | {drawn} |")
    for n in (64, 1024):
        print(f"| {n} | | | {at_random(n):.0%} |")


if __name__ == "__main__":
    main()
