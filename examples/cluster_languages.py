"""Languages of Europe, Asia and Africa fall into groups, many of them families.

55 languages, each a histogram of how often which two characters follow each other, are clustered by the Jensen-Shannon
distance of the histograms, with Ward linkage: the root of the Jensen-Shannon divergence is a Euclidean distance in a
Hilbert space, so Ward's criterion means what it says. Nobody tells the algorithm what a language family is, and it
knows languages as they are written: a script of its own sets a language apart, and spelling does the rest.

    python examples/cluster_languages.py

prints the clusters, the nearest neighbour of each language and the prediction for languages held out, and saves
languages.png: the tree beside the matrix of distances, in the order of the tree.
"""

import textwrap

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, set_link_color_palette
from sklearn.utils import Bunch

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv.datasets import load_languages

N_CLUSTERS = 20
HELD_OUT = ["Norwegian", "Portuguese", "Slovak", "Nepali", "Urdu"]


def print_clusters(names: NDArray[np.str_], labels: NDArray[np.intp]) -> None:
    groups = sorted((names[labels == label] for label in np.unique(labels)), key=lambda group: (-len(group), group[0]))
    print(f"{len(names)} languages in {len(groups)} clusters (js_distance, ward)\n")
    for number, group in enumerate((group for group in groups if len(group) > 1), start=1):
        print(textwrap.fill(", ".join(group), 100, initial_indent=f"{number:3}  ", subsequent_indent="     "))
    alone = [str(group[0]) for group in groups if len(group) == 1]
    print(textwrap.fill(f"alone: {', '.join(alone)}", 100, initial_indent="\n     ", subsequent_indent="     "))


def print_neighbours(names: NDArray[np.str_], distances: NDArray[np.float64]) -> None:
    others = distances + np.diag(np.full(len(names), np.inf))
    print("\nNearest neighbour and its Jensen-Shannon distance, nearest first (the greatest possible is 0.833)\n")
    cells = [
        f"{names[i]:<21} {names[others[i].argmin()]:<21} {others[i].min():.3f}" for i in np.argsort(others.min(axis=1))
    ]
    half = (len(cells) + 1) // 2
    for left, right in zip(cells[:half], [*cells[half:], ""], strict=False):
        print(f"  {left}   {right}".rstrip())


def print_predictions(languages: Bunch) -> None:
    held_out = np.isin(languages.names, HELD_OUT)
    clustering = DivergenceClustering(N_CLUSTERS + 2).fit(languages.data[~held_out])
    known = languages.names[~held_out]
    print(f"\nHeld out, and predicted by {clustering.n_clusters_} clusters of the others (finer, for there are fewer):")
    print("distance to the nearest member, and the cluster\n")
    new = languages.data[held_out]
    distances = clustering.transform(new).min(axis=1)
    for name, label, distance in zip(languages.names[held_out], clustering.predict(new), distances, strict=True):
        members = ", ".join(known[clustering.labels_ == label])
        print(textwrap.fill(members, 100, initial_indent=f"  {name:<11} {distance:.3f}  ", subsequent_indent=" " * 21))


def draw(names: NDArray[np.str_], clustering: DivergenceClustering, distances: NDArray[np.float64]) -> Figure:
    figure = Figure(figsize=(12, 9), layout="constrained")
    tree_axes, matrix_axes = figure.subplots(1, 2, width_ratios=[1, 2])
    set_link_color_palette(
        [f"tab:{name}" for name in ["orange", "green", "red", "purple", "brown", "pink", "cyan", "olive"]]
    )
    cut = clustering.distances_[[-N_CLUSTERS, 1 - N_CLUSTERS]].mean()  # the last merge made, the first undone
    tree = dendrogram(
        clustering.linkage_matrix_, orientation="left", ax=tree_axes, no_labels=True, color_threshold=cut,
        above_threshold_color="black",
    )  # fmt: skip
    tree_axes.axvline(cut, color="0.3", linestyle=":", linewidth=1)
    tree_axes.set(xlabel="height of the merge (ward)", title=f"cut into {N_CLUSTERS} clusters", yticks=[])
    tree_axes.spines[["left", "top", "right"]].set_visible(False)
    order, n = tree["leaves"], len(names)
    corners, downwards = (0, 10 * n, 0, 10 * n), distances[np.ix_(order, order[::-1])]
    image = matrix_axes.imshow(downwards, origin="lower", extent=corners, aspect="auto", cmap="magma")
    matrix_axes.set(title="Jensen-Shannon distance of bigram histograms", xticks=[])
    matrix_axes.set_yticks(np.arange(5, 10 * n, 10), names[order], fontsize=8)
    matrix_axes.tick_params(length=0)
    figure.colorbar(image, ax=matrix_axes, label="√nats; 0.833, hardly any bigram in common", shrink=0.5, pad=0.02)
    return figure


def main() -> None:
    languages = load_languages()
    distances = pairwise_divergences(languages.data, metric="js_distance")
    clustering = DivergenceClustering(N_CLUSTERS, metric="js_distance", linkage="ward").fit(languages.data)
    print_clusters(languages.names, clustering.labels_)
    print_neighbours(languages.names, distances)
    print_predictions(languages)
    draw(languages.names, clustering, distances).savefig("languages.png", dpi=100)
    print("\nSaved languages.png: the tree beside the matrix of distances, in its order.")


if __name__ == "__main__":
    main()
