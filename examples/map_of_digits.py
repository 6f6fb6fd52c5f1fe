"""Which digits are easily taken for each other?
=============================================

Which images of handwritten digits resemble those of another digit? Only 36 of 1,797 do, most often an 8 that
looks like a 1.

The data are the 1,797 images that scikit-learn ships. Each is a histogram of its ink over 8 × 8 pixels. The nearest
images of each by the Jensen-Shannon distance are found, exactly and without the matrix of all distances. t-SNE draws a
map from them, in which near images lie near each other; it does not know which digits were written.

The picture shows this map. Where most of the neighbours of an image show another digit, the image is drawn as the digit
that was written, in the colour of the other one. ``python examples/map_of_digits.py`` saves it as map_of_digits.png,
and prints which digits are taken for which.
"""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline

from skdiv import nearest_divergences
from skdiv.neighbors import DivergenceNeighborsTransformer

N_NEIGHBORS = 15
PERPLEXITY = 30


def digits_of_neighbours(ink: NDArray[np.float64], digits: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the digit that is the most frequent among the neighbours of each image."""
    _, indices = nearest_divergences(ink, n_neighbors=N_NEIGHBORS)
    return np.array([np.bincount(each).argmax() for each in digits[indices]])


def print_mistakes(digits: NDArray[np.intp], taken_for: NDArray[np.intp]) -> None:
    """Print how many images are taken for another digit, and the pairs of digits most of them belong to."""
    wrong = np.flatnonzero(digits != taken_for)
    print(f"{len(wrong)} of {len(digits)} images have neighbours that mostly show another digit\n")
    pairs, sizes = np.unique(np.column_stack([digits, taken_for])[wrong], axis=0, return_counts=True)
    for k in np.argsort(-sizes, kind="stable")[:8]:
        print(f"  {sizes[k]:3} × {pairs[k, 0]} is taken for {pairs[k, 1]}")


def draw(places: NDArray[np.float64], digits: NDArray[np.intp], taken_for: NDArray[np.intp]) -> Figure:
    """Draw a small point for each image, and a numeral for each that is taken for another digit."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    colours = [f"C{digit}" for digit in range(10)]
    for digit in range(10):
        axes.scatter(*places[digits == digit].T, s=9, alpha=0.35, linewidths=0, color=colours[digit])
        middle = np.median(places[digits == digit], axis=0)
        axes.text(*middle, str(digit), fontsize=26, ha="center", va="center", alpha=0.75)
    for place, digit, other in zip(places, digits, taken_for, strict=True):
        if digit != other:
            axes.text(*place, str(digit), color=colours[other], fontsize=10, weight="bold", ha="center", va="center")
    axes.set(xticks=[], yticks=[], title="small numerals: images in the colour of the digit that they are taken for")
    return figure


def main() -> None:
    ink, digits = load_digits(return_X_y=True)
    taken_for = digits_of_neighbours(ink, digits)
    print_mistakes(digits, taken_for)
    graph = DivergenceNeighborsTransformer(n_neighbors=3 * PERPLEXITY + 1)
    t_sne = TSNE(perplexity=PERPLEXITY, metric="precomputed", init="random", random_state=0)
    places = make_pipeline(graph, t_sne).fit_transform(ink)
    draw(places, digits, taken_for).savefig("map_of_digits.png", dpi=90)
    print("\nSaved map_of_digits.png.")


if __name__ == "__main__":
    main()
