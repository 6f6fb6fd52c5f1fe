"""How long it takes to cluster a sample and to label many more rows by its clusters.

    python benchmarks/prediction.py

prints one line for each way to measure the distance to a cluster. What README.md says about 200,000 rows is from here.
"""

import time

import numpy as np
from sklearn.metrics import adjusted_rand_score

from skdiv import DivergenceClustering

N_ROWS, N_SAMPLE, N_BINS, N_CLUSTERS = 200_000, 2_000, 64, 20
TURNS = 3


def seconds(function, *arguments):
    """Return the median time of some turns, and the last result."""
    times = []
    for _ in range(TURNS):
        start = time.perf_counter()
        result = function(*arguments)
        times.append(time.perf_counter() - start)
    return np.median(times), result


def main():
    rng = np.random.default_rng(0)
    origins = rng.integers(N_CLUSTERS, size=N_ROWS)
    X = rng.multinomial(200, rng.dirichlet(np.ones(N_BINS), N_CLUSTERS)[origins])
    DivergenceClustering().fit(X[:100]).predict(X[:100])  # compiles
    print("| distance to a cluster | fit 2,000 rows | predict 200,000 rows | agreement with the truth (ARI) |")
    print("| --- | --- | --- | --- |")
    for assign in ("member", "center"):
        clustering = DivergenceClustering(N_CLUSTERS, assign=assign, n_jobs=2)
        fit, _ = seconds(clustering.fit, X[:N_SAMPLE])
        predict, labels = seconds(clustering.predict, X)
        agreement = adjusted_rand_score(origins, labels)
        print(f"| {assign} | {fit:.2f} s | {predict:.2f} s | {agreement:.3f} |", flush=True)


if __name__ == "__main__":
    main()
