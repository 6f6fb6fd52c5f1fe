"""Blocks of rows of Dask collections, and the graph of the tasks that are done for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skdiv._input.names import ColumnLabels, Names
from skdiv.cluster._blocks import Expected, opened_blocks

try:
    import dask.array as da
    from dask.base import is_dask_collection
    from dask.delayed import Delayed, delayed
    from dask.highlevelgraph import HighLevelGraph
except ImportError as error:  # pragma: no cover
    remedy = "pip install 'dask[array,dataframe]' distributed"
    raise ImportError(f"skdiv.dask needs Dask, which is not installed: {remedy}.") from error

__all__ = ["Blocks", "Graph", "da", "delayed", "is_dask_collection", "is_later", "precision_of"]
_REMEDY = "Pass a dask.array in blocks of rows, or a dask.dataframe; what is in memory belongs in skdiv itself."


def is_later(X: Any) -> bool:
    """Return whether an object is delayed or a future, of which any attribute may be asked, and none is known."""
    return isinstance(X, Delayed) or hasattr(X, "client")


def precision_of(X: Any, default: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which the rows of an array, a matrix or a frame are computed with, if it is known."""
    if is_later(X):
        return default
    dtypes = list(X.dtypes) if hasattr(X, "dtypes") else [getattr(X, "dtype", None)]
    single = all(dtype == np.float32 for dtype in dtypes)
    return np.dtype(np.float32 if single else np.float64)


@dataclass(frozen=True)
class Blocks:
    """The blocks of rows of a Dask collection.

    ``parts`` are their nodes in the graph, and ``sizes`` the numbers of their rows, or NaN where these are not known.
    """

    parts: list[Delayed]
    sizes: tuple[float, ...]
    expected: Expected

    @classmethod
    def of(cls, X: Any) -> Blocks:
        """Take the blocks of a collection, and refuse one that has no blocks of rows."""
        if isinstance(X, da.Array):
            return cls._of_array(X)
        if isinstance(X, Delayed) or not (is_dask_collection(X) and hasattr(X, "columns") and X.ndim == 2):
            raise TypeError(f"X is a {type(X).__name__}. {_REMEDY}")
        labels = Names("X", X).labels
        expected = Expected(len(labels.columns), labels, precision_of(X, np.dtype(np.float64)))
        parts = list(X.to_delayed())
        return cls(parts, (np.nan,) * len(parts), expected)

    @classmethod
    def _of_array(cls, X: da.Array) -> Blocks:
        """Take the blocks of an array."""
        if X.ndim != 2:
            raise ValueError(f"X has {X.ndim} dimensions, but its rows must be distributions: 2 dimensions.")
        if X.numblocks[1] != 1:
            raise ValueError(
                f"X has {X.numblocks[1]} blocks of columns, but each row must lie in one block: pass "
                "X.rechunk({1: -1})."
            )
        if np.isnan(X.shape[1]):
            raise ValueError("The number of columns of X is unknown; X.compute_chunk_sizes() finds it.")
        expected = Expected(X.shape[1], ColumnLabels([], False), precision_of(X, np.dtype(np.float64)))
        return cls(X.to_delayed().ravel().tolist(), X.chunks[0], expected)

    def opened(self, graph: Graph, estimator: Any, sample_weight: Any) -> list[Any]:
        """Add calls to a graph that open the blocks, and return their stubs."""
        stubs = [graph.including(part) for part in self.parts]
        of_weights: list[Any] = [None] * len(stubs)
        if isinstance(sample_weight, str):  # Each block weighs its rows by their own counts.
            of_weights = [graph.constant(sample_weight)] * len(stubs)
        elif sample_weight is not None:
            of_weights = [graph.including(part) for part in self._weights(sample_weight)]
        return opened_blocks(graph, graph.constant(estimator), graph.constant(self.expected), stubs, of_weights)

    def _weights(self, sample_weight: Any) -> list[Any]:
        """Return the weights of the rows of each block."""
        known = not np.isnan(self.sizes).any()
        if not is_dask_collection(sample_weight):
            if not known:
                raise ValueError(
                    "sample_weight is in memory, but how many rows each block of X has is not known; pass a Dask "
                    "collection in the blocks of X, or X.compute_chunk_sizes()."
                )
            sample_weight = da.from_array(np.asanyarray(sample_weight), chunks=-1)
        if known and isinstance(sample_weight, da.Array) and sample_weight.shape == (sum(self.sizes),):
            sample_weight = sample_weight.rechunk((self.sizes,))
        parts: list[Any] = np.ravel(sample_weight.to_delayed()).tolist()
        if sample_weight.ndim != 1 or len(parts) != len(self.parts):
            known = isinstance(sample_weight, da.Array) and not np.isnan(sample_weight.shape).any()
            given = f"its shape is {sample_weight.shape}" if known else "its length is not known"
            raise ValueError(
                f"sample_weight must be a vector of one weight for each row, in the {len(self.parts)} blocks of X, but "
                f"{given}, in {len(parts)} blocks. Take both from one collection, or give it the blocks of X."
            )
        return parts

    def joined(self, parts: list[Delayed], shape: tuple[float, ...], dtype: Any, nothing: Any = None) -> da.Array:
        """Return a lazy array of what tasks find for the blocks: for each row, an array of this shape.

        ``nothing`` is an empty array of the kind that they return, if that is not NumPy's.
        """
        arrays = [
            da.from_delayed(part, (size, *shape), dtype=dtype, meta=nothing)
            for part, size in zip(parts, self.sizes, strict=True)
        ]
        return da.concatenate(arrays, allow_unknown_chunksizes=True)


class Graph:
    """A graph that grows by a task with each call; results of tasks are passed on as stubs, which only have a key.

    Delayed objects as such would each carry the graph of all that they depend on: of n blocks, n such graphs a pass.
    """

    def __init__(self) -> None:
        self._tasks: dict[Any, Any] = {}
        self._parts: list[Delayed] = []
        self._functions: dict[Callable[..., Any], Delayed] = {}

    def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Delayed:
        """Add a task, and return a stub of its result."""
        if function not in self._functions:
            self._functions[function] = delayed(function, pure=False)
        return self._added(self._functions[function](*arguments))

    def constant(self, value: Any) -> Delayed:
        """Add a value, which each worker gets once, and return its stub."""
        return self._added(delayed(value, traverse=False, pure=False))

    def including(self, part: Delayed) -> Delayed:
        """Add a node with the graph that it comes from, and return its stub."""
        self._parts.append(part)
        return Delayed(part.key, {})

    def _added(self, node: Delayed) -> Delayed:
        """Add the tasks of a node, and return its stub."""
        self._tasks.update(node.dask)
        return Delayed(node.key, {})

    def compute(self, result: Delayed) -> Any:
        """Compute the whole graph, by the scheduler that is set, and return the result of one task."""
        name = f"skdiv-{result.key}"
        graph = HighLevelGraph.from_collections(name, self._tasks, dependencies=self._parts)
        return Delayed(result.key, graph, layer=name).compute()
