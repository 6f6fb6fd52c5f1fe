"""Divergences between models and between samples, as matrices for ``DivergenceClustering(metric="precomputed")``."""

from skdiv.models._gaussians import gaussian_divergences
from skdiv.models._markov import markov_divergences, transition_counts, transition_matrices
from skdiv.models._samples import sample_divergences

__all__ = [
    "gaussian_divergences",
    "markov_divergences",
    "sample_divergences",
    "transition_counts",
    "transition_matrices",
]
