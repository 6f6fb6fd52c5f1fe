"""Divergences between Markov chains, and their transitions from sequences of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components

from skdiv._compute.measure import Measure, Symmetrize
from skdiv._divergences.registry import resolve
from skdiv._input.checks import check_pseudocount
from skdiv._input.distributions import Distributions
from skdiv._input.names import labels_of_items, refuse_other_bins
from skdiv._utils.typing import FloatArray
from skdiv.models._matrix import ModelMeasure, as_finite, symmetrization
from skdiv.models._sequences import counted, places_of_absorbing

_SIDE = 256  # the number of rows and columns of a tile
_CELL = 2**18  # the number of entries of a temporary array
_ROUNDING = 1e-6  # the largest difference from 1 of a sum of probabilities, which float32 may have
_NANOSECONDS = 0.5  # of one transition, in each pair of chains
_MOST_NAMED = 10  # states in a message


def markov_divergences(
    transition_matrices: ArrayLike,
    *,
    stationary: ArrayLike | None = None,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    n_jobs: int | None = None,
) -> FloatArray:
    """Compute the matrix of Kullback-Leibler divergence rates between Markov chains over the same states.

    Entry [i, j] is the information that is lost in each step, on average over a long time, if chain j is used as a
    model of the true chain i. It is in nats for each step unless ``base`` is given.

    Parameters
    ----------
    transition_matrices : array-like of shape (n, n_states, n_states)
        Entry [i, a, b] is the probability that chain i goes from state a to state b; the sum over b is 1. In a list of
        frames, all rows and columns must name the same states in one order.
    stationary : array-like of shape (n, n_states), optional
        The share of its steps that each chain makes from each state; rows of counts are divided by their sums. By
        default it is the stationary distribution, which a chain has if it reaches every state from every other.
    symmetrize : {"mean", "min", "max"}, optional
        How both directions become one number, as `DivergenceClustering` needs it; by default both are kept.
    base : float, optional
        Base of the logarithm, 2 for bits a step; by default nats.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n, n)
        The rates, which are never negative. An entry [i, j] is ``inf`` if chain i makes a transition that is impossible
        in chain j; counting with a pseudocount avoids that.

    Raises
    ------
    ValueError
        If an entry is negative, NaN or infinite, the probabilities from a state do not sum to 1 (to 1e-6, which is the
        rounding of float32; they are divided by their sum), a chain does not reach every state from every other and
        ``stationary`` is not given, or an argument is not valid. The message names the chain, the state and the remedy.
    TypeError
        If an array is masked or holds anything but real numbers.
    MemoryError
        If the matrix does not fit into the memory that is left.

    See Also
    --------
    transition_matrices : Estimates transition matrices from sequences of states.

    Notes
    -----
    The rate is the sum over states a of π_i(a) KL(P_i[a] ‖ P_j[a]), where π_i is the stationary distribution of chain i
    and P_i[a] the row of its transitions from a. The divergences between rows, and so the rates, are as exact as those
    of `pairwise_divergences`. The stationary distributions are computed without a subtraction, by the elimination of
    Grassmann, Taksar and Heyman.

    References
    ----------
    Z. Rached, F. Alajaji and L. L. Campbell, "The Kullback-Leibler Divergence Rate Between Markov Sources", IEEE
    Transactions on Information Theory 50(5) (2004), 917–921.
    W. K. Grassmann, M. I. Taksar and D. P. Heyman, "Regenerative Analysis and Steady State Distributions for Markov
    Chains", Operations Research 33(5) (1985), 1107–1116.

    Examples
    --------
    >>> from skdiv.models import markov_divergences, transition_matrices
    >>> chains = transition_matrices(["abababba", "aabbaabb", "abbbbbab"], pseudocount=1)
    >>> markov_divergences(chains, base=2).round(3)
    array([[0.   , 0.24 , 0.249],
           [0.262, 0.   , 0.116],
           [0.319, 0.082, 0.   ]])
    """
    kl = resolve("kl")
    chains = as_chains(transition_matrices, stationary)
    measure = ModelMeasure(
        Rates(Measure(kl)), symmetric=False, scale=kl._scale(base), symmetrize=symmetrization(kl, symmetrize)
    )
    nanoseconds = _NANOSECONDS * chains.weights.shape[1] ** 2
    return measure.matrix(chains, side=_SIDE, nanoseconds=nanoseconds, n_jobs=n_jobs)


def transition_matrices(
    sequences: Sequence[Any],
    *,
    states: ArrayLike | None = None,
    pseudocount: float = 0.0,
    absorbing: ArrayLike | None = None,
) -> FloatArray:
    """Estimate the transition matrix of a Markov chain from each sequence of states.

    Parameters
    ----------
    sequences : sequence of array-likes of shape (length,), or of strings
        The states that each chain went through; a string is a sequence of characters.
    states : array-like of shape (n_states,), optional
        The states, in the order of rows and columns; by default all that occur, sorted as by `numpy.unique`.
    pseudocount : float, default=0.0
        The number that is added to the count of every transition: 1 is the choice of Laplace and 0.5 that of Jeffreys.
        It is not added to the transitions from an absorbing state.
    absorbing : array-like of states, optional
        The states in which sequences end and that are never left, such as a purchase. A chain that is in one of them
        stays there with probability 1. `markov_divergences` then needs ``stationary``, see the examples.

    Returns
    -------
    ndarray of shape (n, n_states, n_states)
        Entry [i, a, b] is the share of the transitions to b among those from a in sequence i.

    Raises
    ------
    ValueError
        If a sequence never leaves some state, which is not absorbing, and there is no pseudocount; if an absorbing
        state is left, or is not among the states; or as `transition_counts`.
    TypeError, MemoryError
        As `transition_counts`.

    See Also
    --------
    transition_counts : The counts themselves.
    markov_divergences : Divergences between the chains.

    References
    ----------
    T. W. Anderson and L. A. Goodman, "Statistical Inference about Markov Chains", Annals of Mathematical Statistics
    28(1) (1957), 89–110.
    J. G. Kemeny and J. L. Snell, "Finite Markov Chains", Van Nostrand (1960), chapter 3, for absorbing states.

    Examples
    --------
    >>> from skdiv.models import markov_divergences, transition_counts, transition_matrices
    >>> transition_matrices(["aabab"])
    array([[[0.33333333, 0.66666667],
            [1.        , 0.        ]]])

    Visits that end with a purchase are compared in the steps from all other pages:

    >>> visits = [["home", "item", "item", "buy"], ["home", "item", "home", "item", "buy"]]
    >>> transition_matrices(visits, absorbing=["buy"])[0]  # the states are buy, home and item
    array([[1. , 0. , 0. ],
           [0. , 0. , 1. ],
           [0.5, 0. , 0.5]])
    >>> steps = transition_counts(visits).sum(axis=2)
    >>> chains = transition_matrices(visits, pseudocount=1, absorbing=["buy"])
    >>> markov_divergences(chains, stationary=steps).round(3)
    array([[0.   , 0.099],
           [0.079, 0.   ]])
    """
    added = check_pseudocount(pseudocount)
    counts, names = counted(sequences, states, 0.0)
    ends = places_of_absorbing(absorbing, names, counts)
    counts += added
    counts[:, ends] = np.eye(len(names))[ends]
    totals = counts.sum(axis=2, keepdims=True)
    never = np.argwhere(totals[:, :, 0] == 0)
    if never.size:
        i, a = never[0]
        raise ValueError(
            f"sequences[{i}] never leaves state {names[a].item()!r}, so nothing is known of the transitions from it. "
            f"Pass absorbing=[{names[a].item()!r}] if it is an end that no sequence leaves, else a pseudocount above 0 "
            "(1 is the choice of Laplace)."
        )
    matrices: FloatArray = counts / totals
    return matrices


def transition_counts(
    sequences: Sequence[Any], *, states: ArrayLike | None = None, pseudocount: float = 0.0
) -> FloatArray:
    """Count the transitions between states in each of several sequences.

    Parameters
    ----------
    sequences : sequence of array-likes of shape (length,), or of strings
        The states that each chain went through; a string is a sequence of characters.
    states : array-like of shape (n_states,), optional
        The states, in the order of rows and columns; by default all that occur, sorted as by `numpy.unique`.
    pseudocount : float, default=0.0
        The number that is added to every count.

    Returns
    -------
    ndarray of shape (n, n_states, n_states)
        Entry [i, a, b] is how often b follows a in sequence i, plus the pseudocount.

    Raises
    ------
    ValueError
        If a sequence is not one-dimensional, has a state that is not among ``states``, or there are no states; or if
        the pseudocount is negative or not finite.
    TypeError
        If ``sequences`` is a single string, a frame or a dict, a sequence is masked, or states are of different types.
    MemoryError
        If the counts do not fit into the memory that is left.

    See Also
    --------
    transition_matrices : The counts, divided by their sums over b.

    References
    ----------
    T. W. Anderson and L. A. Goodman, "Statistical Inference about Markov Chains", Annals of Mathematical Statistics
    28(1) (1957), 89–110.

    Examples
    --------
    >>> from skdiv.models import transition_counts
    >>> transition_counts([["sun", "sun", "rain", "sun"], ["rain", "rain"]], states=["sun", "rain"])
    array([[[1., 1.],
            [1., 0.]],
    <BLANKLINE>
           [[0., 0.],
            [0., 1.]]])
    """
    return counted(sequences, states, pseudocount)[0]


# --- The divergence ---


@dataclass(frozen=True)
class Chains:
    """Markov chains over the same states.

    ``weights[i, a]`` is the share of the steps that chain i makes from state a, and ``rows[a, i]`` the distribution of
    the state to which it then goes.
    """

    weights: FloatArray
    rows: FloatArray

    def __len__(self) -> int:
        """Return the number of chains."""
        return len(self.weights)

    def __getitem__(self, some: slice) -> Self:
        """Return some of the chains."""
        return type(self)(self.weights[some], self.rows[:, some])


@dataclass(frozen=True)
class Rates:
    """The function from two blocks of chains to their divergence rates; ``measure`` is that of Kullback-Leibler."""

    measure: Measure

    def __call__(self, P: Chains, Q: Chains) -> FloatArray:
        """Return the sum over states of the weight in P times the divergence of the rows; nothing is added for 0."""
        total = np.zeros((len(P), len(Q)))
        for weights, rows, others in zip(P.weights.T, P.rows, Q.rows, strict=True):
            used = np.flatnonzero(weights)
            if not used.size:
                continue
            values = self.measure(Distributions(rows[used]), Distributions(others))
            total[used] += weights[used, np.newaxis] * values
        return total


def stationary_distributions(matrices: FloatArray) -> FloatArray:
    """Return the stationary distribution of each of several irreducible transition matrices.

    The states are eliminated, the last one first: a visit to the state is replaced by what the chain does after it. All
    steps are sums, products and quotients of positive numbers, so every probability is right relative to itself. Where
    products of transitions underflow, the distribution of a chain is NaN.
    """
    censored = matrices.copy()
    n, n_states, _ = censored.shape
    weights = np.ones((n, n_states))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for state in range(n_states - 1, 0, -1):
            censored[:, :state, state] /= censored[:, state, :state].sum(axis=1)[:, np.newaxis]
            through = censored[:, :state, state, np.newaxis] * censored[:, state, np.newaxis, :state]
            censored[:, :state, :state] += through
        for state in range(1, n_states):
            weights[:, state] = np.einsum("ia,ia->i", weights[:, :state], censored[:, :state, state])
            # Relative to one state the weight of another may overflow, so they are kept relative to the largest.
            weights[:, : state + 1] /= weights[:, : state + 1].max(axis=1, keepdims=True)
    shares: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    # None is 0, and must not become so by underflow: the rate is infinite where the other chain forbids a transition.
    return np.maximum(shares, np.finfo(np.float64).tiny)


# --- Checks ---


def as_chains(transition_matrices: ArrayLike, stationary: ArrayLike | None) -> Chains:
    """Check a user's transition matrices and, where they are given, the weights of the states."""
    states = labels_of_items(transition_matrices, "transition_matrices", what="states")
    its_states = labels_of_items(stationary, "stationary", what="states")
    owners = "transition_matrices", "stationary"
    refuse_other_bins(states, its_states, owners, what="states", can_align=False)
    matrices = as_finite(transition_matrices, "transition_matrices")
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or 0 in matrices.shape:
        raise ValueError(
            f"transition_matrices must be of shape (n, n_states, n_states), but its shape is {matrices.shape}."
        )
    matrices = _normalised(matrices)
    weights = _stationary(matrices) if stationary is None else _given_weights(stationary, matrices.shape[:2])
    return Chains(weights, np.ascontiguousarray(matrices.swapaxes(0, 1)))


def _normalised(matrices: FloatArray) -> FloatArray:
    """Return the matrices with rows that sum to 1 except for rounding, and refuse others."""
    negative = np.argwhere(matrices < 0)
    if negative.size:
        i, a, b = map(int, negative[0])
        raise ValueError(
            f"transition_matrices[{i}, {a}, {b}] = {matrices[i, a, b]}, but a probability must not be negative."
        )
    sums = matrices.sum(axis=2)
    wrong = np.argwhere(np.abs(sums - 1) > _ROUNDING)
    if wrong.size:
        i, a = map(int, wrong[0])
        raise ValueError(
            f"transition_matrices[{i}, {a}], the probabilities from state {a} of chain {i}, sum to {sums[i, a]:.9g} "
            "and must sum to 1. Divide counts by their sums over the last axis; a state that was never left needs a "
            "pseudocount."
        )
    normalised: FloatArray = matrices / sums[:, :, np.newaxis]
    return normalised


def _stationary(matrices: FloatArray) -> FloatArray:
    """Return the stationary distributions of a user's chains, some chains at a time; refuse a reducible chain."""
    for i, matrix in enumerate(matrices):
        _refuse_reducible(matrix, i)
    step = max(1, _CELL // matrices[0].size)
    blocks = [stationary_distributions(matrices[start : start + step]) for start in range(0, len(matrices), step)]
    distributions = np.concatenate(blocks)
    lost = np.flatnonzero(np.isnan(distributions).any(axis=1))
    if lost.size:
        raise ValueError(
            f"transition_matrices[{lost[0]}] has transitions so rare that products of them are 0 in double precision. "
            "Set them to 0 or to larger numbers, or pass the share of steps from each state as stationary."
        )
    return distributions


def _refuse_reducible(matrix: FloatArray, i: int) -> None:
    """Refuse chain i if it does not reach every state from every other; name the states that it stops reaching.

    Of the classes of states that reach each other, at least one is never left: what is outside of it is named.
    """
    possible = sp.csr_array(matrix > 0)
    n_classes, classes = connected_components(possible, directed=True, connection="strong")
    if n_classes == 1:
        return
    origins, targets = possible.nonzero()
    leaving = classes[origins] != classes[targets]
    closed = int(np.setdiff1d(classes, classes[origins[leaving]])[0])
    unreached = np.flatnonzero(classes != closed)
    named = ", ".join(map(str, unreached[:_MOST_NAMED])) + (", …" if unreached.size > _MOST_NAMED else "")
    raise ValueError(
        f"transition_matrices[{i}] is reducible: from state {np.flatnonzero(classes == closed)[0]} it never reaches "
        f"the states [{named}], so it does not visit all states in the long run. Count transitions with a "
        "pseudocount, or pass the steps from each state as stationary, such as "
        "transition_counts(sequences).sum(axis=2), which absorbing states need."
    )


def _given_weights(stationary: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return a user's weights of the states, as shares of one."""
    weights = as_finite(stationary, "stationary")
    if weights.shape != shape:
        raise ValueError(
            f"stationary must hold one row for each chain and one column for each state, {shape}, but its shape is "
            f"{weights.shape}."
        )
    largest = weights.max(axis=1, keepdims=True)
    bad = np.argwhere((weights < 0) | (largest == 0))
    if bad.size:
        i, a = map(int, bad[0])
        raise ValueError(
            f"stationary[{i}, {a}] = {weights[i, a]}, but the weights of the states must not be negative, and some "
            "weight of each chain must be above 0."
        )
    relative = weights / largest  # Their sum does not overflow.
    shares: FloatArray = relative / relative.sum(axis=1, keepdims=True)
    return shares
