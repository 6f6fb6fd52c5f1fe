"""Exact divergences between many probability distributions, and their clustering in scikit-learn."""

from skdiv._divergence import Divergence, divergences, renyi
from skdiv._show_versions import show_versions
from skdiv._significance import Significance
from skdiv._version import __version__ as __version__
from skdiv.centroids import barycenter
from skdiv.cluster import DivergenceClustering
from skdiv.homogeneity import HomogeneityResult, pairwise_homogeneity
from skdiv.pairwise import condensed_divergences, paired_divergences, pairwise_divergences

__all__ = [
    "Divergence",
    "DivergenceClustering",
    "HomogeneityResult",
    "Significance",
    "barycenter",
    "condensed_divergences",
    "divergences",
    "paired_divergences",
    "pairwise_divergences",
    "pairwise_homogeneity",
    "renyi",
    "show_versions",
]
