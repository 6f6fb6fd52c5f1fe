"""The p-value of a test that ends early is exact: all outcomes, with their probabilities, by Pólya's urn."""

from fractions import Fraction

import numpy as np
import pytest

from skdiv._significance.sequential import SequentialTest, is_significant


def outcomes(test):
    """The p-value of each course that the drawing may take, and its probability under the hypothesis.

    Of d exchangeable heights and the observed one, S reach it; the next does so with the probability (S + 1) / (d + 2).
    Each course is put through the test itself.
    """
    courses, ended = {(): Fraction(1)}, {}
    for drawn in range(test.n_most):
        longer = {}
        for course, probability in courses.items():
            reaches = Fraction(sum(course) + 1, drawn + 2)
            for hit, share in ((1, reaches), (0, 1 - reaches)):
                new = (*course, hit)
                if end_of(test, new) == len(new):
                    pvalue = test.pvalue(0.5, [np.array(new, dtype=float)])
                    ended[pvalue] = ended.get(pvalue, 0) + probability * share
                else:
                    longer[new] = longer.get(new, 0) + probability * share
        courses = longer
    assert not courses
    return ended


def end_of(test, course):
    """How many heights the test asks for, if they are drawn one by one."""
    asked = []
    heights = (asked.append(1) or np.array([float(hit)]) for hit in (*course, *[2.0] * (test.n_most - len(course))))
    test.pvalue(0.5, heights)
    return len(asked)


@pytest.mark.parametrize(("level", "n_resamples"), [(0.5, 12), (0.34, 11), (0.2, 14), (0.1, 9), (0.15, 3), (0.99, 8)])
def test_the_pvalue_is_the_probability_of_one_as_low(level, n_resamples):
    test = SequentialTest.at(level, n_resamples)
    ended = outcomes(test)
    assert sum(ended.values()) == 1
    below = Fraction(0)
    for pvalue in sorted(ended):
        below += ended[pvalue]
        assert float(below) == pytest.approx(pvalue, rel=1e-12)
    rejected = sum(share for pvalue, share in ended.items() if is_significant(pvalue, level))
    assert level / 2 < rejected <= level * (1 + 1e-12)


def urn(test):
    """The same for more heights than courses can be listed: the number S alone is followed."""
    states, ended = {0: Fraction(1)}, {}
    for drawn in range(1, test.n_most + 1):
        new = {}
        for reached, probability in states.items():
            reaches = Fraction(reached + 1, drawn + 1)
            for after, share in ((reached + 1, probability * reaches), (reached, probability * (1 - reaches))):
                if after == test.n_reached or (after == 0 and drawn == test.n_early) or drawn == test.n_most:
                    heights = np.zeros(drawn)
                    heights[:after] = 1
                    if after == test.n_reached:  # The last of these ends the test.
                        heights[[after - 1, -1]] = heights[[-1, after - 1]]
                    pvalue = test.pvalue(0.5, [heights])
                    ended[pvalue] = ended.get(pvalue, 0) + share
                else:
                    new[after] = new.get(after, 0) + share
        states = new
    return ended


@pytest.mark.parametrize(("level", "n_resamples"), [(0.05, 199), (0.05, 39), (0.05, 19), (0.01, 150), (0.003, 99)])
def test_the_level_is_kept_and_hardly_any_of_it_is_lost(level, n_resamples):
    test = SequentialTest.at(level, n_resamples)
    ended = urn(test)
    rejected = sum(share for pvalue, share in ended.items() if is_significant(pvalue, level))
    assert 0.99 * level < rejected <= level * (1 + 1e-12)


def test_drawing_ends_as_soon_as_nothing_else_can_come_of_it():
    test = SequentialTest.at(0.05, 999)
    asked = []
    assert test.pvalue(1.0, (asked.append(1) or np.zeros(1) for _ in range(999))) == 1 / 40
    assert len(asked) == 39
    asked = []
    assert test.pvalue(0.0, (asked.append(1) or np.ones(1) for _ in range(999))) == 1
    assert len(asked) == test.n_reached == 46  # of all 999 fewer than that may be as high, for a p-value of 0.05
    assert not is_significant(46 / 900, 0.05)


def test_parts_of_any_size_give_the_same_pvalue():
    rng = np.random.default_rng(0)
    for level in (0.05, 0.02, 0.3):
        test = SequentialTest.at(level, 199)
        for height in (0.2, 0.9, 0.96, 0.99, 1.1):
            heights = rng.random(test.n_most)
            expected = test.pvalue(height, iter(heights[:, np.newaxis]))
            for size in (7, test.n_early, test.n_most):
                parts = [heights[start : start + size] for start in range(0, len(heights), size)]
                assert test.pvalue(height, parts) == expected


def test_heights_that_differ_by_rounding_are_equal():
    assert SequentialTest.at(0.5, 9).pvalue(1.0, [np.full(9, 1 - 1e-12)]) == 1


def test_a_level_gets_as_many_heights_as_it_needs():
    assert SequentialTest.at(0.05, 99).n_most == 99
    assert SequentialTest.at(0.001, 99).n_most == 999
    assert SequentialTest.at(1e-300, 99).n_reached == 1
