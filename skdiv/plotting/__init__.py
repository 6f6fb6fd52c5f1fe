"""Pictures of trees, matrices, distributions and curves, as small objects after scikit-learn's Display convention.

A class method computes what is to be drawn and stores it; ``plot`` draws it, on axes of a new figure or on given ones,
and may be called again. Only ``plot`` needs matplotlib.
"""

from skdiv.plotting._cluster_map import ClusterMapDisplay
from skdiv.plotting._dendrogram import DendrogramDisplay
from skdiv.plotting._distributions import DistributionDisplay
from skdiv.plotting._information import InformationCurveDisplay
from skdiv.plotting._matrix import DivergenceMatrixDisplay

__all__ = [
    "ClusterMapDisplay",
    "DendrogramDisplay",
    "DistributionDisplay",
    "DivergenceMatrixDisplay",
    "InformationCurveDisplay",
]
