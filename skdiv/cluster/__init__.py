"""Agglomerative clustering of distributions, with prediction."""

from skdiv.cluster._agglomerative import DivergenceClustering

__all__ = ["DivergenceClustering"]
