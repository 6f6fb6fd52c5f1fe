"""What the displays share: matplotlib if it is there, colours, sizes of texts, and the words at axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdiv._divergences.record import Divergence
from skdiv._input.names import names_of
from skdiv._utils.optional import optional
from skdiv._utils.typing import FloatArray, Labels, Places

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Six colours of Okabe & Ito (2008) and two of Tol (2021), in the cyclic order in which neighbours differ the most, also
# with any of the three kinds of colour blindness. Light yellow, which is hard to see on white, is not among them.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#332288", "#56B4E9", "#882255")
NEUTRAL = "0.45"  # the grey of links that join different clusters, and of what belongs to no cluster
LINE = "0.25"  # the grey of cuts and other guides
_LARGEST_FONT, _SMALLEST_FONT = 9.0, 4.5  # points
_LINE_HEIGHT, _LETTER_WIDTH = 1.25, 0.62  # as multiples of the size of the font


def pyplot(caller: str) -> Any:
    """Import `matplotlib.pyplot`, which is optional, for the method with this name."""
    return optional("matplotlib.pyplot", f"{caller} draws with matplotlib")


def tree_of(clustering: Any, caller: str) -> FloatArray:
    """Return the tree of a fitted estimator as SciPy's Z; an estimator without a tree is refused."""
    check_is_fitted(clustering)
    tree: FloatArray | None = getattr(clustering, "linkage_matrix_", None)
    if tree is None:
        raise TypeError(
            f"{caller} draws the tree of a DivergenceClustering, and {type(clustering).__name__} has none; "
            "DivergenceMatrixDisplay.from_matrix draws a matrix with clusters of any kind."
        )
    return tree


def texts_of(labels: Any, n: int, what: str = "rows") -> list[str] | None:
    """Return a user's labels of n things as texts, or None if there are none."""
    if labels is None:
        return None
    texts = [str(label) for label in labels]
    if len(texts) != n:
        raise ValueError(f"labels has {len(texts)} texts for {n} {what}; pass one for each.")
    return texts


def labels_of_rows(labels: Any, X: Any) -> Any:
    """Return the labels that a user gives the rows of X, or else those of the index if X is a pandas frame."""
    index = names_of(X).index if labels is None else labels
    return index.astype(str) if hasattr(index, "strftime") else index  # Dates without a time of day are short then.


def clusters_of(clusters: Any, n: int) -> Labels | None:
    """Return a user's clusters of n rows as an array, or None if there are none."""
    if clusters is None:
        return None
    try:
        array: Labels = np.unique(np.asarray(clusters), return_inverse=True)[1].astype(np.intp)
    except TypeError as error:
        raise TypeError(
            f"clusters must hold one label for each row, all of them numbers or all text: {error}."
        ) from error
    if array.shape != (n,):
        raise ValueError(
            f"clusters has the shape {array.shape}, but there are {n} rows; pass one cluster for each row."
        )
    return array


def colours_of(clusters: Labels, order: Places) -> dict[int, str]:
    """Return a colour for each cluster: those of the palette in turn, as the clusters appear in an order of the rows.

    So up to eight clusters have different colours, and of more those that follow each other.
    """
    in_order = clusters[order]
    _, first = np.unique(in_order, return_index=True)
    return {int(cluster): PALETTE[k % len(PALETTE)] for k, cluster in enumerate(in_order[np.sort(first)])}


def font_size(n: int, inches: float) -> float | None:
    """Return the size in points of n lines of text in so many inches, or None if they would be unreadable."""
    size = 72 * inches / n / _LINE_HEIGHT
    return None if size < _SMALLEST_FONT else min(size, _LARGEST_FONT)


def inches_of_lines(n: int) -> float:
    """Return the height in inches at which n lines of text are readable."""
    return n * (0.2 if n <= 30 else 0.13)


def inches_of_texts(texts: Sequence[str], size: float = _LARGEST_FONT) -> float:
    """Return roughly the width in inches of the longest of some texts."""
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    return longest * size * _LETTER_WIDTH / 72


def extent_of(ax: Axes) -> tuple[float, float]:
    """Return the width and the height of axes in inches, as they are before the figure is laid out."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi  # which a subfigure has too
    return float(box.width / dpi), float(box.height / dpi)


def unit_of(exponent: float | None, base: float | None) -> str:
    """Return the unit of a divergence with this ``base_exponent``, or an empty text if it has none."""
    if exponent is None:
        return ""
    unit = "nats" if base is None else "bits" if base == 2 else f"base {base:g}"
    return f"√{unit}" if exponent == 0.5 else unit


def in_unit(words: str, unit: str) -> str:
    """Return words with the unit in parentheses behind them, if there is one."""
    return f"{words} ({unit})" if unit else words


def name_of_metric(divergence: Divergence, base: float | None) -> str:
    """Return how an axis calls a divergence: by its name, the direction if it has one, and the unit."""
    direction = "" if divergence.symmetric else ", D(p ‖ q)"
    return in_unit(f"{divergence.name}{direction}", unit_of(divergence.base_exponent, base))


def name_of_height(clustering: Any) -> str:
    """Return how an axis calls the heights in the tree of a clustering."""
    linkage = clustering.linkage_
    if linkage == "information":
        return in_unit("information lost by the merge", unit_of(1.0, clustering._base))
    if clustering._predictor.takes_distances:
        return f"distance of the merge ({linkage} linkage)"
    divergence = clustering._between.divergence
    return in_unit(f"{divergence.name}, {linkage} linkage", unit_of(divergence.base_exponent, clustering._base))
