"""Clustering of distributions, with prediction."""

from skdiv.cluster._agglomerative import DivergenceClustering
from skdiv.cluster._minibatch import MiniBatchDivergenceClustering

__all__ = ["DivergenceClustering", "MiniBatchDivergenceClustering"]
