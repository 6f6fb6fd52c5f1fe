"""Divergences between models and between samples, as matrices for ``DivergenceClustering(metric="precomputed")``."""

from skdiv.models._gaussians import gaussian_divergences

__all__ = ["gaussian_divergences"]
