"""Rows in files, each block of which is read by the task that needs it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from numbers import Integral
from typing import Any
from uuid import uuid4

import numpy as np

from skdiv.dask._graph import da


def from_npy(path: str | os.PathLike[str], chunks: int | str = "auto") -> da.Array:
    """Return a Dask array of the rows in a ``.npy`` file, each block of which is read by the task that needs it.

    ``dask.array.from_array(numpy.load(path, mmap_mode="r"))`` would send the rows themselves to the workers, by way of
    the scheduler. For Parquet and Zarr, Dask has ``dask.dataframe.read_parquet`` and ``dask.array.from_zarr``, which
    read in the tasks too.

    Parameters
    ----------
    path : str or path-like
        The file, at a place where all workers find it.
    chunks : int or str, default="auto"
        The number of rows of a block, or how Dask is to choose it, as in ``dask.array.from_array``.

    Returns
    -------
    dask.array.Array
        The array, in blocks of rows. A block is a view of the file mapped into memory, so that pages are read as they
        are used, and may be dropped again.

    Raises
    ------
    ValueError
        If the file holds Python objects, an array without rows, or several arrays as a ``.npz`` file does; if
        ``chunks`` is not a number of rows; and when a block is read, if the file has changed its shape or its dtype.

    See Also
    --------
    dask.array.from_zarr : The same for a Zarr store.
    dask.dataframe.read_parquet : The same for Parquet files.

    References
    ----------
    M. Rocklin, "Dask: Parallel Computation with Blocked Algorithms and Task Scheduling", Proceedings of the 14th Python
    in Science Conference (2015), 126–132.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skdiv.dask import from_npy
    >>> path = Path(tempfile.mkdtemp()) / "counts.npy"
    >>> np.save(path, np.ones((10, 3)))
    >>> from_npy(path, chunks=5)
    dask.array<from-npy, shape=(10, 3), dtype=float64, chunksize=(5, 3), chunktype=numpy.ndarray>
    """
    if isinstance(chunks, Integral) and not chunks >= 1 and chunks != -1:
        raise ValueError(f"chunks = {chunks} must be at least 1 row, or -1 for one block.")
    mapped = MappedFile.of(path)
    if not mapped.shape:
        raise ValueError(f"{path} holds a single number, but rows are needed.")
    return da.from_array(mapped, chunks=(chunks, *mapped.shape[1:]), name=f"from-npy-{uuid4().hex}", meta=np.ndarray)


@dataclass(frozen=True)
class MappedFile:
    """What Dask has to know of a ``.npy`` file to make an array of it; the file is opened where a part is read."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> MappedFile:
        """Read the header of the file."""
        rows = np.load(path, mmap_mode="r")
        if not isinstance(rows, np.ndarray):
            rows.close()
            raise ValueError(
                f"{path} is a .npz file, whose arrays are not read in parts. Save each by numpy.save, and pass the "
                ".npy file."
            )
        return cls(os.path.abspath(path), rows.shape, rows.dtype)

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> Any:
        """Return a part of the array, which is read when it is used."""
        rows = np.load(self.path, mmap_mode="r")
        if rows.shape != self.shape or rows.dtype != self.dtype:
            raise ValueError(
                f"{self.path} holds an array of shape {rows.shape} and dtype {rows.dtype} now, but from_npy found "
                f"{self.shape} and {self.dtype}. Call from_npy again."
            )
        return rows[index]
