"""Sequences of states become counts of the transitions between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdiv._input.arrays import as_numpy
from skdiv._input.checks import check_pseudocount, refuse_masked
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray, Places
from skdiv.models._matrix import refuse_named


def counted(sequences: Sequence[Any], states: ArrayLike | None, pseudocount: float) -> tuple[FloatArray, NDArray[Any]]:
    """Return the counts of transitions with the pseudocount added, and the states."""
    added = check_pseudocount(pseudocount)
    if isinstance(sequences, str):
        raise TypeError("sequences is a single string; pass a list of strings, each of which is a sequence.")
    refuse_named(sequences, "sequences")
    visited = [_as_states(sequence, f"sequences[{i}]") for i, sequence in enumerate(sequences)]
    given = None if states is None else _given_states(states)
    _refuse_mixed_types(visited if given is None else [given, *visited])
    names = np.unique(np.concatenate(visited)) if given is None else given
    n, k = len(visited), len(names)
    what, remedy = f"Transitions between {k} states in {n} sequences", "Count fewer sequences at a time, or states."
    with enough_memory(8 * n * k * k, what, remedy):
        counts = np.empty((n, k, k))
        for i, codes in enumerate(_codes(visited, names)):
            counts[i] = np.bincount(codes[:-1] * k + codes[1:], minlength=k * k).reshape(k, k)
        counts += added
    return counts, names


def places_of_absorbing(absorbing: ArrayLike | None, names: NDArray[Any], counts: FloatArray) -> Places:
    """Return the places of the absorbing states; refuse one that is not among the states or that a sequence leaves."""
    if absorbing is None:
        return np.empty(0, dtype=np.intp)
    if isinstance(absorbing, str):
        raise TypeError(f"absorbing = {absorbing!r} is a string; pass a list of states, as [{absorbing!r}].")
    ends = _as_states(absorbing, "absorbing")
    _refuse_mixed_types([names, ends])
    for end in ends[~np.isin(ends, names)].tolist():
        raise ValueError(f"absorbing has {end!r}, which is not among the states; add it to states, or leave it out.")
    places = np.flatnonzero(np.isin(names, ends))
    left = counts[:, places].sum(axis=2) - counts[:, places, places]
    if left.any():
        i, k = np.argwhere(left)[0]
        raise ValueError(
            f"sequences[{i}] leaves state {names[places[k]].item()!r}, so it is not absorbing. Split the sequence "
            "after this state, or leave the state out of absorbing."
        )
    return places


def _as_states(sequence: Any, name: str) -> NDArray[Any]:
    """Return a user's sequence of states as a vector of numbers or strings."""
    refuse_masked(sequence, name)
    members = list(sequence) if isinstance(sequence, str) else as_numpy(sequence, name)
    try:
        np.shape(members)
    except ValueError as error:
        raise ValueError(f"{name} must be a sequence of states, but its items differ in length.") from error
    if not hasattr(members, "dtype") or np.asarray(members).dtype == object:
        types = {type(state).__name__ for state in members} if np.ndim(members) == 1 else set()
        if len(types) > 1:
            raise TypeError(f"{name} has states of different types, {', '.join(sorted(types))}; convert them to one.")
        members = list(members) if types else members
    array = np.asarray(members) if len(np.shape(members)) != 1 or len(members) else np.empty(0, dtype=np.int8)
    if array.ndim != 1:
        raise ValueError(f"{name} must be a sequence of states, but its shape is {array.shape}.")
    if array.dtype.kind not in "iubUSf":
        raise TypeError(f"{name} must hold integers or strings, but its dtype is {array.dtype}.")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(
            f"{name}[{int(np.isnan(array).argmax())}] is NaN; split the sequence where a state is missing."
        )
    return array


def _refuse_mixed_types(arrays: list[NDArray[Any]]) -> None:
    """Refuse sequences (and states) of which some hold strings and others numbers, or that hold no state at all."""
    kinds = {"strings" if array.dtype.kind in "US" else "numbers" for array in arrays if array.size}
    if len(kinds) > 1:
        raise TypeError("Some of sequences and states are strings and others numbers; convert them to one type.")
    if not kinds:
        raise ValueError("sequences holds no state; pass at least one sequence of states.")


def _given_states(states: ArrayLike) -> NDArray[Any]:
    """Return a user's states; refuse one that is given twice."""
    names = _as_states(states, "states")
    distinct, counts = np.unique(names, return_counts=True)
    if not names.size or (counts > 1).any():
        twice = f"has {distinct[counts > 1][0].item()!r} twice" if names.size else "is empty"
        raise ValueError(f"states must hold each state once, but it {twice}.")
    return names


def _codes(visited: list[NDArray[Any]], names: NDArray[Any]) -> Iterator[Places]:
    """Yield each sequence with the places of its states among the names; refuse a state that is not among them."""
    order = np.argsort(names)
    for i, array in enumerate(visited):
        codes = order[np.minimum(np.searchsorted(names, array, sorter=order), len(names) - 1)]
        unknown = names[codes] != array
        if unknown.any():
            t = int(unknown.argmax())
            raise ValueError(
                f"sequences[{i}][{t}] = {array[t].item()!r} is not among the states; add it to states, or leave states "
                "out."
            )
        yield codes
