"""Clustering, prediction and neighbours of rows in Dask collections, which may be larger than memory.

The rows are those of a `dask.array` in blocks of rows, dense or sparse, or of a `dask.dataframe`. Each block is handled
by a task of its own, on the worker that has it, and what is passed between workers is small. All tasks are given to
Dask as one graph, so they run wherever its scheduler puts them: in threads, or on a cluster of `distributed`. Install
Dask by ``pip install 'dask[array,dataframe]' distributed``.
"""

from skdiv.dask._clustering import MiniBatchDivergenceClustering, predict, transform
from skdiv.dask._files import from_npy
from skdiv.dask._neighbors import divergences_within, nearest_divergences

__all__ = [
    "MiniBatchDivergenceClustering",
    "divergences_within",
    "from_npy",
    "nearest_divergences",
    "predict",
    "transform",
]
