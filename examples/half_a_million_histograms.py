"""Which parts of two photographs are alike? Half a million histograms
===================================================================

Which parts of two photographs have the same colours? Sky, trees, petals and the dark background are clusters of their
own, and twelve clusters retain two thirds of what the histograms tell.

The data are the two photographs that scikit-learn ships. Around each of their pixels there is a square of 13 × 13
pixels, and the histogram of its colours, over a palette of 64, describes the place: 521,240 histograms altogether. A
matrix of their distances would not fit into memory. So they are clustered by way of a few hundred weighted mean
histograms, with `MiniBatchDivergenceClustering`.

The picture shows the two photographs and, beside each, the cluster of every place in the mean colour of its cluster.
``python examples/half_a_million_histograms.py`` saves it as half_a_million_histograms.jpg, and prints how much of the
information about the colours the clusters retain.
"""

import time

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_sample_images

from skdiv import MiniBatchDivergenceClustering

N_COLOURS = 64
WIDTH = 13  # of a square, in pixels
N_CLUSTERS = 12


def colours_of(photographs: list[NDArray[np.uint8]]) -> tuple[list[NDArray[np.intp]], NDArray[np.float64]]:
    """Return the colour of each pixel, as a number in a common palette, and the palette."""
    pixels = np.concatenate([photograph.reshape(-1, 3) for photograph in photographs]).astype(float)
    palette = MiniBatchKMeans(N_COLOURS, random_state=0).fit(pixels[::20])
    return [palette.predict(each.reshape(-1, 3).astype(float)).reshape(each.shape[:2]) for each in photographs], (
        palette.cluster_centers_
    )


def histograms_of(colours: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the histogram of the colours in each square, of shape (height, width, N_COLOURS)."""
    height, width = colours.shape
    counts = np.zeros((height + 1, width + 1, N_COLOURS), dtype=np.float32)  # from the corner on, exact up to 2**24
    np.cumsum(colours[..., np.newaxis] == np.arange(N_COLOURS), axis=0, out=counts[1:, 1:])
    np.cumsum(counts[1:, 1:], axis=1, out=counts[1:, 1:])
    after, before = slice(WIDTH, None), slice(None, -WIDTH)
    return counts[after, after] - counts[before, after] - counts[after, before] + counts[before, before]


def main() -> None:
    photographs = load_sample_images().images
    colours, palette = colours_of(photographs)
    squares = [histograms_of(each) for each in colours]
    rows = np.concatenate([each.reshape(-1, N_COLOURS) for each in squares])
    start = time.perf_counter()
    clustering = MiniBatchDivergenceClustering(N_CLUSTERS, random_state=0).fit(rows)
    print(f"{len(rows):,} histograms of {N_COLOURS} bins: {time.perf_counter() - start:.0f} s")
    print(
        f"Of {clustering.information_:.2f} nats, {N_CLUSTERS} clusters retain {clustering.information_retained_:.0%}."
    )

    figure = Figure(figsize=(10, 6.9), layout="constrained")
    labels, seen = clustering.labels_, 0
    for axes, photograph, square in zip(figure.subplots(2, 2), photographs, squares, strict=True):
        n = square.shape[0] * square.shape[1]
        places = labels[seen : seen + n].reshape(square.shape[:2])
        seen += n
        mean_colours = clustering.cluster_centers_ @ palette / 255
        margin = WIDTH // 2
        axes[0].imshow(photograph[margin:-margin, margin:-margin])
        axes[1].imshow(mean_colours[places])
        for each, title in zip(axes, ["photograph", "cluster of each place, in its mean colour"], strict=True):
            each.set(title=title, xticks=[], yticks=[])
    figure.savefig("half_a_million_histograms.jpg", dpi=90)


if __name__ == "__main__":
    main()
