"""Read collections of observations, whatever they come in, into one long array and the row of each observation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skdiv._input.arrays import as_numpy
from skdiv._input.checks import refuse_masked
from skdiv._input.names import UNNAMED, ColumnLabels, names_of, refuse_other_bins, refuse_other_rows
from skdiv._utils.typing import Labels

_LONG_FORM = "one long array of observations needs groups=, which name the collection of each"


@dataclass(frozen=True)
class Observations:
    """The observations of all collections, one after another.

    ``values`` has a row for each observation and a column for each dimension, and holds numbers, or else strings as
    objects. ``rows`` says to which collection an observation belongs, ``starts`` where each collection starts (None for
    one long array with groups), and ``groups`` what the collections are called, if they are called anything.
    ``declared`` has the categories in their order if a dtype says that the observations are categories.
    """

    values: NDArray[Any]
    rows: Labels
    n_rows: int
    columns: ColumnLabels
    starts: Labels | None = None
    groups: Any = None
    declared: NDArray[Any] | None = None

    @property
    def n_dimensions(self) -> int:
        """Return the number of dimensions of an observation; 0 if it is not known, because there are none."""
        return int(self.values.shape[1])

    @property
    def are_text(self) -> bool:
        """Return whether the observations are strings."""
        return bool(self.values.dtype.kind == "O")

    def entry(self, k: int, dimension: int = 0) -> str:
        """Return what a message says about a value, such as ``X[3][17] = 2.5`` or ``X[42] = 2.5 (group 'oslo')``."""
        value, row = self.values[k, dimension], int(self.rows[k])
        within = f", {dimension}" if self.n_dimensions > 1 else ""
        shown = repr(value) if self.are_text else str(value)
        if self.starts is None:
            return f"X[{k}{within}] = {shown} (group {self.groups[row : row + 1].tolist()[0]!r})"
        return f"X[{row}][{k - self.starts[row]}{within}] = {shown}"


def read_observations(X: Any, groups: ArrayLike | None) -> Observations:
    """Read a user's list of collections, or one long array with the group of each observation."""
    refuse_masked(X, "X")
    if sp.issparse(X):
        raise TypeError("Sparse data was passed for X, but observations are dense; if its entries are counts, they are "
                        "rows already, else pass X.toarray().")  # fmt: skip
    _refuse_grouped(X)
    observations = _of_list(X) if groups is None else _of_groups(X, groups)
    _refuse_what_is_not_finite(observations)
    return observations


def _refuse_grouped(X: Any) -> None:
    """Refuse what ``groupby`` of pandas or ``group_by`` of polars returns, which pairs each group with its name."""
    kind = type(X).__name__
    if kind.endswith("GroupBy"):
        of_group = "group" if kind.startswith("Series") else "group['x']"
        raise TypeError(
            f"X is a {kind}, whose items are pairs of a name and a group. Pass a list of the groups, as "
            f"[{of_group} for _, group in X], or all observations and their groups, as "
            "fit(frame['x'], groups=frame['city']), if 'x' is the column of the observations and 'city' that of the "
            "groups."
        )


# --- A list of collections -------------------------------------------------------------------------------------------


def _of_list(X: Any) -> Observations:
    """Read a sequence of collections, each of which becomes a row."""
    if names_of(X).frame is not None:
        raise ValueError(
            f"X is a frame, and a frame of collections can be read in three ways: {_LONG_FORM}; if each row is a "
            "collection, pass X.to_numpy(), and if each column is one, X.to_numpy().T."
        )
    if isinstance(X, Mapping):
        raise TypeError("X is a dictionary of collections; pass list(X.values()), or pandas.Series(X) to keep names.")
    collections = _listed(X)
    if not collections:
        raise ValueError("X has 0 collections of observations, but a minimum of 1 is required.")
    arrays = [as_observations(collection, f"X[{i}]") for i, collection in enumerate(collections)]
    filled = [i for i, array in enumerate(arrays) if len(array)] or [0]
    for i in filled:
        _refuse_another_kind(arrays[i], arrays[filled[0]], f"X[{i}]", f"X[{filled[0]}]")
    sizes = np.array([len(array) for array in arrays])
    return Observations(
        values=np.concatenate(_of_one_integer_type([arrays[i] for i in filled], filled)),
        rows=np.repeat(np.arange(len(arrays)), sizes),
        n_rows=len(arrays),
        columns=_columns_of_all([(i, collections[i]) for i in filled]),
        starts=np.cumsum(sizes) - sizes,
        declared=_declared_by_all([(f"X[{i}]", collections[i], arrays[i]) for i in filled]),
    )


def _columns_of_all(collections: list[tuple[int, Any]]) -> ColumnLabels:
    """Return the labels of the columns that those collections have which are frames; refuse different ones."""
    labels = [(i, names_of(each).labels) for i, each in collections if hasattr(each, "columns")]
    if not labels:
        return UNNAMED.labels
    first, of_first = labels[0]
    for i, each in labels:
        refuse_other_bins(of_first, each, (f"X[{first}]", f"X[{i}]"), what="dimensions")
    return of_first


def _listed(X: Any) -> list[Any]:
    """Return a sequence, or what only converts itself to an array, as a list of collections."""
    items = X if isinstance(X, Iterable) else _unconverted(X, "X")
    if isinstance(items, np.ndarray) and items.ndim == 0:
        raise TypeError(f"X = {X!r} is no sequence of collections; pass a list of arrays of observations.")
    return list(items)


def _refuse_another_kind(array: NDArray[Any], first: NDArray[Any], name: str, name_of_first: str) -> None:
    """Refuse a collection that differs from the first in the number of dimensions, or by text in place of numbers."""
    if array.shape[1] != first.shape[1]:
        raise ValueError(
            f"{name} has {array.shape[1]} dimensions and {name_of_first} has {first.shape[1]}, but the observations of "
            "all collections must have the same ones."
        )
    if (array.dtype == object) != (first.dtype == object):
        text, numbers = (name, name_of_first) if array.dtype == object else (name_of_first, name)
        raise ValueError(
            f"{text} holds text and {numbers} numbers, but they are to be counted in the same bins; convert one of "
            "them."
        )


def _of_one_integer_type(arrays: list[NDArray[Any]], places: list[int]) -> list[NDArray[Any]]:
    """Return arrays that NumPy joins without rounding integers: it makes float64 of int64 and uint64 together."""
    kinds = {array.dtype.kind for array in arrays}
    if kinds != {"i", "u"} or np.result_type(*arrays).kind != "f":
        return arrays
    lowest, highest = min(arrays, key=np.min), max(arrays, key=np.max)
    if int(highest.max()) <= np.iinfo(np.int64).max:
        return [array.astype(np.int64) for array in arrays]
    if int(lowest.min()) >= 0:
        return [array.astype(np.uint64) for array in arrays]
    low, high = (places[next(k for k, array in enumerate(arrays) if array is each)] for each in (lowest, highest))
    raise ValueError(
        f"X[{low}] holds {lowest.min()} and X[{high}] {highest.max()}, and no type of integers holds both. Convert all "
        "to strings if they are categories, else to float, which rounds them."
    )


# --- Categories that are declared by a dtype -------------------------------------------------------------------------


def _declared_by_all(collections: list[tuple[str, Any, NDArray[Any]]]) -> NDArray[Any] | None:
    """Return the categories that any of the collections declares, in their order, or None if none does.

    What other collections declare, or hold without a declaration, comes after what the first ones declare. Collections
    with ordered categories must not contradict each other.
    """
    declared = [(name, *found) for name, X, _ in collections if (found := _declared_by(X)) is not None]
    if not declared:
        return None
    ordered = [(name, categories) for name, categories, is_ordered in declared if is_ordered]
    for name, categories in ordered[1:]:
        if categories != ordered[0][1]:
            raise ValueError(
                f"{name} has the ordered categories {categories} and {ordered[0][0]} has {ordered[0][1]}. Give all "
                "one order, by astype(pandas.CategoricalDtype(categories, ordered=True))."
            )
    every = [categories for _, categories in ordered] + [categories for _, categories, _ in declared]
    every += [np.unique(values).tolist() for _, X, values in collections]
    joined = list(dict.fromkeys(category for categories in every for category in categories))
    return as_observations(joined, "the categories of X")[:, 0]


def _declared_by(X: Any) -> tuple[list[Any], bool] | None:
    """Return the categories that the dtype of a Series, or of a frame with one column, declares, and if in an order.

    A Categorical of polars declares none by name, so its list is empty.
    """
    frame = names_of(X).frame
    dtypes: list[Any] = list(frame.dtypes) if frame is not None else [getattr(X, "dtype", None)]
    if len(dtypes) != 1 or type(dtypes[0]).__name__ not in ("CategoricalDtype", "Categorical", "Enum"):
        return None
    kind, categories = type(dtypes[0]).__name__, getattr(dtypes[0], "categories", None)
    if kind == "Categorical" or categories is None:
        return [], False
    of_pandas = kind == "CategoricalDtype"
    found = as_observations(np.asarray(categories) if of_pandas else categories.to_list(), "the categories of X")
    return found[:, 0].tolist(), bool(dtypes[0].ordered) if of_pandas else True


# --- One long array with groups --------------------------------------------------------------------------------------


def _of_groups(X: Any, groups: ArrayLike) -> Observations:
    """Read one long array, Series or frame of observations; each group becomes a row, in ascending order of names."""
    values = as_observations(X, "X")
    refuse_other_rows(groups, X, ("groups", "X"))
    names, rows = np.unique(names_of_groups(groups, len(values)), return_inverse=True)
    if not len(values):
        raise ValueError("X has 0 observations, but a minimum of 1 is required.")
    declared = _declared_by_all([("X", X, values)])
    return Observations(values, rows, len(names), names_of(X).labels, groups=names, declared=declared)


def names_of_groups(groups: ArrayLike, n: int) -> NDArray[Any]:
    """Return the group of each of n observations; refuse groups that are missing or cannot be put into an order."""
    refuse_masked(groups, "groups")
    names = _unconverted(groups, "groups")
    if names.shape != (n,):
        raise ValueError(
            f"groups must be a vector that names the group of each of the {n} observations in X, but its shape is "
            f"{names.shape}."
        )
    k = next((k for k, name in enumerate(names) if _is_missing(name)), None) if names.dtype.kind in "OfMm" else None
    if k is not None:
        raise ValueError(
            f"groups[{k}] = {names[k]}, but every observation needs a group. Drop those without one, or give them a "
            "group of their own."
        )
    kinds = {type(name).__name__ for name in names} if names.dtype.kind == "O" else set()
    if len(kinds) > 1:
        raise TypeError(
            f"groups holds objects of the types {sorted(kinds)}, which have no common order; convert them, for "
            "instance all to strings."
        )
    return names


def _is_missing(name: Any) -> bool:
    """Return whether the name of a group is None, NaN, NaT or pandas.NA."""
    return name is None or type(name).__name__ in ("NAType", "NaTType") or bool(name != name)


# --- Arrays ----------------------------------------------------------------------------------------------------------


def as_observations(X: Any, name: str) -> NDArray[Any]:
    """Return observations as an array with a column for each dimension, of numbers or of strings."""
    array = _unconverted(X, name)
    if array.ndim == 0:
        raise ValueError(
            f"{name} = {array.item()!r} is a single value, but a collection must be an array of observations. "
            f"Reshape your data to a list of collections, as [X] if X is one; {_LONG_FORM}."
        )
    if array.ndim > 2:
        raise ValueError(
            f"{name} has the shape {array.shape}, but observations have the shape (n,) or (n, n_dimensions)."
        )
    if array.ndim == 2 and array.shape[1] == 0 and len(array):
        raise ValueError(f"{name} has the shape {array.shape}: its observations have no dimension.")
    values = _numbers_or_text(array, name)
    return values[:, np.newaxis] if values.ndim == 1 else values


def _unconverted(X: Any, name: str) -> NDArray[Any]:
    """Return X as an array, without what NumPy does to a list of strings and numbers, which is to make all strings."""
    try:
        X = as_numpy(X, name)
        array = np.asarray(X)
        return np.asarray(X, dtype=object) if array.dtype.kind == "U" and not hasattr(X, "dtype") else array
    except ValueError as error:
        raise ValueError(
            f"{name} is no array, because its entries differ in length; with groups= it must be one long array."
        ) from error


def _numbers_or_text(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array of numbers, or of strings as objects; booleans become strings, for they are categories.

    Integers stay integers, because NumPy chooses no bins for them that are narrower than 1.
    """
    kind = array.dtype.kind
    if kind in "iu":
        return array
    if kind == "f":
        return array.astype(np.float64, copy=False)
    if kind in "bUT":
        return _as_text(array)
    if kind == "O":
        return _numbers_or_text_of_objects(array, name)
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}; pass its parts as dimensions.")
    raise TypeError(
        f"{name} has dtype {array.dtype}, but observations are numbers or text. Convert them, dates and durations for "
        "instance to numbers of seconds, and bytes to strings."
    )


def _as_text(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of strings or booleans as one of Python's strings."""
    return (array.astype(str) if array.dtype.kind == "b" else array).astype(object)


def _numbers_or_text_of_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array of objects as numbers if all are numbers, and as it is if all are strings."""
    is_number = np.array([isinstance(value, Real) for value in array.flat], dtype=bool)
    if is_number.all():
        return array.astype(np.float64)
    is_text = np.array([isinstance(value, str) for value in array.flat], dtype=bool)
    if not is_text.all():
        bad = ~(is_number | is_text)
        _refuse_object(array, int((bad if bad.any() else is_text != is_text[0]).argmax()), name)
    return array


def _refuse_object(array: NDArray[Any], position: int, name: str) -> NoReturn:
    """Raise the error about an object that is neither a number nor text, or not what the first one is."""
    place = ", ".join(map(str, np.unravel_index(position, array.shape)))
    raise TypeError(
        f"{name}[{place}] = {array.flat[position]!r}, but observations must all be numbers, or all be text. Drop those "
        "that are missing, and convert others, for instance by str or float."
    )


def _refuse_what_is_not_finite(observations: Observations) -> None:
    """Refuse NaN and infinite numbers, and name the first."""
    if observations.values.dtype.kind != "f" or np.isfinite(observations.values).all():
        return
    k, dimension = map(int, np.argwhere(~np.isfinite(observations.values))[0])
    kind = "NaN" if np.isnan(observations.values[k, dimension]) else "inf or -inf"
    raise ValueError(
        f"Input X contains {kind}: {observations.entry(k, dimension)}. No bin holds it, and 0 in its place would be "
        "counted as an observation. Drop such observations, for instance by x[numpy.isfinite(x)]."
    )
