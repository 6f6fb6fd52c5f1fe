"""How many clusters of languages are there?
=========================================

How many clusters are there if no test can tell, because the counts are not of independent observations? Silhouette and
stability say 8, which are systems of writing.

The data are the histograms of pairs of characters in 55 languages that are part of skdiv. They are clustered by linkage
by information: each merge is the one that loses the least of the information about the characters. Three criteria are
then computed for each number of clusters:

- the share of that information which the clusters retain, from one fit;
- their mean silhouette, which tells how much nearer a language is to its own cluster than to the next;
- their stability: how well they agree (adjusted Rand index) with the clusters of four fifths of the languages, drawn at
  random.

The picture shows the three criteria against the number of clusters. ``python examples/how_many_clusters.py`` saves it
as how_many_clusters.png, and prints the numbers.
"""

from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.utils import resample

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv.datasets import load_languages
from skdiv.plotting import InformationCurveDisplay

NUMBERS = np.arange(2, 41)
N_SUBSETS = 20


def labels_of_each_number(data: csr_array, cache: str) -> NDArray[np.intp]:
    """A row of labels for each number of clusters, all cut from the same tree, which the cache keeps."""
    clustering = DivergenceClustering(linkage="information", memory=cache)
    return np.array([clustering.set_params(n_clusters=k).fit(data).labels_ for k in NUMBERS])


def stability(data: csr_array, labels: NDArray[np.intp], cache: str) -> NDArray[np.float64]:
    """Mean agreement with the clusters of subsets, for each number."""
    scores = []
    for seed in range(N_SUBSETS):
        subset = resample(np.arange(55), replace=False, n_samples=44, random_state=seed)
        of_subset = labels_of_each_number(data[subset], cache)
        scores.append([adjusted_rand_score(*pair) for pair in zip(labels[:, subset], of_subset, strict=True)])
    return np.mean(scores, axis=0)


def plot(clustering: DivergenceClustering, curves: dict[str, NDArray[np.float64]]) -> Figure:
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(curves))
    InformationCurveDisplay.from_estimator(clustering, ax=first)
    for axes, (name, values) in zip(others, curves.items(), strict=True):
        axes.plot(NUMBERS, values, marker=".", color=first.lines[0].get_color())
        axes.set(title=name, xlabel="number of clusters")
        axes.grid(alpha=0.3)
    return figure


def main() -> None:
    data = load_languages().data
    clustering = DivergenceClustering(8, linkage="information").fit(data)
    n_clusters, retained = clustering.information_curve_
    distances = pairwise_divergences(data)
    with TemporaryDirectory() as cache:
        labels = labels_of_each_number(data, cache)
        stable = stability(data, labels, cache)
    curves = {
        "silhouette": np.array([silhouette_score(distances, each, metric="precomputed") for each in labels]),
        "stability (subsets)": stable,
    }
    columns = {"information retained": retained[np.isin(n_clusters, NUMBERS)], **curves}
    print("clusters  " + "  ".join(columns))
    for row, k in enumerate(NUMBERS):
        print(f"{k:8}  " + "  ".join(f"{values[row]:{len(name)}.3f}" for name, values in columns.items()))
    plot(clustering, curves).savefig("how_many_clusters.png", dpi=110)


if __name__ == "__main__":
    main()
