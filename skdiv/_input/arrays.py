"""What users pass becomes an array that NumPy or SciPy holds, at one door; what cannot is refused with a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp

# The numbers of other libraries: PyTorch, JAX, CuPy, PyArrow, and whatever keeps to the array API standard.
_PROTOCOLS = ("__dlpack__", "__array_namespace__", "__cuda_array_interface__")
_NARROW = ("bfloat16", "float8", "float4")  # dtypes that NumPy does not have, whose names begin so
_TABLE = (
    "Pass a table with a row for each distribution and a column for each bin: an array, a list of rows, a sparse "
    "matrix or a frame."
)
_COUNT_WORDS = "sklearn.feature_extraction.text.CountVectorizer().fit_transform"
_COUNT_LISTS = "sklearn.feature_extraction.text.CountVectorizer(analyzer=list).fit_transform"
_COUNT_NAMES = "sklearn.feature_extraction.DictVectorizer().fit_transform"


# --- Arrays of other libraries ---------------------------------------------------------------------------------------


def as_numpy(X: Any, name: str) -> Any:
    """Return an array of another library, or a list with such arrays, as one of NumPy with the same dtype.

    Everything else is returned as it is.
    """
    if isinstance(X, list | tuple):
        if any(map(_is_foreign, set(map(type, X)))):
            return [as_numpy(row, f"{name}[{i}]") for i, row in enumerate(X)]
        return X
    return _converted(X, name) if _is_foreign(type(X)) else X


def _is_foreign(kind: type) -> bool:
    """Return whether a type is that of the arrays of another library."""
    if issubclass(kind, np.ndarray | np.generic) or hasattr(kind, "columns") or hasattr(kind, "column_names"):
        return False
    return any(hasattr(kind, protocol) for protocol in _PROTOCOLS)


def _converted(X: Any, name: str) -> Any:
    """Return an array of another library as one of NumPy, without a copy where it lies in the memory of the CPU."""
    try:
        array = np.asarray(X) if hasattr(X, "__array__") or not hasattr(X, "__dlpack__") else np.from_dlpack(X)
    except Exception:  # Each library raises exceptions of its own.
        _refuse_unreadable(X, name)
    if array.dtype.kind in "OV":  # This is what NumPy makes of a dtype that it does not have, and of an unknown object.
        _refuse_unreadable(X, name)
    return array


def _remedy_for(X: Any, name: str) -> str:
    """Return how to make an array readable by NumPy, as far as what it says of itself tells."""
    device, dtype = str(getattr(X, "device", "")), str(getattr(X, "dtype", "")).rpartition(".")[2]
    if device.startswith("meta"):
        return "It is on the device 'meta' and has a shape, but no numbers; make it with its numbers first."
    calls = [
        (bool(getattr(X, "requires_grad", False)), "detach"),
        (str(getattr(X, "layout", "torch.strided")) != "torch.strided", "to_dense"),
        (device.startswith(("cuda", "mps", "xpu")), "cpu"),
        (dtype.startswith(_NARROW), "float"),
    ]
    chain = "".join(f".{call}()" for needed, call in calls if needed and hasattr(X, call))
    if chain:
        return f"Pass {name}{chain}."
    for call in ("get", "copy_to_host", "to_scipy_sparse"):  # of CuPy, of Numba, and of the package sparse
        if hasattr(X, call):
            return f"Pass {name}.{call}()."
    if dtype.startswith(_NARROW) and hasattr(X, "astype"):
        return f"Pass {name}.astype('float32')."
    if hasattr(X, "__cuda_array_interface__") and not hasattr(X, "__array__"):
        return f"Its numbers are in the memory of a GPU; pass cupy.asnumpy(cupy.asarray({name})), for instance."
    return "Convert it to a NumPy array by its own library first."


def _refuse_unreadable(X: Any, name: str) -> NoReturn:
    """Raise the error about an array of another library that NumPy cannot read."""
    dtype = getattr(X, "dtype", None)
    described = f"{type(X).__module__.partition('.')[0]}.{type(X).__name__}" + (f" ({dtype})" if dtype else "")
    raise TypeError(f"{name} is of the type {described}, which NumPy cannot read as it is. {_remedy_for(X, name)}")


# --- Lists and other objects -----------------------------------------------------------------------------------------


def as_array(X: Any, name: str, *, is_table: bool = True) -> Any:
    """Return what a user passes for numbers as an array of NumPy, whose shape and dtype are unchecked.

    Sparse matrices are returned as they are. Refused is what NumPy makes no array of, or one of objects that nobody
    meant: dictionaries, texts, sets, generators, lists whose rows differ in length. Unless ``is_table``, the message
    does not say how such things become a table of distributions.
    """
    if type(X) is np.ndarray or sp.issparse(X):
        return X
    if isinstance(X, np.matrix) and is_table:
        raise TypeError(f"{name} is a numpy.matrix, which computes unlike an array; pass numpy.asarray({name}).")
    array = as_numpy(X, name)
    if not isinstance(array, list | tuple):
        _refuse_object(array, name, is_table)
    try:
        return np.asarray(array)
    except (TypeError, ValueError, RuntimeError):
        if not isinstance(array, list | tuple):
            _refuse_unreadable(X, name)
        if not is_table:
            _refuse_as_numbers(name, "a list whose items differ in length or in kind")
        _refuse_items(array, name)


def _refuse_object(X: Any, name: str, is_table: bool) -> None:
    """Refuse one object that is neither a number nor a sequence of them, and say what to pass in its place."""
    kind, remedy = f"of the type {type(X).__name__}", ""
    is_array = hasattr(X, "__array__") or hasattr(X, "__array_interface__") or hasattr(X, "__buffer__")
    if X is None:
        kind = "None"
    elif isinstance(X, str | bytes):
        kind, remedy = "a text", f" To count the words of a text, use {_COUNT_WORDS}([{name}])."
    elif isinstance(X, Mapping):
        remedy = f" {_remedy_for_mapping(X, name)}"
    elif hasattr(X, "obs") and hasattr(X, "var") and hasattr(X, "X"):
        remedy = f" The table of annotated data is {name}.X."
    elif hasattr(X, "__next__"):
        remedy = f" It can be read only once; pass list({name})."
    elif isinstance(X, set | frozenset):
        remedy = " A set has no order."
    elif is_array or hasattr(X, "__len__") or np.isscalar(X):
        return
    if is_table:
        _refuse_as_table(name, kind, remedy)
    _refuse_as_numbers(name, kind)


def _refuse_as_table(name: str, kind: str, remedy: str) -> NoReturn:
    """Raise the error about what is not a table."""
    raise TypeError(f"{name} is {kind}, and not a table of numbers. {_TABLE}{remedy}")


def _refuse_as_numbers(name: str, kind: str) -> NoReturn:
    """Raise the error about what does not hold numbers, where no table is wanted."""
    raise TypeError(f"{name} is {kind}, and not an array of numbers.")


def _remedy_for_mapping(X: Mapping[Any, Any], name: str) -> str:
    """Return how a dictionary becomes a table."""
    if "data" in X and "target" in X:  # what scikit-learn's datasets are
        return f"The table of a data set of scikit-learn is {name}['data']."
    values = list(X.values())
    if values and isinstance(values[0], Mapping):
        return f"Its dictionaries become rows by {_COUNT_NAMES}(list({name}.values()))."
    if values and np.isscalar(values[0]):
        return f"If it has a weight for each bin, use {_COUNT_NAMES}([{name}])."
    return f"If its values are rows, pass list({name}.values())."


def is_sparse_dtype(dtype: Any) -> bool:
    """Return whether a dtype is that of a sparse column of a pandas frame."""
    return hasattr(dtype, "fill_value")


def without_sparse_columns(frame: Any) -> Any:
    """Return a frame of pandas with columns of its sparse dtype as CSR, or as an array if other columns are dense.

    Such columns may leave out another value than 0; they are made dense first, because pandas 2.2 takes what was left
    out for 0 when it changes that value. Any other frame is returned as it is.
    """
    dtypes = list(frame.dtypes)
    sparse = [dtype for dtype in dtypes if is_sparse_dtype(dtype)]
    if not sparse:
        return frame
    if len(sparse) < len(dtypes):
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    common = np.result_type(*(dtype.subtype for dtype in dtypes))
    if all(dtype.fill_value == 0 for dtype in dtypes):
        return sp.csr_array(frame.sparse.to_coo().astype(common))
    return sp.csr_array(frame.sparse.to_dense().to_numpy(dtype=common))


# --- Shapes ----------------------------------------------------------------------------------------------------------


def refuse_other_dimensions(X: Any, name: str, *, distances: bool = False) -> None:
    """Refuse an array, a sparse matrix or a frame that has not two dimensions; ``distances`` are told what to do."""
    if len(X.shape) != 2:
        _refuse_dimensions(X, name, distances)


def refuse_sizes(X: Any, name: str, *, min_samples: int = 1, min_bins: int = 2, owner: str = "") -> None:
    """Refuse a table that has fewer rows or columns than asked for.

    Some of the words are those of scikit-learn, by whose checks an estimator is tested; ``owner`` is its name, if any.
    """
    shape, by = tuple(X.shape), f" by {owner}" if owner else ""
    if not all(isinstance(size, Integral) for size in shape):  # Dask does not know how many rows a frame has.
        return
    if shape[0] < min_samples:
        raise ValueError(
            f"Found array with {shape[0]} sample(s) (shape={shape}) while a minimum of {min_samples} is required{by}: "
            f"{name} has {('no rows', 'only one row')[shape[0]]}."
        )
    if shape[1] < min_bins:
        raise ValueError(
            f"Found array with {shape[1]} feature(s) (shape={shape}) while a minimum of {min_bins} is required{by}: "
            f"{name} has {_ONE_BIN if shape[1] else 'no bins.'}"
        )


_ONE_BIN = (
    "one bin, over which all distributions are the same. If the column holds the weights of one distribution, pass its "
    "transpose; if it holds observations, count them into bins by skdiv.preprocessing.HistogramTransformer."
)


def _refuse_dimensions(X: Any, name: str, distances: bool) -> NoReturn:
    """Raise the error about what has another number of dimensions than two."""
    shape = tuple(X.shape)
    if len(shape) == 1 and X.dtype.names is not None:
        fields = ", ".join(map(repr, X.dtype.names))
        remedy = f" Pass numpy.lib.recfunctions.structured_to_unstructured({name})."
        _refuse_as_table(name, f"a structured array with the fields {fields}", remedy)
    if len(shape) == 1 and X.dtype.kind in "OUST":
        _refuse_items(X, name)
    if shape == (0,):
        raise ValueError(f"{name} is empty. {_TABLE}")
    if not shape:
        raise ValueError(f"{name} = {_item(X)!r} is a single value. {_TABLE}")
    if len(shape) > 2:
        rows = f", for instance as numpy.reshape({name}, ({shape[0]}, -1))" if shape[0] and not distances else ""
        raise ValueError(f"{name} has {len(shape)} dimensions, its shape is {shape}, but a table has 2{rows}.")
    if distances:
        n = (1 + int(np.sqrt(1 + 8 * shape[0]))) // 2
        condensed = f"scipy.spatial.distance.squareform({name}) if it is the condensed matrix of {n} rows, "
        raise ValueError(
            f"{name} is a vector of length {shape[0]}, but metric='precomputed' takes a matrix. Reshape your data: "
            f"pass {condensed if n * (n - 1) // 2 == shape[0] else ''}[{name}] if it holds the distances of one row."
        )
    row = f"{name}.reshape(1, -1)" if sp.issparse(X) else f"[{name}]"
    raise ValueError(
        f"{name} is one-dimensional, its shape is {shape}, but a collection has a row for each distribution. For the "
        f"divergence of two vectors use divergences()['kl'](p, q), with any metric in place of 'kl'. Reshape your data "
        f"to a collection of one row, {row}, if {name} is one distribution."
    )


def _item(X: Any) -> Any:
    """Return the single value of an array without dimensions."""
    return X.item() if hasattr(X, "item") else X


def _refuse_items(items: Iterable[Any], name: str) -> NoReturn:
    """Raise the error about items that make no table of numbers: what they are, and how they become one."""
    rows = list(items)
    first = next((row for row in rows if row is not None), None)
    kinds = ", ".join(sorted({type(row).__name__ for row in rows}))
    if isinstance(first, Mapping):
        _refuse_as_table(name, "made of dictionaries", f" They become rows by {_COUNT_NAMES}({name}).")
    if isinstance(first, str | bytes):
        _refuse_as_table(name, "made of texts", f" To count the words of each, use {_COUNT_WORDS}({name}).")
    if sp.issparse(first):
        _refuse_as_table(name, "made of sparse matrices", f" Join them by scipy.sparse.vstack({name}).")
    if not any(map(_length, rows)):
        _refuse_as_table(name, f"made of objects of the type {kinds}", "")
    _refuse_unequal_rows(rows, name)


def _refuse_unequal_rows(rows: list[Any], name: str) -> NoReturn:
    """Raise the error about a list whose rows differ in length or, within the rows, in what they hold."""
    lengths = list(map(_length, rows))
    k = lengths.index(0) if 0 in lengths else 0
    if lengths[k] == 0 and not hasattr(rows[k], "__len__"):
        raise ValueError(f"{name}[{k}] = {rows[k]!r} is no row of numbers, but other items of {name} are. {_TABLE}")
    i = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    differ = f"The rows of {name} are not of one shape"
    if i is not None:
        differ = f"The rows of {name} differ in length: {name}[0] has {lengths[0]} entries and {name}[{i}] {lengths[i]}"
    if any(isinstance(entry, str) for row in rows if _length(row) for entry in row):
        raise ValueError(f"{differ}, and they hold texts. {how_to_count_words(name)}")
    raise ValueError(
        f"{differ}, but all rows must hold a weight for each of the same bins. If they are observations, count them "
        f"into bins by skdiv.preprocessing.HistogramTransformer().fit_transform({name}), or compare them without bins "
        f"by skdiv.models.sample_divergences({name})."
    )


def how_to_count_words(name: str) -> str:
    """Return the part of a message that says how lists of words become a table."""
    return f"If each row is a list of words, count them by {_COUNT_LISTS}({name})."


def _length(item: Any) -> int:
    """Return the length of an item, 0 if it has none."""
    try:
        return len(item)
    except TypeError:
        return 0
