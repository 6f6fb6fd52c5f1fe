"""A pipeline from raw counts to labels, beside Ward on the raw counts.

An image of a handwritten digit is a histogram of its ink over 8 × 8 bins. Clusters of such histograms under the
Jensen-Shannon distance are compared with those of Euclidean Ward, which scikit-learn offers, by how well they agree
with the digits that were written; and the pipeline labels images it has not seen. The images are split five times.
Euclidean Ward finds the digits a little better: how much ink there is also tells digits apart, and a distribution does
not know it. But it cannot label a new image.

    python examples/digits_pipeline.py
"""

import numpy as np
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import load_digits
from sklearn.feature_selection import VarianceThreshold
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline

from skdiv import DivergenceClustering

# The first step drops the pixels that are the same in all images, those of the margin without any ink.
MODELS = {
    "Euclidean": make_pipeline(VarianceThreshold(), AgglomerativeClustering(10, linkage="ward")),
    "Jensen-Shannon": make_pipeline(VarianceThreshold(), DivergenceClustering(10, metric="js_distance")),
    "Jensen-Shannon, pseudocount 1": make_pipeline(VarianceThreshold(), DivergenceClustering(10, pseudocount=1)),
    "Hellinger": make_pipeline(VarianceThreshold(), DivergenceClustering(10, metric="hellinger")),
}


def agreement(model: Pipeline, ink: np.ndarray, digits: np.ndarray) -> tuple[float, float]:
    """Median adjusted Rand index with the digits over five splits, for the fitted and for new images."""
    fitted, new = [], []
    for seen, unseen in StratifiedShuffleSplit(5, test_size=0.25, random_state=0).split(ink, digits):
        pipeline = clone(model)
        fitted.append(adjusted_rand_score(digits[seen], pipeline.fit_predict(ink[seen])))
        if hasattr(pipeline, "predict"):
            new.append(adjusted_rand_score(digits[unseen], pipeline.predict(ink[unseen])))
    return float(np.median(fitted)), float(np.median(new)) if new else np.nan


def main() -> None:
    ink, digits = load_digits(return_X_y=True)
    print("Ward linkage, ten clusters; adjusted Rand index with the digits, 1 is perfect, 0 is chance\n")
    print(f"{'distance':<31}{'fitted images':>14}{'new images':>16}")
    for name, model in MODELS.items():
        fitted, new = agreement(model, ink, digits)
        print(f"{name:<31}{fitted:>14.2f}{'no predict' if np.isnan(new) else format(new, '.2f'):>16}")


if __name__ == "__main__":
    main()
