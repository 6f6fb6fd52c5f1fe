"""Matrices for ``DivergenceClustering(metric="precomputed")``: of models, of samples, and of rows on ordered bins."""

from skdiv.models._gaussians import gaussian_divergences
from skdiv.models._markov import markov_divergences, transition_counts, transition_matrices
from skdiv.models._mixtures import mixture_divergences
from skdiv.models._samples import sample_divergences
from skdiv.models._wasserstein import wasserstein_divergences

__all__ = [
    "gaussian_divergences",
    "markov_divergences",
    "mixture_divergences",
    "sample_divergences",
    "transition_counts",
    "transition_matrices",
    "wasserstein_divergences",
]
