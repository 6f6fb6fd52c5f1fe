"""Which functions of SciPy belong together?
=========================================

Do functions of SciPy that belong to one subpackage have similar documentation? In part: the adjusted Rand index of ten
clusters with the subpackages is about 0.56 for linkage by information, 0.43 for scikit-learn's Ward linkage with
TF-IDF, and 0.32 for Jensen-Shannon distances with Ward linkage.

The data are the docstrings of the installed SciPy. More than a thousand functions of ten subpackages are described by
histograms of the words in their documentation and put into ten clusters, and the clusters are compared with the
subpackages, of which the algorithms know nothing. Clustering by divergences takes the counts of words as they are;
Euclidean methods get them as counts, as frequencies, as vectors of length 1, and weighted by TF-IDF.

The picture shows which share of the functions of each subpackage is in each cluster.
``python examples/scipy_docstrings.py`` saves it as scipy_docstrings.png, and prints the agreement of each method and
the words that distinguish each cluster.
"""

import importlib
import inspect

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from sklearn.preprocessing import normalize

from skdiv import DivergenceClustering
from skdiv.explanations import describe_clusters

PACKAGES = ["fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "spatial", "special", "stats"]
SHORTEST = 600  # characters of a text; shorter ones are mostly references to another function
N_SEEDS = 5  # of k-means, of which the median is shown


def documentation() -> tuple[list[str], NDArray[np.str_]]:
    """Return the different texts, and the subpackage of each."""
    origin: dict[str, str] = {}
    for package in PACKAGES:
        module = importlib.import_module(f"scipy.{package}")
        things = [getattr(module, name) for name in module.__all__]
        texts = [inspect.getdoc(thing) or "" for thing in things if callable(thing)]
        origin |= {text: package for text in texts if len(text) >= SHORTEST and text not in origin}
    return list(origin), np.array(list(origin.values()))


def clusterings(counts: sp.csr_array) -> dict[str, list[NDArray[np.intp]]]:
    """Return the labels by Jensen-Shannon and by Euclidean methods, of each seed where a method has one."""
    labels = {"Jensen-Shannon, ward": [DivergenceClustering(len(PACKAGES)).fit_predict(counts)]}
    forms = {
        "counts": counts,
        "frequencies": normalize(counts, "l1"),
        "vectors of length 1": normalize(counts),
        "TF-IDF": TfidfTransformer(sublinear_tf=True).fit_transform(counts),
    }
    for name, rows in forms.items():
        labels[f"Euclidean ward, {name}"] = [AgglomerativeClustering(len(PACKAGES)).fit_predict(rows.toarray())]
        labels[f"k-means, {name}"] = [
            KMeans(len(PACKAGES), n_init=3, random_state=seed).fit_predict(rows) for seed in range(N_SEEDS)
        ]
    return labels


def print_agreement(labels: dict[str, list[NDArray[np.intp]]], packages: NDArray[np.str_]) -> None:
    print(f"{'agreement with the subpackages (1 is perfect, 0 is chance)':<60}{'Rand':>6}{'mutual inf.':>13}\n")
    for name, each in labels.items():
        rand = np.median([adjusted_rand_score(packages, found) for found in each])
        mutual = np.median([adjusted_mutual_info_score(packages, found) for found in each])
        print(f"  {name:<58}{rand:>6.2f}{mutual:>13.2f}")


def print_words(
    clustering: DivergenceClustering, counts: sp.csr_array, words: NDArray[np.object_], packages: NDArray[np.str_]
) -> None:
    """Print the words that make each cluster, most of whose texts come from the subpackages that are named first."""
    described = describe_clusters(clustering, counts, top=8, feature_names=list(words))
    print("\nThe words that tell each cluster from the others, and the subpackages that it holds most of\n")
    for cluster in range(clustering.n_clusters_):
        names, sizes = np.unique(packages[clustering.labels_ == cluster], return_counts=True)
        first = ", ".join(f"{names[k]} {sizes[k]}" for k in np.argsort(-sizes, kind="stable")[:2])
        print(f"  {first:<28}{' '.join(described['feature'][described['cluster'] == cluster])}")


def draw(labels: NDArray[np.intp], packages: NDArray[np.str_]) -> Figure:
    """Draw the share of each subpackage that went into each cluster."""
    table = np.array([[np.sum(labels[packages == name] == k) for k in range(len(PACKAGES))] for name in PACKAGES])
    order = np.argsort(table.argmax(axis=0) * 10_000 - table.max(axis=0))
    shares = (table / table.sum(axis=1, keepdims=True))[:, order]
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for row, column in np.ndindex(shares.shape):
        if number := table[row, order[column]]:
            colour = "black" if shares[row, column] > 0.5 else "white"
            axes.text(column, row, number, ha="center", va="center", color=colour, fontsize=9)
    axes.set_yticks(range(len(PACKAGES)), [f"scipy.{name}" for name in PACKAGES])
    axes.set_xticks(range(len(PACKAGES)))
    axes.set(xlabel="cluster", title="Functions of SciPy, clustered by the words of their documentation")
    figure.colorbar(image, label="share of the subpackage", shrink=0.8)
    return figure


def main() -> None:
    texts, packages = documentation()
    vectorizer = CountVectorizer(token_pattern=r"[a-z]{3,}", min_df=3)
    counts = sp.csr_array(vectorizer.fit_transform(texts), dtype=float)
    print(f"{counts.shape[0]:,} texts of {counts.shape[1]:,} different words\n")
    clustering = DivergenceClustering(len(PACKAGES), linkage="information", refine=20)
    clustering.fit(counts, sample_weight="counts")
    by_information = {"information, every word counts as one": [clustering.labels_]}
    print_agreement(by_information | clusterings(counts), packages)
    print_words(clustering, counts, vectorizer.get_feature_names_out(), packages)
    draw(clustering.labels_, packages).savefig("scipy_docstrings.png", dpi=100)
    print("\nSaved scipy_docstrings.png: which subpackage went into which cluster.")


if __name__ == "__main__":
    main()
