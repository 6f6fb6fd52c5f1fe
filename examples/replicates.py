"""When do two collections of handwritten digits differ?
=====================================================

When are two collections of images significantly different? That depends on what is independent. If single grey levels
are exchanged, nearly all 30 collections seem to differ; if whole images are, the ten digits are found exactly.

The data are images of handwritten digits that scikit-learn ships. Each row is the sum of 20 images of one digit, and
there are three rows of each digit, so the true number of clusters is 10. `Significance` tests the same tree twice. The
first test exchanges single grey levels between rows, as if each were an observation of its own. But the pixels of an
image belong together, so nearly every row is found to differ from every other. The second test exchanges whole images,
which are passed as the blocks that the rows are sums of.

The picture shows the clusters that each test finds, in the colours of the tree, and below them the rows as images.
``python examples/replicates.py`` saves it as replicates.png, and prints what is found.
"""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skdiv import DivergenceClustering, Significance
from skdiv.plotting import DendrogramDisplay
from skdiv.preprocessing import sum_blocks

N_IMAGES = 20  # in a row
N_ROWS = 3  # of each digit


def drawn_images(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Images of all digits, and the row that each belongs to; the rows of a digit follow each other."""
    images, digits = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(digits == digit))[: N_ROWS * N_IMAGES] for digit in range(10)]
    return images[np.concatenate(chosen)], np.repeat(np.arange(10 * N_ROWS), N_IMAGES)


def plot(fits: dict[str, DivergenceClustering], X: NDArray[np.float64], digits: NDArray[np.intp]) -> Figure:
    """Draw the tree with the clusters of each fit, and below it the rows: the sums of their images."""
    figure = Figure(figsize=(9, 5.8), layout="constrained")
    *trees, below = figure.subplots(len(fits) + 1, height_ratios=[5] * len(fits) + [0.8])
    for axes, (what, clustering) in zip(trees, fits.items(), strict=True):
        name = f"{what} are exchanged: {clustering.n_clusters_} clusters"
        DendrogramDisplay.from_estimator(clustering, labels=digits, orientation="top", name=name, ax=axes)
    order = leaves_list(next(iter(fits.values())).linkage_matrix_)
    sums = X[order].reshape(len(X), 8, 8) / X[order].max(axis=1)[:, np.newaxis, np.newaxis]
    below.imshow(np.hstack(np.pad(sums, ((0, 0), (0, 0), (1, 1)))), cmap="Greys", aspect="auto")
    below.set_axis_off()
    return figure


def main() -> None:
    X, blocks, rows = sum_blocks(*drawn_images())
    digits = rows // N_ROWS
    rule = Significance(random_state=0)
    fits = {
        "Single grey levels": DivergenceClustering(rule).fit(X),
        "Whole images": DivergenceClustering(rule).fit(X, blocks=blocks),
    }
    for what, clustering in fits.items():
        score = adjusted_rand_score(digits, clustering.labels_)
        print(f"{what}: {clustering.n_clusters_} clusters, adjusted Rand index with the digits {score:.2f}")
    plot(fits, X, digits).savefig("replicates.png", dpi=120)


if __name__ == "__main__":
    main()
