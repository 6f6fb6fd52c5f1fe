"""Exact divergences between many probability distributions, and their clustering in scikit-learn."""

from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import divergences, renyi
from skdiv._show_versions import show_versions
from skdiv._version import __version__ as __version__
from skdiv.barycenters import barycenter
from skdiv.chunked import divergences_chunked
from skdiv.cluster import DivergenceClustering, MiniBatchDivergenceClustering
from skdiv.estimates import DivergenceEstimates, divergence_estimates
from skdiv.homogeneity import HomogeneityResult, pairwise_homogeneity
from skdiv.information import cross_entropy, entropy, mutual_information
from skdiv.neighbors import divergences_within, nearest_divergences
from skdiv.pairwise import condensed_divergences, paired_divergences, pairwise_divergences
from skdiv.significance import Significance

__all__ = [
    "Divergence",
    "DivergenceClustering",
    "DivergenceEstimates",
    "HomogeneityResult",
    "MiniBatchDivergenceClustering",
    "Significance",
    "barycenter",
    "condensed_divergences",
    "cross_entropy",
    "divergence_estimates",
    "divergences",
    "divergences_chunked",
    "divergences_within",
    "entropy",
    "mutual_information",
    "nearest_divergences",
    "paired_divergences",
    "pairwise_divergences",
    "pairwise_homogeneity",
    "renyi",
    "show_versions",
]

# Pickles name a class by its module, and of these that is a private one, which may move.
Divergence.__module__ = DivergenceClustering.__module__ = MiniBatchDivergenceClustering.__module__ = __name__
