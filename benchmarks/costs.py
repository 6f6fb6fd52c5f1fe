"""How long the tests of counts take, and how that grows with rows, bins and observations.

    python benchmarks/costs.py

prints one table for `pairwise_homogeneity`, one for `divergence_estimates` and one for `Significance`, all with one
worker, and the tests with their default number of tables. What README.md, docs/how_many_clusters.md and docstrings say
about the time of these is from here.
"""

import time

import numpy as np

from skdiv import DivergenceClustering, Significance, divergence_estimates, pairwise_homogeneity
from skdiv.datasets import load_languages


def counts(n_rows, n_bins, n_distributions, total=1000):
    """Rows of ``total`` observations, in equal parts from so many distributions."""
    rng = np.random.default_rng(0)
    distributions = rng.dirichlet(np.ones(n_bins), n_distributions)
    return np.array([rng.multinomial(total, distributions[i % n_distributions]) for i in range(n_rows)])


def seconds(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def time_significance(name, X):
    clustering = DivergenceClustering(Significance(random_state=0), n_jobs=1)
    taken, fitted = seconds(lambda: clustering.fit(X))
    tree, _ = seconds(lambda: DivergenceClustering(1, n_jobs=1).fit(X))
    tested = np.isfinite(fitted.node_pvalues_).sum()
    print(
        f"| {name} | {X.shape[0]} × {X.shape[1]:,} | {tested} | {fitted.n_clusters_} | {1000 * tree:.1f} ms "
        f"| {taken:.1f} s |",
        flush=True,
    )


def time_homogeneity(n_rows, n_bins, total):
    X = counts(n_rows, n_bins, n_rows, total)
    n_pairs = n_rows * (n_rows - 1) // 2
    by_chi2, _ = seconds(lambda: pairwise_homogeneity(X + 50, method="chi2", n_jobs=1))  # enough for the approximation
    taken, _ = seconds(lambda: pairwise_homogeneity(X, random_state=0, n_jobs=1))
    print(
        f"| {n_rows} × {n_bins} | {total:,} | {1000 * taken / n_pairs:.2f} ms | {taken:.1f} s | {by_chi2:.3f} s |",
        flush=True,
    )


def time_estimates(n_rows, n_bins):
    X = counts(n_rows, n_bins, n_rows)
    taken, _ = seconds(lambda: divergence_estimates(X, n_jobs=1))
    a_pair = 1e6 * taken / (n_rows * (n_rows - 1) // 2)
    print(f"| {n_rows} × {n_bins} | {a_pair:.0f} µs | {taken:.1f} s |", flush=True)


def main():
    DivergenceClustering().fit(counts(9, 9, 9))  # compiles
    print("| pairwise_homogeneity | observations a row | a pair | permutation | chi2 |")
    print("| --- | --- | --- | --- | --- |")
    for n_rows, n_bins, total in [(25, 64, 1000), (50, 64, 1000), (50, 64, 100_000), (25, 512, 1000), (25, 4096, 1000)]:
        time_homogeneity(n_rows, n_bins, total)
    divergence_estimates(counts(9, 9, 9))  # compiles
    print("\n| divergence_estimates | a pair | all pairs |")
    print("| --- | --- | --- |")
    for n_rows, n_bins in [(50, 64), (200, 64), (50, 512)]:
        time_estimates(n_rows, n_bins)
    print("\n| Significance, rows from | shape | nodes tested | clusters | one tree | fit |")
    print("| --- | --- | --- | --- | --- | --- |")
    for n_rows, n_bins in [(25, 64), (50, 64), (100, 64), (200, 64), (50, 1024)]:
        for n_distributions in (1, 3, n_rows):
            origin = "one distribution" if n_distributions == 1 else f"{n_distributions} distributions"
            time_significance(origin, counts(n_rows, n_bins, n_distributions))
    for n_languages in (4, 8):
        time_significance("languages", load_languages().data[:n_languages])


if __name__ == "__main__":
    main()
