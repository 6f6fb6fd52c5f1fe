"""Which languages belong together?
================================

Which languages are written alike, and do the clusters agree with what is known of language families? They do where a
family shares its script: of 20 clusters one is Romance and one is Slavic, and one is Germanic but for Welsh.

The data are part of skdiv: for 55 languages of Europe, Asia and Africa, how often each character is followed by each
other one in the abstracts of Wikipedia. They are clustered by the Jensen-Shannon distances of these histograms with
Ward linkage, which is valid because this distance is a Euclidean distance in a Hilbert space. The algorithm knows
nothing of language families. It sees languages as they are written: a script of its own sets a language apart.

The picture shows the tree beside the matrix of distances, in the order of the tree, with the clusters in colours.
``python examples/cluster_languages.py`` saves it as languages.png, and prints the clusters, the nearest neighbour of
each language and the predicted clusters of five languages that were held out.
"""

import textwrap

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv.datasets import load_languages
from skdiv.plotting import ClusterMapDisplay

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


def main() -> None:
    languages = load_languages()
    distances = pairwise_divergences(languages.data, metric="js_distance")
    clustering = DivergenceClustering(N_CLUSTERS, metric="js_distance", linkage="ward").fit(languages.data)
    print_clusters(languages.names, clustering.labels_)
    print_neighbours(languages.names, distances)
    print_predictions(languages)
    display = ClusterMapDisplay.from_estimator(clustering, languages.data, labels=languages.names)
    display.figure_.savefig("languages.png", dpi=100)
    print("\nSaved languages.png: the tree beside the matrix of distances, in its order.")


if __name__ == "__main__":
    main()
