"""Divergence rates of Markov chains: 50-digit arithmetic, all paths by brute force, and a long simulation."""

from itertools import pairwise, product

import mpmath
import numpy as np
import pandas as pd
import pytest
from mpmath import mp
from oracle import DIGITS, kl, relative_error
from scipy.special import rel_entr

from skdiv import pairwise_divergences
from skdiv.models import _markov, markov_divergences, transition_counts, transition_matrices


def chains(n=4, n_states=3, seed=0, near=0.0, zeros=0.0):
    """Transition matrices at random; with ``near`` they differ from the first one by that share."""
    rng = np.random.default_rng(seed)
    matrices = rng.dirichlet(np.ones(n_states), (n, n_states))
    if near:
        matrices = matrices[0] * (1 + near * rng.random((n, n_states, n_states)))
    matrices[:, rng.random((n_states, n_states)) < zeros] = 0
    matrices += np.eye(n_states) * zeros + np.roll(np.eye(n_states), 1, axis=1) * zeros  # all states are reached
    return matrices / matrices.sum(axis=2, keepdims=True)


def exact(P, Q):
    """The sum of π(a) KL(P[a] ‖ Q[a]) in 50-digit arithmetic, with π from a system of linear equations."""
    with mp.workdps(DIGITS):
        P, Q = ([[mpmath.mpf(float(x)) for x in row] for row in matrix] for matrix in (P, Q))
        P, Q = ([[x / mpmath.fsum(row) for x in row] for row in matrix] for matrix in (P, Q))
        k = len(P)
        equations = mpmath.matrix(P).T - mpmath.eye(k)
        equations[k - 1, :] = mpmath.ones(1, k)
        weights = mpmath.lu_solve(equations, mpmath.matrix([0] * (k - 1) + [1]))
        return mpmath.fsum(weight * kl(p, q) for weight, p, q in zip(weights, P, Q, strict=True))


@pytest.mark.parametrize("near", [0, 1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("zeros", [0, 0.3])
def test_the_rates_agree_with_50_digit_arithmetic_also_between_near_chains(near, zeros):
    matrices = chains(near=near, zeros=zeros)
    D = markov_divergences(matrices)
    for i, j in [(0, 1), (1, 0), (2, 3), (3, 1)]:
        truth = exact(matrices[i], matrices[j])
        assert relative_error(D[i, j], truth) < 1e-9 + 1e-15 / float(mpmath.sqrt(truth))


def test_the_rate_is_what_one_more_step_adds_to_the_divergence_of_all_paths():
    P, Q = chains(n=2)
    (start,) = _markov.stationary_distributions(P[np.newaxis])

    def divergence(length):
        total = 0.0
        for path in product(range(3), repeat=length):
            steps = list(pairwise(path))
            p = start[path[0]] * np.prod([P[step] for step in steps])
            total += p * np.log(p / (start[path[0]] * np.prod([Q[step] for step in steps])))
        return total

    D = markov_divergences([P, Q])
    assert divergence(5) - divergence(4) == pytest.approx(D[0, 1], rel=1e-10)


def test_a_long_simulation_gives_the_rate_within_its_standard_error():
    P, Q = chains(n=2, seed=3)
    rng = np.random.default_rng(0)
    n_walks, n_steps = 400, 500
    state, total = np.zeros(n_walks, dtype=int), np.zeros(n_walks)
    cumulative = P.cumsum(axis=1)
    for _ in range(n_steps):
        following = (rng.random((n_walks, 1)) > cumulative[state]).sum(axis=1)
        total += np.log(P[state, following] / Q[state, following])
        state = following
    rates = total / n_steps
    error = rates.std(ddof=1) / np.sqrt(n_walks)
    start = 5 / n_steps  # The walks do not start in the stationary distribution.
    assert abs(rates.mean() - markov_divergences([P, Q])[0, 1]) < 4 * error + start
    assert error < 0.01


def test_chains_without_memory_have_the_divergence_of_their_rows():
    p = np.random.default_rng(0).dirichlet(np.ones(6), 5)
    matrices = np.repeat(p[:, np.newaxis], 6, axis=1)
    np.testing.assert_allclose(markov_divergences(matrices), pairwise_divergences(p, metric="kl"), rtol=1e-12)


def test_stationary_distributions_are_right_relative_to_each_probability():
    """A state that is entered once in 1e20 steps; eigenvectors would lose it."""
    P = np.array([[0.5, 0.5, 1e-20], [0.25, 0.75, 0], [0.5, 0.5, 0]])
    (weights,) = _markov.stationary_distributions(P[np.newaxis])
    np.testing.assert_allclose(weights, [1 / 3, 2 / 3, 1e-20 / 3], rtol=1e-14)


def test_a_chain_that_visits_its_states_in_turn_has_a_rate():
    """It has no limit, being periodic, but a stationary distribution."""
    turn = np.array([[0.0, 1.0], [1.0, 0.0]])
    fair = np.full((2, 2), 0.5)
    np.testing.assert_allclose(markov_divergences([turn, fair]), [[0, np.log(2)], [np.inf, 0]])


def test_equal_chains_are_at_exactly_zero_and_none_is_below():
    matrices = chains(near=1e-15)
    D = markov_divergences(np.concatenate([matrices, matrices]))
    assert (D >= 0).all()
    assert (np.diagonal(D[:4, 4:]) == 0).all()


def test_a_forbidden_transition_gives_infinity_in_one_direction():
    allowed, forbidden = np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    D = markov_divergences([allowed, forbidden])
    assert D[0, 1] == np.inf
    assert 0 < D[1, 0] < np.inf


def test_a_transition_from_a_state_that_is_hardly_ever_visited_may_be_forbidden():
    """The share of the last state, 1e-400, is 0 in double precision, but the state is visited."""
    rare = np.array([[1, 1e-200, 0], [1, 0, 1e-200], [0.5, 0.5, 0]])
    other = np.vstack([rare[:2], [1, 0, 0]])
    rates = markov_divergences([rare, other])
    assert rates[0, 1] == np.inf
    assert rates[1, 0] < 1e-300


def test_given_weights_of_states_replace_the_stationary_ones():
    matrices = chains()
    expected = markov_divergences(matrices)
    weights = _markov.stationary_distributions(matrices)
    np.testing.assert_allclose(markov_divergences(matrices, stationary=weights * 7), expected, rtol=1e-12)
    reducible = [[[1, 0], [0.5, 0.5]], [[0.5, 0.5], [0, 1]]]
    rates = markov_divergences(reducible, stationary=[[3, 0], [0, 1]])  # A state without weight may be infinitely far.
    np.testing.assert_allclose(rates, np.log([[1, 2], [2, 1]]))


@pytest.mark.exhaustive
def test_float32_matrices_are_taken_for_rounded_ones():
    matrices = chains()
    np.testing.assert_allclose(markov_divergences(matrices.astype(np.float32)), markov_divergences(matrices), rtol=1e-5)


# --- What is refused -------------------------------------------------------------------------------------------------

FAIR = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ([FAIR, [[0.5, 0.5], [1, 0.1]]], r"transition_matrices\[1, 1\].*from state 1 of chain 1, sum to 1.1"),
        ([FAIR, [[0.5, 0.5], [0, 0]]], r"transition_matrices\[1, 1\].*sum to 0 .*pseudocount"),
        ([FAIR, [[1.5, -0.5], [0, 1]]], r"transition_matrices\[1, 0, 1\] = -0.5"),
        ([FAIR, [[0.5, 0.5], [np.nan, 1]]], r"transition_matrices\[1, 1, 0\] = nan"),
        (FAIR, r"must be of shape \(n, n_states, n_states\), but its shape is \(2, 2\)"),
        ([[[1, 0], [0.5, 0.5]]], r"transition_matrices\[0\] is reducible: from state 0 it never reaches .*\[1\]"),
        ([FAIR, [[1, 0], [0, 1]]], r"transition_matrices\[1\] is reducible: from state 0 it never reaches .*\[1\]"),
        (
            [[[0, 1, 0, 0], [1, 0, 0, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]]],
            r"from state 0 it never reaches the states \[2, 3\].*pseudocount.*stationary",
        ),
    ],
)
def test_bad_chains_are_refused_by_name(matrices, message):
    with pytest.raises(ValueError, match=message):
        markov_divergences(matrices)


@pytest.mark.parametrize(
    ("stationary", "message"),
    [
        ([1, 1], r"stationary must hold one row for each chain.*\(2,\)"),
        ([[1, -1]], r"stationary\[0, 1\] = -1.0"),
        ([[0, 0]], r"stationary\[0, 0\] = 0.0.*some weight"),
    ],
)
def test_bad_weights_of_states_are_refused_by_name(stationary, message):
    with pytest.raises(ValueError, match=message):
        markov_divergences([FAIR], stationary=stationary)


# --- Sequences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert", [list, np.array, pd.Series, lambda s: pd.Series(s, dtype="category"), "".join, tuple]
)
def test_transitions_are_counted_in_sequences_of_every_kind(convert):
    rng = np.random.default_rng(0)
    sequences = [list(rng.choice(list("abc"), size)) for size in (50, 2, 1, 80)]
    counts = transition_counts([convert([str(s) for s in sequence]) for sequence in sequences], pseudocount=0.5)
    expected = np.full((4, 3, 3), 0.5)
    for i, sequence in enumerate(sequences):
        for a, b in pairwise(sequence):
            expected[i, "abc".index(a), "abc".index(b)] += 1
    np.testing.assert_array_equal(counts, expected)


def test_states_set_the_order_and_may_be_integers():
    np.testing.assert_array_equal(
        transition_counts([[7, 7, 3]], states=[7, 3, 9])[0], [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    )
    np.testing.assert_array_equal(transition_counts([[7, 7, 3], []]), [[[0, 0], [1, 1]], np.zeros((2, 2))])


def test_estimated_matrices_find_the_chain_again():
    P = chains(n=1, seed=5)[0]
    rng = np.random.default_rng(0)
    walk = [0]
    for _ in range(20_000):
        walk.append(rng.choice(3, p=P[walk[-1]]))
    (estimated,) = transition_matrices([walk])
    np.testing.assert_allclose(estimated, P, atol=0.03)


def test_a_pseudocount_makes_every_transition_possible():
    matrices = transition_matrices(["aab", "bba"], pseudocount=1)
    np.testing.assert_allclose(matrices[0], [[0.5, 0.5], [0.5, 0.5]])
    assert np.isfinite(markov_divergences(matrices)).all()


@pytest.mark.parametrize(
    ("sequences", "options", "error", "message"),
    [
        ("abc", {}, TypeError, "a single string"),
        (["aba", "aab"], {}, ValueError, r"sequences\[1\] never leaves state 'b'.*pseudocount"),
        ([[1, 2, 1], [1, 5, 1]], {"states": [1, 2]}, ValueError, r"sequences\[1\]\[1\] = 5 is not among the states"),
        (["ab"], {"states": ["a", "a"]}, ValueError, "'a' twice"),
        (["ab"], {"states": []}, ValueError, "states must hold each state once, but it is empty"),
        ([[1, 2]], {"states": ["a"]}, TypeError, "strings and others numbers"),
        ([[1, 2], "ab"], {}, TypeError, "strings and others numbers"),
        ([[1, "a"]], {}, TypeError, r"sequences\[0\] has states of different types, int, str"),
        ([1, 2], {}, ValueError, r"sequences\[0\] must be a sequence of states"),
        ([[[1, 2]]], {}, ValueError, r"sequences\[0\] must be a sequence of states, but its shape is \(1, 2\)"),
        ([[1.0, np.nan]], {}, ValueError, r"sequences\[0\]\[1\] is NaN"),
        ([[1j, 2j]], {}, TypeError, r"sequences\[0\] must hold integers or strings"),
        ([], {}, ValueError, "no state"),
        ([[]], {}, ValueError, "no state"),
        (["ab"], {"pseudocount": -1}, ValueError, "pseudocount"),
    ],
)
def test_bad_sequences_are_refused_by_name(sequences, options, error, message):
    with pytest.raises(error, match=message):
        transition_matrices(sequences, **options)


# --- Rare states and odd input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("up", [1e-3, 1 - 1e-3])
def test_a_long_walk_with_a_drift_has_its_rate(up):
    """A state at the other end has a probability of about 1e-600, which underflows; weights relative to it overflow."""
    n_states = 200
    walk = np.diag(np.full(n_states - 1, up), 1) + np.diag(np.full(n_states - 1, 1 - up), -1)
    walk[0, 0], walk[-1, -1] = 1 - up, up
    lazy = 0.5 * walk + 0.5 * np.eye(n_states)
    D = markov_divergences([lazy, walk, np.full((n_states, n_states), 1 / n_states)])
    assert np.isinf(D[0, 1])  # the lazy walk rests in a state, which the other one does not
    assert np.isfinite(D[:, 2]).all()
    entropy = -up * np.log(up) - (1 - up) * np.log1p(-up)
    assert D[1, 2] == pytest.approx(np.log(n_states) - entropy, rel=1e-12)


def test_a_chain_whose_transitions_underflow_is_refused():
    e = 1e-200
    with pytest.raises(ValueError, match=r"transition_matrices\[1\] has transitions so rare .* stationary"):
        markov_divergences([np.full((3, 3), 1 / 3), [[0.5, 0.5, 0], [0, 1 - e, e], [e, 1 - e, 0]]])


def test_weights_of_states_of_any_size_are_divided_by_their_sum():
    chains = [[[0.5, 0.5], [0.5, 0.5]], [[0.1, 0.9], [0.5, 0.5]]]
    expected = markov_divergences(chains, stationary=[[1, 1], [1, 1]])
    assert expected[0, 1] > 0
    for weight in (1.5e308, 5e-324):
        np.testing.assert_array_equal(markov_divergences(chains, stationary=np.full((2, 2), weight)), expected)


@pytest.mark.parametrize("sequences", [pd.DataFrame({"aab": [1, 2, 1]}), {"ann": [1, 2, 1]}])
def test_a_frame_or_a_dict_of_sequences_is_refused_with_a_remedy(sequences):
    """Python goes through the names in them, whose letters would be counted as states."""
    with pytest.raises(TypeError, match=r"sequences is a (DataFrame|dict).*names.*list"):
        transition_counts(sequences)


def test_a_mask_is_not_ignored():
    with pytest.raises(TypeError, match=r"sequences\[1\] is a masked array"):
        transition_counts([[1, 2], np.ma.array([1, 2, 3], mask=[0, 1, 0])])


def test_more_states_than_memory_are_refused_before_the_count():
    with pytest.raises(MemoryError, match=r"300000 states.*Count fewer"):
        transition_counts([np.arange(300_000)])


# --- Ends ------------------------------------------------------------------------------------------------------------

JOURNEYS = [
    ["start", "a", "b", "buy"],
    ["start", "a", "a", "b", "b", "buy"],
    ["start", "a", "b", "a", "b", "buy", "buy"],
]


def test_each_remedy_for_a_state_that_is_never_left_works():
    with pytest.raises(ValueError, match=r"never leaves state 'buy'.*absorbing=\['buy'\].*pseudocount"):
        transition_matrices(JOURNEYS)
    matrices = transition_matrices(JOURNEYS, absorbing=["buy"])
    np.testing.assert_array_equal(matrices[:, 2], np.tile([0, 0, 1, 0], (3, 1)))  # a, b, buy, start
    np.testing.assert_allclose(matrices[1], [[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 1, 0], [1, 0, 0, 0]])
    assert (transition_matrices(JOURNEYS, pseudocount=1) > 0).all()


def test_each_remedy_for_chains_with_an_end_works():
    matrices = transition_matrices(JOURNEYS, absorbing=["buy"])
    with pytest.raises(ValueError, match=r"stationary, such as transition_counts\(sequences\)\.sum\(axis=2\)"):
        markov_divergences(matrices)
    steps = transition_counts(JOURNEYS).sum(axis=2)
    rates = markov_divergences(matrices, stationary=steps)
    assert rates[0, 1] == pytest.approx(2 / 3 * np.log(2))  # a to b and b to buy: half as likely in the second chain
    assert rates[1, 0] == np.inf
    assert np.isfinite(markov_divergences(transition_matrices(JOURNEYS, pseudocount=1))).all()


def test_a_pseudocount_invents_no_return_from_an_end():
    matrices = transition_matrices(JOURNEYS, pseudocount=1, absorbing=["buy"])
    np.testing.assert_array_equal(matrices[:, 2], np.tile([0, 0, 1, 0], (3, 1)))
    assert (np.delete(matrices, 2, axis=1) > 0).all()


@pytest.mark.parametrize(
    ("absorbing", "error", "message"),
    [
        ("buy", TypeError, r"absorbing = 'buy' is a string; pass a list of states, as \['buy'\]"),
        (["sell"], ValueError, "absorbing has 'sell', which is not among the states"),
        (["buy", "b"], ValueError, r"sequences\[0\] leaves state 'b', so it is not absorbing"),
        ([1], TypeError, "strings and others numbers"),
    ],
)
def test_bad_ends_are_refused_by_name(absorbing, error, message):
    with pytest.raises(error, match=message):
        transition_matrices(JOURNEYS, absorbing=absorbing)


def test_a_state_from_which_no_chain_makes_a_step_adds_nothing():
    visits = [["home", "item", "item", "buy"], ["home", "item", "home", "item", "buy"]]
    steps = transition_counts(visits).sum(axis=2)  # none from buy
    matrices = transition_matrices(visits, pseudocount=1, absorbing=["buy"])
    shares = steps / steps.sum(axis=1, keepdims=True)
    expected = [[(shares[i] * rel_entr(p, q).sum(axis=1)).sum() for q in matrices] for i, p in enumerate(matrices)]
    np.testing.assert_allclose(markov_divergences(matrices, stationary=steps), expected, rtol=1e-12)
