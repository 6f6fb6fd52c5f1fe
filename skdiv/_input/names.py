"""The names of bins and rows, wherever an object has some: they are compared, and nothing is put in order silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# --- What messages call things ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """How messages name an argument, its rows and its entries: by position, and where there are labels by these too.

    ``frame`` is the argument if it is a frame; ``other`` is the argument if it is a list, whose items may have labels,
    or a table of pyarrow.
    """

    argument: str = "X"
    frame: Any = None
    other: Any = None

    def __str__(self) -> str:
        """Return the name of the argument."""
        return self.argument

    @property
    def columns(self) -> list[Any]:
        """Return the labels of the bins, or an empty list if there are none."""
        return self.labels.columns

    @property
    def labels(self) -> ColumnLabels:
        """Return the labels of the bins; those of a list are the labels of its first item that was given some."""
        if self.frame is not None:
            return _labels_of(self.frame.columns, _FRAME if hasattr(self.frame, "align") else _OTHER_FRAME)
        if self.other is None:
            return NO_LABELS
        if _is_table(self.other):
            return _labels_of(self.other.column_names, _TABLE)
        place, index = _first_named(_indexes(self.other))
        if index is None:
            return NO_LABELS
        if hasattr(self.other[place], "columns"):
            return _labels_of(index, _MATRICES._replace(labels=f"{{0}}[{place}].columns"))
        return _labels_of(index, _LIST._replace(labels=f"{{0}}[{place}].index"))

    @property
    def has_columns(self) -> bool:
        """Return whether the argument is a frame or a table, which has columns."""
        return self.frame is not None or _is_table(self.other)

    @property
    def index(self) -> Any:
        """Return the labels of the rows if the argument is a frame of pandas, else None."""
        return getattr(self.frame, "index", None)

    def as_frame(self, X: Any) -> Any:
        """Return what shows scikit-learn the labels of X: X itself, or the first named Series of a list, as a frame."""
        place, index = _first_named([] if self.other is None or _is_table(X) else _indexes(X))
        return X if index is None or not hasattr(X[place], "to_frame") else X[place].to_frame().T

    @property
    def row_labels(self) -> NDArray[Any] | None:
        """Return the labels of the rows as an array, which a fitted model can keep, or None if there are none."""
        index = index_of(self.frame)
        return None if index is None else np.asarray(index)

    def row(self, i: int) -> str:
        """Return the name of row i for a message, such as ``X[1] ('oslo')``."""
        label = self._label_of_row(i)
        return f"{self}[{i}]" if label is None else f"{self}[{i}] ({label!r})"

    def entry(self, i: int, j: int) -> str:
        """Return the name of the entry in row i and column j for a message, such as ``X[1, 2] ('oslo', 'rain')``."""
        row, column = self._label_of_row(i), _label(self.columns, j)
        labels = f" ({row!r}, {column!r})"
        if row is None or column is None:
            named = [(what, label) for what, label in (("row", row), ("column", column)) if label is not None]
            labels = "".join(f" ({what} {label!r})" for what, label in named)
        return f"{self}[{i}, {j}]{labels}"

    def _label_of_row(self, i: int) -> Any:
        """Return the label of row i, or None if it has none or one that equals i."""
        return None if self.index is None else _label(self.index, i)


UNNAMED = Names()


def names_of(X: Any, argument: str = "X") -> Names:
    """Return the `Names` of an argument: a frame of pandas, polars or a similar library, a table, a list, or another.

    The items of a list are not compared with each other; `refuse_mixed_items` does that.
    """
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise TypeError(f"{argument} is a lazy frame, which holds no numbers yet; pass {argument}.collect().")
    if hasattr(X, "columns") and hasattr(type(X), "dtypes"):
        return Names(argument, X)
    return Names(argument, other=X if isinstance(X, Sequence) or _is_table(X) else None)


def _is_table(X: Any) -> bool:
    """Return whether an argument is a table of pyarrow, or like one."""
    return hasattr(X, "column_names")


def _label(labels: Sequence[Any], place: int) -> Any:
    """Return the label at a position, or None if there are no labels or the label is the position itself."""
    label = _plain(labels[place]) if len(labels) else None
    return None if _same(label, place) else label


def _plain(label: Any) -> Any:
    """Return a label as a plain Python object; the repr of a NumPy scalar would show its type in a message."""
    if isinstance(label, tuple):
        return tuple(map(_plain, label))
    if isinstance(label, np.datetime64 | np.timedelta64):
        return str(label)
    return label.item() if isinstance(label, np.generic) else label


def _same(one: Any, other: Any) -> bool:
    """Return whether two labels are equal.

    They are compared as members of a set: ``==`` with pandas.NA gives no truth value.
    """
    return len({one, other}) == 1 or repr(one) == repr(other)


# --- The labels of bins ----------------------------------------------------------------------------------------------


class Holder(NamedTuple):
    """What holds labels, as the remedies in messages need it; the name of the argument takes the place of ``{0}``.

    ``labels`` is the code for its labels, ``ordered`` the code that puts it in the order of the labels ``{1}``, and
    ``frame`` the code for a frame of pandas that has them, if there is one. A place among the labels is called
    ``place``.
    """

    labels: str = ""
    ordered: str = ""
    frame: str = ""
    place: str = "Column"


_FRAME = Holder("{0}.columns", "{0}[{1}]", "{0}")
_OTHER_FRAME = Holder("{0}.columns", "{0}[{1}]")
_TABLE = Holder("{0}.column_names", "{0}.select({1})")
_SERIES = Holder("{0}.index", "{0}[{1}]", "{0}.to_frame().T", "Label")
_LIST = Holder("{0}[0].index", "[row[{1}] for row in {0}]", "pandas.DataFrame({0})", "Label")
_MATRICES = Holder("{0}[0].columns", "[matrix.loc[{1}, {1}] for matrix in {0}]")  # a list of frames
_ITEM = Holder(place="Label")  # of a list


class ColumnLabels(NamedTuple):
    """The labels of bins, an empty list where there are none, whether somebody gave them, and what holds them."""

    columns: list[Any]
    given: bool
    holder: Holder = Holder()


NO_LABELS = ColumnLabels([], given=False)


def _labels_of(index: Any, holder: Holder) -> ColumnLabels:
    """Return labels, and whether somebody gave them.

    pandas numbers what was given none by a RangeIndex from 0 on; given labels are another kind of index.
    """
    return ColumnLabels(list(index), not _is_numbered(index), holder)


def _is_numbered(index: Any) -> bool:
    """Return whether labels are the numbers that pandas gives to what was given no labels."""
    return getattr(index, "start", None) == 0 and getattr(index, "step", None) == 1


def refuse_other_columns(
    one: ColumnLabels,
    other: ColumnLabels,
    owners: tuple[str, str],
    remedy: str = "",
    missing: str = "",
    *,
    what: str = "bins",
) -> None:
    """Refuse two objects whose bins have different labels, or the same labels in another order.

    Bins are matched by their positions, which would silently compare different ones. The numbers of a frame that was
    given no labels are labels only if the other frame has some of them in other places. ``owners`` are the names of
    the two objects. ``remedy`` is added to the message if only the order differs, else ``missing``; ``what`` says what
    the labels are those of.
    """
    if len(one.columns) != len(other.columns):
        _refuse_other_number(one, other, owners, f"but the {what} of both must be the same and in one order{missing}.")
        return
    place = _first_difference(one, other)
    if place is not None:
        mine, its = (_plain(labels.columns[place]) for labels in (one, other))
        raise ValueError(
            f"{one.holder.place} {place} of {owners[0]} is {mine!r} and of {owners[1]} {its!r}, but the {what} of both "
            f"must be the same and in one order{remedy if set(one.columns) == set(other.columns) else missing}."
        )


def _first_difference(one: ColumnLabels, other: ColumnLabels) -> int | None:
    """Return the first place where the labels of two objects of one length differ, if they can be compared there."""
    shared, both_given = set(one.columns) & set(other.columns), one.given and other.given
    for place, (label, its_label) in enumerate(zip(one.columns, other.columns, strict=True)):
        if not _same(label, its_label) and (both_given or label in shared or its_label in shared):
            return place
    return None


def _refuse_other_number(one: ColumnLabels, other: ColumnLabels, owners: tuple[str, str], rule: str) -> None:
    """Refuse labels that were given to two objects if one of them has a label that the other has not."""
    if not (one.given and other.given):
        return
    for mine, its, (owner, the_other) in ((one, other, owners), (other, one, owners[::-1])):
        for place, label in enumerate(mine.columns):
            if label not in set(its.columns):
                where = f"{mine.holder.place} {place} of {owner} is {_plain(label)!r}"
                raise ValueError(f"{where}, which {the_other} does not have, {rule}")


def refuse_other_bins(
    one: ColumnLabels, other: ColumnLabels, owners: tuple[str, str], *, what: str = "bins", can_align: bool = True
) -> None:
    """Do what `refuse_other_columns` does, with the remedy that works for what holds the labels.

    ``can_align`` says that an object without a label could have zeros there.
    """
    if not (one.columns and other.columns):
        return
    x, y = owners
    order, aligned = one.holder.labels.format(x), ""
    if other.holder in (_OTHER_FRAME, _TABLE) and one.holder not in (_OTHER_FRAME, _TABLE):
        order = f"list({order})"
    in_order = f", for instance {other.holder.ordered.format(y, order)}"
    if can_align and one.holder.frame and other.holder.frame:
        frames = one.holder.frame.format(x), other.holder.frame.format(y)
        aligned = f", as after {x}, {y} = {frames[0]}.align({frames[1]}, axis=1, fill_value=0)"
        if one.holder == other.holder == _SERIES:
            aligned = (
                f", as after {x}, {y} = {x}.align({y}, fill_value=0), or in {y}.to_numpy() if the {what} are the same "
                "in spite of their labels"
            )
    refuse_other_columns(one, other, owners, in_order, aligned, what=what)


def labels_of_distribution(p: Any) -> ColumnLabels:
    """Return the labels of the bins of one distribution: those of a Series, or of a frame that has one row."""
    if isinstance(p, np.ndarray | list | tuple):
        return NO_LABELS
    index = index_of(p)
    if index is not None and not hasattr(p, "columns"):
        return _labels_of(index, _SERIES)
    return names_of(p).labels


# --- The items of a list ---------------------------------------------------------------------------------------------


def refuse_mixed_items(names: Names, *, what: str = "bins") -> None:
    """Refuse a list whose items have different labels, or the same in another order; ``what`` is what these label.

    The items that have labels are the Series and frames of pandas, and frames of other libraries.
    """
    if names.other is None or _is_table(names.other):
        return
    found = _indexes(names.other)
    place, first = _first_named(found)
    for i, index in found:
        if _are_equal(index, first):
            continue
        owners = f"{names}[{i}]", f"{names}[{place}]"
        remedy, missing = f", for instance {owners[0]}[{owners[1]}.index]", ""
        if hasattr(names.other[i], "columns"):
            remedy = f", for instance {owners[0]}.loc[{owners[1]}.columns, {owners[1]}.columns]"
        elif len(found) == len(names.other):
            frame, plain = _LIST.frame.format(names), f"[row.to_numpy() for row in {names}]"
            remedy = f", as in {frame}.fillna(0)"
            missing = f"{remedy}, or in {plain} if the {what} are the same in spite of their labels"
        refuse_other_columns(_labels_of(index, _ITEM), _labels_of(first, _ITEM), owners, remedy, missing, what=what)


def labels_of_items(values: Any, argument: str, *, what: str) -> ColumnLabels:
    """Return the labels that the items of a list share, or those of the columns of a frame, and refuse different ones.

    The items are vectors or square matrices, in which a frame has to have its rows and columns in one order.
    """
    names = names_of(values, argument)
    refuse_mixed_items(names, what=what)
    if names.other is not None:
        for i, item in enumerate(names.other):
            if hasattr(item, "columns"):
                refuse_other_order(names_of(item, f"{names}[{i}]"))
    return names.labels


def _indexes(items: Sequence[Any]) -> list[tuple[int, Any]]:
    """Return the labels that items of a list have, each with the place of the item: those of columns, or of a Series.

    The types of the items are looked at first, for few of them can have labels, and a list may be long.
    """
    kinds = {kind for kind in set(map(type, items)) if hasattr(kind, "dtypes")}
    if not kinds:
        return []
    found = ((i, getattr(item, "columns", index_of(item))) for i, item in enumerate(items) if type(item) in kinds)
    return [(i, index) for i, index in found if index is not None]


def _first_named(found: list[tuple[int, Any]]) -> tuple[int, Any]:
    """Return the first labels that somebody gave, or else the first, with their place; None if there are no labels."""
    given = (each for each in found if not _is_numbered(each[1]))
    return next(given, found[0] if found else (0, None))


def _are_equal(one: Any, other: Any) -> bool:
    """Return whether two indexes of pandas, or two lists of names, are equal."""
    return bool(one is other or (one.equals(other) if hasattr(one, "equals") else one == other))


# --- The labels of rows ----------------------------------------------------------------------------------------------


def index_of(X: Any) -> Any:
    """Return the index of a Series or frame of pandas; None for what has none, for a list has a method of that name."""
    index = getattr(X, "index", None)
    return index if hasattr(index, "equals") else None


def refuse_other_rows(one: Any, X: Any, owners: tuple[str, str]) -> None:
    """Refuse what is given for the rows of X, such as weights or groups, if its index differs from that of X.

    Both are matched by their positions, as in NumPy and scikit-learn, where pandas would match them by their labels.
    An index that pandas made itself, from 0 on, has labels only if the other has some of them in other places.
    """
    index, expected = index_of(one), index_of(X)
    if index is None or expected is None or index.equals(expected) or len(index) != len(expected):
        return
    labels, its_labels = _labels_of(index, _SERIES), _labels_of(expected, _SERIES)
    place = _first_difference(labels, its_labels)
    if place is None:
        return
    argument, x = owners
    aligned = f"{argument}.loc[{x}.index], " if index.is_unique and expected.isin(index).all() else ""
    raise ValueError(
        f"Label {place} of the index of {argument} is {_plain(index[place])!r} and of {x} {_plain(expected[place])!r}, "
        f"but what belongs to a row has to have its label. Pass {aligned}{'or ' if aligned else ''}"
        f"{argument}.to_numpy() if it is in the order of the rows."
    )


def refuse_other_fitted_rows(X: Any, fitted: NDArray[Any] | None) -> None:
    """Refuse rows that are said to be the fitted ones, if their index differs from the ``row_labels`` of the fit."""
    labels = Names(frame=X).row_labels
    if labels is None or fitted is None or len(labels) != len(fitted):
        return
    if labels.dtype.kind != "O" and np.array_equal(labels, fitted):
        return
    numbers = np.arange(len(labels))
    new, old = (ColumnLabels(list(each), given=not np.array_equal(each, numbers)) for each in (labels, fitted))
    place = _first_difference(new, old)
    if place is not None:
        raise ValueError(
            f"Row {place} of X is {_plain(labels[place])!r} and of the fitted X {_plain(fitted[place])!r}, but labels_ "
            "belong to the fitted rows, in their order. Pass the X that was fitted, or X.to_numpy() if only the labels "
            "of its rows differ."
        )


def refuse_other_order(names: Names) -> None:
    """Refuse a square frame whose columns have labels of its rows in other places."""
    index, columns = names.index, getattr(names.frame, "columns", None)
    if index is None or columns is None or len(index) != len(columns) or index.equals(columns):
        return
    rows = _labels_of(index, _FRAME)._replace(
        given=False
    )  # Names of another kind, such as texts of numbers, may differ.
    place = _first_difference(_labels_of(columns, _FRAME), rows)
    if place is not None:
        remedy = f"{names}.loc[:, {names}.index]" if set(columns) == set(index) else "one set of names"
        raise ValueError(
            f"Column {place} of {names} is {_plain(columns[place])!r} and row {place} is {_plain(index[place])!r}, but "
            f"its columns must be in the order of its rows. Pass {remedy}."
        )
