"""How far from the truth are divergences that `sample_divergences` estimates from continuous and from tied samples?

For each case and metric the table has the truth, and the mean and the standard deviation of the estimates over draws
(nats), with the number of infinite ones. The same continuous samples with jitter are what rounded ones compare with.

    python benchmarks/samples.py

takes a few minutes on one core.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr
from scipy.stats import norm, poisson

from skdiv.models import sample_divergences

N_DRAWS = 30
Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
Case = tuple[Draw, Draw, NDArray[np.float64], NDArray[np.float64]]  # how to draw both samples, and their shares


def gaussian(shift: float, step: float) -> Case:
    """Two Gaussians of standard deviation 12 that are rounded to multiples of a step; 0 leaves them as they are."""
    width = step or 0.05
    edges = np.arange(-60, 150, width) - width / 2

    def draw(mean: float) -> Draw:
        return lambda rng, n: np.round(rng.normal(mean, 12, n) / width) * width if step else rng.normal(mean, 12, n)

    return draw(40), draw(40 + shift), np.diff(norm.cdf(edges, 40, 12)), np.diff(norm.cdf(edges, 40 + shift, 12))


def shares(p: NDArray[np.float64], q: NDArray[np.float64]) -> Case:
    """Whole numbers with given shares."""

    def draw(r: NDArray[np.float64]) -> Draw:
        return lambda rng, n: rng.choice(len(r), n, p=r / r.sum()).astype(float)

    return draw(p), draw(q), p / p.sum(), q / q.sum()


def zero_inflated(p: float, q: float) -> Case:
    """Zeros with a given share, and Gaussians with the means 0 and 1."""
    x = np.linspace(-9, 10, 10_001)

    def draw(share: float, mean: float) -> Draw:
        return lambda rng, n: rng.normal(mean, 1, n) * (rng.random(n) > share)

    of = [np.r_[share, (1 - share) * norm.pdf(x, mean) * (x[1] - x[0])] for share, mean in ((p, 0), (q, 1))]
    return draw(p, 0), draw(q, 1), of[0], of[1]


CASES = {
    "continuous, 6 apart": gaussian(6, 0),
    "whole numbers, 3 apart": gaussian(3, 1),
    "whole numbers, 6 apart": gaussian(6, 1),
    "whole numbers, 12 apart": gaussian(12, 1),
    "tens, 6 apart": gaussian(6, 10),
    "Poisson, 3 and 4": shares(poisson.pmf(np.arange(40), 3), poisson.pmf(np.arange(40), 4)),
    "four values": shares(np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])),
    "{0, 1} and {1, 2}": shares(np.array([0.5, 0.5, 0]), np.array([0, 0.5, 0.5])),
    "{0} and {1}": shares(np.array([1.0, 0]), np.array([0, 1.0])),
    "zero-inflated": zero_inflated(0.5, 0.7),
}


def main() -> None:
    print("| case | n | metric | truth | mean | deviation | infinite |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name, (draw_p, draw_q, p, q) in CASES.items():
        m = (p + q) / 2
        truths = {"js_divergence": (rel_entr(p, m) + rel_entr(q, m)).sum() / 2, "kl": rel_entr(p, q).sum()}
        for n in (200, 1000):
            for metric, truth in truths.items():
                rngs = map(np.random.default_rng, range(N_DRAWS))
                values = np.array([sample_divergences([draw_p(r, n), draw_q(r, n)], metric)[0, 1] for r in rngs])
                finite = values[np.isfinite(values)]
                mean, deviation = (f"{finite.mean():.4f}", f"{finite.std():.4f}") if finite.size else ("inf", "")
                print(f"| {name} | {n} | {metric} | {truth:.4f} | {mean} | {deviation} | {N_DRAWS - finite.size} |")


if __name__ == "__main__":
    main()
