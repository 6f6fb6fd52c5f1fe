"""Which bins tell collections of samples apart, and how far from the truth are divergences in them?

Two groups of 15 collections each are drawn from two known densities, in ten cases of one or two dimensions. For each
rule and each size of the collections the table has two means over cases and draws: the adjusted Rand index of two
clusters by the Jensen-Shannon distance and Ward linkage with the groups; and how far the mean divergence between a
collection of one group and one of the other is from that of the densities (nats, by quadrature).

    python benchmarks/bins.py

takes a minute. The rules are `HistogramTransformer`'s; "NumPy's auto on all" is its "auto" applied to the
observations of all collections together.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr
from scipy.stats import expon, gamma, lognorm, multivariate_normal, norm, rv_continuous, t
from sklearn.metrics import adjusted_rand_score

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv.preprocessing import HistogramTransformer

SIZES = [25, 50, 100, 200, 500, 2000]
N_COLLECTIONS = 15  # of each group
N_DRAWS = 40


class Mixture:
    """A mixture of equal parts of some distributions."""

    def __init__(self, *parts: rv_continuous) -> None:
        self.parts = parts

    def rvs(self, n: int, random_state: np.random.Generator) -> NDArray[np.float64]:
        """Draw n observations."""
        numbers = random_state.multinomial(n, np.full(len(self.parts), 1 / len(self.parts)))
        pairs = zip(self.parts, numbers, strict=True)
        return np.concatenate([part.rvs(number, random_state=random_state) for part, number in pairs])

    def pdf(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the density."""
        return np.mean([part.pdf(x) for part in self.parts], axis=0)


def tilted(correlation: float) -> rv_continuous:
    return multivariate_normal(cov=[[1, correlation], [correlation, 1]])


CASES = {
    "mean": (norm(0, 1), norm(0.5, 1)),
    "spread": (norm(0, 1), norm(0, 1.5)),
    "shape": (gamma(4, scale=0.5), norm(2, 1)),
    "skewness": (expon(scale=2), gamma(2)),
    "two peaks": (norm(0, 1), Mixture(norm(-0.9, 0.44), norm(0.9, 0.44))),
    "tails": (norm(0, 1), t(2)),
    "eight peaks": tuple(Mixture(*(norm(k + shift, 0.15) for k in range(-2, 2))) for shift in (0, 0.5)),
    "lognormal": (lognorm(1), lognorm(1, scale=1.5)),
    "mean, 2-D": (tilted(0), multivariate_normal([0.35, 0.35])),
    "correlation, 2-D": (tilted(-0.4), tilted(0.4)),
}
RULES: dict[str, Callable[[list[NDArray[np.float64]]], HistogramTransformer]] = {
    'bins="auto"': lambda _: HistogramTransformer(),
    "NumPy's auto on all": lambda X: HistogramTransformer(numpys_edges(np.concatenate(X))),
    'bins="sturges"': lambda _: HistogramTransformer("sturges"),
    "bins=10": lambda _: HistogramTransformer(10),
    "bins=20": lambda _: HistogramTransformer(20),
}


def numpys_edges(pooled: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [np.histogram_bin_edges(column, "auto") for column in pooled.reshape(len(pooled), -1).T]


def divergence_of(p: rv_continuous, q: rv_continuous, *, plane: bool) -> float:
    """Return the Jensen-Shannon divergence of two densities by the trapezoidal rule."""
    x = (
        np.linspace(-8, 8, 801)
        if plane
        else np.concatenate([np.linspace(-60, -20, 8001), np.linspace(-20, 200, 440001)])
    )
    points = np.stack(np.meshgrid(x, x), axis=-1) if plane else x
    f, g = (np.nan_to_num(density.pdf(points), posinf=0) for density in (p, q))
    f, g = (np.where(values > 1e-200, values, 0) for values in (f, g))  # Half of a subnormal number may be 0.
    integrand = (rel_entr(f, (f + g) / 2) + rel_entr(g, (f + g) / 2)) / 2
    return float(np.trapezoid(np.trapezoid(integrand, x), x) if plane else np.trapezoid(integrand, x))


def measured(name: str, size: int) -> Iterator[tuple[str, float, float, int]]:
    """Yield for each rule and draw its name, the adjusted Rand index, the error, and the number of bins."""
    densities, plane = CASES[name], name.endswith("2-D")
    truth, origin = divergence_of(*densities, plane=plane), np.repeat([0, 1], N_COLLECTIONS)
    for seed in range(N_DRAWS):
        rng = np.random.default_rng([seed, size])
        X = [densities[group].rvs(size, random_state=rng) for group in origin]
        for rule, transformer_of in RULES.items():
            rows = transformer_of(X).fit_transform(X)
            D = pairwise_divergences(rows)
            labels = DivergenceClustering(2, metric="precomputed", linkage="ward").fit_predict(D)
            error = (D[:N_COLLECTIONS, N_COLLECTIONS:] ** 2).mean() - truth
            yield rule, adjusted_rand_score(origin, labels), abs(error), rows.shape[1] - 2


def main() -> None:
    for what, some in (
        ("1-D", [name for name in CASES if "2-D" not in name]),
        ("2-D", ["mean, 2-D", "correlation, 2-D"]),
    ):
        results = {size: [each for name in some for each in measured(name, size)] for size in SIZES}
        titles = ["adjusted Rand index", "error of the divergence, in nats", "bins, median"]
        for column, (title, mean) in enumerate(zip(titles, [np.mean, np.mean, np.median], strict=True), start=1):
            print(f"\n{what}: {title}, by the size of the collections\n\n{'':<22}" + "".join(f"{n:>8}" for n in SIZES))
            for rule in RULES:
                cells = [mean([each[column] for each in results[size] if each[0] == rule]) for size in SIZES]
                print(f"{rule:<22}" + "".join(f"{cell:>8.0f}" if column == 3 else f"{cell:>8.3f}" for cell in cells))


if __name__ == "__main__":
    main()
