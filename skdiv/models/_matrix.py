"""The matrix of divergences between the models of a collection, which is cut into tiles as that of distributions is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from skdiv._compute.measure import Symmetrize, check_symmetrize, combined
from skdiv._compute.run import Work, run
from skdiv._compute.tiles import IntoMatrix, number_of_tiles, tiles_of
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import did_you_mean, resolve
from skdiv._input.checks import as_doubles
from skdiv._input.names import names_of
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray


class Collection(Protocol):
    """A number of models; a slice of it is a smaller collection."""

    def __len__(self) -> int:
        """Return the number of models."""

    def __getitem__(self, some: slice, /) -> Self:
        """Return some of the models."""


Models = TypeVar("Models", bound=Collection)


@dataclass(frozen=True)
class ModelMeasure(Generic[Models]):
    """A divergence between models, symmetrised and converted to other units where that is asked for.

    Parameters
    ----------
    block : callable
        ``block(P, Q)`` returns all D(P[i] ‖ Q[j]) in nats. It is a function of a module, which other processes find.
    symmetric : bool
        Whether D(p ‖ q) = D(q ‖ p).
    scale : float
        The number by which values in nats are divided.
    symmetrize : {"mean", "min", "max"} or None
        How the two directions of an asymmetric divergence become one number; None keeps both.
    """

    block: Callable[[Models, Models], FloatArray]
    symmetric: bool
    scale: float = 1.0
    symmetrize: Symmetrize | None = None

    def __call__(self, P: Models, Q: Models, diagonal: int | None, out: FloatArray | None = None) -> FloatArray:  # noqa: ARG002
        """Return the block of a tile; on the ``diagonal`` that of a symmetric matrix is symmetric to the bit."""
        with one_blas_thread():
            values = self.block(P, Q)
            if self.symmetrize is not None:
                back = values if diagonal == 0 else self.block(Q, P)
                values = combined(values, back.T, self.symmetrize)
        if diagonal == 0 and (self.symmetric or self.symmetrize is not None):
            values = np.triu(values) + np.triu(values, 1).T
        return values if self.scale == 1 else values / self.scale

    def matrix(self, models: Models, *, side: int, nanoseconds: float, n_jobs: int | None) -> FloatArray:
        """Return the matrix of a collection with itself, whose diagonal is 0.

        Parameters
        ----------
        models : collection
            The models.
        side : int
            The number of rows and of columns of a tile.
        nanoseconds : float
            Roughly how long one entry takes; little work is not worth workers.
        n_jobs : int or None
            The number of workers, as joblib understands it.
        """
        n = len(models)
        upper = self.symmetric or self.symmetrize is not None
        with memory_for_matrix(n):
            out = np.empty((n, n))
            calls = (
                (tile, (models[tile.rows], models[tile.columns], tile.diagonal))
                for tile in tiles_of((n, n), (side, side), of_itself=True, upper=upper)
            )
            n_tiles = number_of_tiles((n, n), (side, side), upper=upper)
            work = Work(side * side * out.itemsize, lambda: nanoseconds * n * n, n_calls=n_tiles)
            run(self, calls, IntoMatrix(out, mirror=upper), work, n_jobs=n_jobs)
        np.fill_diagonal(out, 0)
        return out


def measure_of(
    metric: str,
    blocks: Mapping[Any, Callable[[Models, Models], FloatArray]],
    *,
    symmetrize: str | None,
    base: float | None,
) -> ModelMeasure[Models]:
    """Return the measure of a metric; ``blocks`` are the functions that compute the metrics on offer."""
    record = record_of(metric, tuple(blocks))
    return ModelMeasure(blocks[record.name], record.symmetric, record._scale(base), symmetrization(record, symmetrize))


def record_of(metric: str, names: tuple[str, ...]) -> Divergence:
    """Return the record of a metric by its name or alias, and refuse one that is not among the names on offer."""
    for record in map(resolve, names):
        if isinstance(metric, str) and metric in (record.name, *record.aliases):
            return record
    raise ValueError(
        f"metric = {metric!r} must be one of {names}: no other divergence is computed of such models."
        f"{did_you_mean(metric, names)}"
    )


def symmetrization(record: Divergence, symmetrize: str | None) -> Symmetrize | None:
    """Return how both directions become one number, or None where they are kept or the divergence is symmetric."""
    return None if symmetrize is None else check_symmetrize(record, symmetrize)


def memory_for_matrix(n: int) -> Any:
    """Refuse a matrix of n models that does not fit into memory, before it is computed."""
    return enough_memory(8 * n * n, f"The matrix of {n} × {n} divergences", "Compare fewer models at a time.")


def as_finite(values: ArrayLike, name: str) -> FloatArray:
    """Return a user's array in double precision, and refuse an entry that is NaN or infinite."""
    array = as_doubles(values, name)
    if not np.isfinite(array).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{name}[{', '.join(map(str, place))}] = {array[place]}, but its entries must be finite.")
    return array


def refuse_named(items: object, name: str) -> None:
    """Refuse a frame or a dict in place of a list, because iteration over it goes through its names, and no list."""
    if not isinstance(items, Iterable) or getattr(items, "shape", None) == ():
        raise TypeError(f"{name} is of the type {type(items).__name__}, and must be a list.")
    if isinstance(items, Mapping) or names_of(items, name).frame is not None:
        raise TypeError(
            f"{name} is a {type(items).__name__}, whose names would be taken for its values; pass a list of the "
            f"values, such as [{name}[key] for key in {name}]."
        )
