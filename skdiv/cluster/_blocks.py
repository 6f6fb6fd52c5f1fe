"""Clustering of rows that come in blocks, told as calls of pure functions whose results are small beside the rows.

Each block is opened and summarised in itself, summaries are merged in a fixed tree, and passes of Bregman k-means add
up what each block has found. Who calls the functions is left open: a loop, or a cluster that is given all calls as one
graph. The order of all sums is fixed by the number of blocks, so the result is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.random import RandomState

from skdiv._input.checks import Matrix, in_precision_of_fit
from skdiv._input.distributions import Distributions, normalise
from skdiv._input.estimators import learned_input
from skdiv._input.names import UNNAMED, ColumnLabels, names_of, refuse_other_columns
from skdiv._utils.typing import FloatArray, Labels
from skdiv.cluster._collection import Collection, Part
from skdiv.cluster._reduction import Clusters, clusters_of_summaries, total_information
from skdiv.cluster._summaries import Summaries, Tree, summarised

_SUMS_AT_A_TIME = 8  # how many blocks, or sums of such, are added up in one call


class Call(Protocol):
    """Call a function, now or later, with constants and with results of earlier calls; return its result, or a stub."""

    def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call ``function(*arguments)``."""


# --- Blocks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What all blocks have in common: the number of columns, their labels if they have any, and the dtype."""

    n_bins: int
    labels: ColumnLabels
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Block:
    """Checked rows of a block, their mean, and the attributes that a fit gets from them; see `learned_input`."""

    rows: Collection
    mean: Distributions
    learned: dict[str, Any]

    def __sizeof__(self) -> int:
        """Return the number of bytes, by which Dask decides what stays in memory and where tasks are run."""
        X, n = self.rows.X, len(self.rows)
        entries = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sp.issparse(X) else X.nbytes
        return int(entries) + 16 * n


@contextmanager
def naming_block(number: int) -> Iterator[None]:
    """Add the number of a block to an error about its rows, whose numbers in the message count within the block."""
    try:
        yield
    except (ValueError, TypeError, MemoryError) as error:
        raise type(error)(f"In block {number} of X: {error}") from error


def opened(estimator: Any, expected: Expected, number: int, X: Any, sample_weight: Any) -> Block | None:
    """Return the checked rows of a block, or None if it is empty; ``estimator`` has the parameters of the fit."""
    with naming_block(number):
        if not X.shape[0]:
            return None
        validated, learned = learned_input(estimator, X)
        names = names_of(X)
        if validated.shape[1] != expected.n_bins:
            raise ValueError(f"it has {validated.shape[1]} columns, but X is said to have {expected.n_bins}.")
        refuse_other_columns(names.labels, expected.labels, ("the block", "X itself"))
        validated = in_precision_of_fit(validated, expected.dtype, names)
        rows, mean = estimator._collection(X, validated, sample_weight).checked()
        return Block(replace(rows, names=UNNAMED), mean, {**learned, "_dtype": expected.dtype})


# --- Summaries -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """The summaries of one block or more, and the attributes that a fit gets from these."""

    summaries: Summaries
    learned: dict[str, Any]


def piece_of(block: Block | None, n_summaries: int, seed: int) -> Piece | None:
    """Return at most so many summaries of a block."""
    if block is None:
        return None
    total = total_information(block.rows, block.mean)
    summaries, _ = summarised(block.rows, block.mean, total, n_summaries, RandomState(seed))
    return Piece(summaries, block.learned)


def joined(*pieces: Piece | None) -> Piece | None:
    """Return the summaries of some pieces as one."""
    found = [piece for piece in pieces if piece is not None]
    if not found:
        return None
    union = found[0].summaries
    for piece in found[1:]:
        union = union.joined(piece.summaries)
    return Piece(union, found[0].learned)


def merged(n_summaries: int, n_jobs: int | None, *pieces: Piece | None) -> Piece | None:
    """Join the summaries of some pieces, and merge them down to so many."""
    piece = joined(*pieces)
    if piece is None or len(piece.summaries) <= n_summaries:
        return piece
    union = piece.summaries
    tree = Tree.of(union, union.as_collection(n_jobs))
    lost = union.mass * tree.lost(n_summaries)
    return replace(piece, summaries=union.merged(tree.labels(n_summaries), n_summaries, lost))


# --- Passes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """Clusters after some passes.

    Attributes
    ----------
    centers : Distributions
        The mean of each cluster.
    lost : float
        What the clusters lose of the information about the bins, in nats times mass.
    settled : bool
        Whether another pass would find the same.
    """

    centers: Distributions
    lost: float
    settled: bool = False


@dataclass(frozen=True)
class Candidates:
    """The rows that lose the most, from the highest loss down, one of which may become a cluster that has no row."""

    values: Matrix
    masses: FloatArray
    labels: Labels
    losses: FloatArray
    places: Labels  # the block and the number in the block of each, of shape (n, 2)

    def __getitem__(self, some: Any) -> Candidates:
        """Return some of the candidates."""
        values, masses, labels, losses, places = self.values, self.masses, self.labels, self.losses, self.places
        return Candidates(values[some], masses[some], labels[some], losses[some], places[some])

    @classmethod
    def joined(cls, lists: Sequence[Candidates]) -> Candidates:
        """Return the candidates of several lists, of which those of the first lists come first among equals."""
        values = [some.values for some in lists]
        stacked = sp.vstack(values, format="csr") if sp.issparse(values[0]) else np.vstack(values)
        fields = ("masses", "labels", "losses", "places")
        both = cls(stacked, *(np.concatenate([getattr(some, name) for some in lists]) for name in fields))
        return both[np.argsort(-both.losses, kind="stable")]


@dataclass(frozen=True)
class Sums:
    """What a pass has found in some blocks.

    ``sums`` are those of the rows of each cluster times their masses, ``masses`` the masses and ``lost`` the loss
    beside the centers before, all without the candidates. ``sizes`` are the numbers of rows, with them. There are as
    many candidates as clusters, or as rows, if some cluster has no row in these blocks; else there are none.
    """

    sums: Matrix
    masses: FloatArray
    lost: float
    sizes: Labels
    candidates: Candidates | None

    def including(self, rest: Candidates, losses: FloatArray) -> Sums:
        """Return the sums with some of the candidates, which lose so much, added to them."""
        n_clusters = len(self.sizes)
        members = sp.csr_array(
            (rest.masses, (rest.labels, np.arange(len(rest.labels)))), shape=(n_clusters, len(rest.labels))
        )
        masses = self.masses + np.bincount(rest.labels, rest.masses, minlength=n_clusters)
        return replace(self, sums=self.sums + members @ rest.values, masses=masses, lost=self.lost + losses.sum())


def sums_of(block: Block | None, state: State, number: int) -> Sums | None:
    """Assign the rows of a block to their nearest centers, and return their sums; None if nothing is left to find."""
    if block is None or state.settled:
        return None
    rows, n_clusters = block.rows, len(state.centers)
    labels, distances = rows.nearest(np.zeros(len(rows), dtype=np.intp), state.centers)
    losses, sizes, candidates = rows.masses * distances, np.bincount(labels, minlength=n_clusters), None
    if not sizes.all():
        worst = np.argsort(-losses, kind="stable")[:n_clusters]
        some = Part(rows.X[worst], rows.pseudocount, None).rows()
        values = some.values if some.is_sparse else some.dense()
        places = np.stack([np.full_like(worst, number), worst], axis=1)
        candidates = Candidates(values, rows.masses[worst], labels[worst], losses[worst], places)
        others = rows.masses.copy()
        others[worst] = losses[worst] = 0
        rows = replace(rows, masses=others)
    return Sums(
        rows.sums(labels, n_clusters), rows.masses_of(labels, n_clusters), float(losses.sum()), sizes, candidates
    )


def added(*parts: Sums | None) -> Sums | None:
    """Add up what a pass has found in several parts of the blocks."""
    found = [part for part in parts if part is not None]
    if len(found) < 2:
        return found[0] if found else None
    total = replace(found[0], candidates=None)
    for part in found[1:]:
        sums, masses, sizes = total.sums + part.sums, total.masses + part.masses, total.sizes + part.sizes
        total = Sums(sums, masses, total.lost + part.lost, sizes, None)
    lists = [part.candidates for part in found if part.candidates is not None]
    if not lists:
        return total
    candidates = Candidates.joined(lists)
    kept = 0 if total.sizes.all() else len(total.sizes)
    rest = candidates[kept:]
    return replace(total.including(rest, rest.losses), candidates=candidates[:kept] if kept else None)


def after_pass(state: State, sums: Sums | None, n_jobs: int | None) -> State:
    """Return the clusters after a pass, of what it has found in all blocks.

    What the clusters lose is what the rows lose beside the centers before, less what the new centers lose beside them.
    """
    if sums is None:
        return state
    filled, moves = _without_empty(sums)
    centers = normalise(filled.sums)
    others = np.setdiff1d(np.arange(len(centers)), [cluster for _, _, cluster in moves])  # A moved row is its center.
    between = Collection(centers.values[others], filled.masses[others], n_jobs=n_jobs).lost(others, state.centers)
    settled = _same(centers.values, state.centers.values)
    return State(centers, max(0.0, filled.lost - between), settled)


def after_last_pass(state: State, sums: Sums | None) -> State:
    """Return the same clusters, with what the rows lose beside their nearest centers."""
    if sums is None:
        return state
    lost = sums.lost + (0.0 if sums.candidates is None else float(sums.candidates.losses.sum()))
    return replace(state, lost=lost)


def _without_empty(sums: Sums) -> tuple[Sums, tuple[tuple[int, int, int], ...]]:
    """Add the candidates to the sums, and of them move into each cluster without rows the one that loses the most.

    It must not be the only row of its cluster.
    """
    candidates, sizes, moves = sums.candidates, sums.sizes.copy(), []
    if candidates is None:
        return sums, ()
    labels, losses = candidates.labels.copy(), candidates.losses.copy()
    for empty in np.flatnonzero(sizes == 0):
        row = int(np.where(sizes[labels] > 1, losses, -1).argmax())
        sizes[labels[row]] -= 1
        labels[row], sizes[empty], losses[row] = empty, 1, 0
        block, place = candidates.places[row]
        moves.append((int(block), int(place), int(empty)))
    return sums.including(replace(candidates, labels=labels), losses), tuple(moves)


def _same(one: Matrix, other: Matrix) -> bool:
    """Return whether two matrices are the same to the bit, and of the same kind."""
    if sp.issparse(one) and sp.issparse(other):
        return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("data", "indices", "indptr"))
    return not (sp.issparse(one) or sp.issparse(other)) and np.array_equal(one, other)


# --- All of it -------------------------------------------------------------------------------------------------------


def cut(
    n_summaries: int, n_clusters: int, n_jobs: int | None, *pieces: Piece | None
) -> tuple[dict[str, Any], Clusters, State]:
    """Merge the summaries of all blocks into clusters; return what was learned of the blocks as well."""
    piece = joined(*pieces)
    if piece is None:
        raise ValueError("X has no rows: all its blocks are empty.")
    summaries = piece.summaries
    if n_clusters > len(summaries):
        raise ValueError(f"n_clusters = {n_clusters} is more than the {len(summaries)} rows of X.")
    clusters = clusters_of_summaries(summaries, n_summaries, n_clusters, 0, n_jobs)
    lost = clusters.information.lost * summaries.mass
    return piece.learned, clusters, State(clusters.centers, lost)


def state_of(found: tuple[dict[str, Any], Clusters, State]) -> State:
    """Return the clusters before the first pass."""
    return found[-1]


def outcome(found: tuple[dict[str, Any], Clusters, State], state: State) -> tuple[dict[str, Any], Clusters]:
    """Return the attributes that were learned of the blocks, and the clusters after all passes."""
    learned, clusters, _ = found
    information = replace(clusters.information, lost=state.lost / clusters.summaries.mass)
    return learned, replace(clusters, centers=state.centers, information=information)


def opened_blocks(
    call: Call, estimator: Any, expected: Any, blocks: Sequence[Any], sample_weights: Sequence[Any]
) -> list[Any]:
    """Open all blocks."""
    pairs = enumerate(zip(blocks, sample_weights, strict=True))
    return [call(opened, estimator, expected, number, X, weights) for number, (X, weights) in pairs]


def clustered(
    call: Call,
    blocks: Sequence[Any],
    n_summaries: int,
    n_clusters: int,
    n_passes: int,
    seeds: Sequence[int],
    n_jobs: int | None,
) -> Any:
    """Cluster the rows of opened blocks: summaries, clusters of these, so many passes over the rows, and a last one.

    Return what `outcome` does.
    """
    pieces = [call(piece_of, block, n_summaries, seed) for block, seed in zip(blocks, seeds, strict=True)]
    pieces = _in_a_tree(call, pieces, 2, 2, merged, n_summaries, n_jobs)
    found = call(cut, n_summaries, n_clusters, n_jobs, *pieces)
    state = call(state_of, found)
    for k in range(n_passes + 1):
        parts = [call(sums_of, block, state, number) for number, block in enumerate(blocks)]
        (sums,) = _in_a_tree(call, parts, 1, _SUMS_AT_A_TIME, added)
        state = call(after_pass, state, sums, n_jobs) if k < n_passes else call(after_last_pass, state, sums)
    return call(outcome, found, state)


def _in_a_tree(
    call: Call, results: Sequence[Any], n_left: int, width: int, function: Callable[..., Any], *constants: Any
) -> list[Any]:
    """Call a function with constants and up to ``width`` results at a time, until only ``n_left`` are left."""
    left = list(results)
    while len(left) > n_left:
        groups = [left[i : i + width] for i in range(0, len(left), width)]
        left = [call(function, *constants, *some) if len(some) > 1 else some[0] for some in groups]
    return left
