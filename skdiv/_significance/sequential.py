"""The p-value of an observed height among drawn ones, of which no more are drawn than the decision needs.

Under the hypothesis the observed height and those that are drawn are exchangeable. Let S be the number of the first d
drawn heights that reach the observed one. Drawing ends

- when none of the first e has reached it, where e is the lowest number for which such luck has a probability of half
  the level: so clear a split needs no more;
- when h have reached it: nothing is left to find (J. Besag and P. Clifford, "Sequential Monte Carlo p-values",
  Biometrika 78, 1991);
- after n.

Outcomes in this order, the last of the second kind first, and those of the third by S, are from the most to the least
extreme, and the p-value is the probability of one that is as extreme or more. It is exact, for any n:

    P(none of the first e, or S ≤ k) = (k + 1)/(d + 1) + C(d − e, k + 1) / C(d + 1, k + 1) / (e + 1).

The first part is the probability of S ≤ k. The second is that of S > k and none of the first e: the k + 1 highest of
the d + 1 heights are then all among the last d − e, and the observed height is the highest of it and the first e. Where
heights are equal, more of them count as reaching the observed one, which can only raise the p-value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from skdiv._utils.typing import FloatArray

_TIE = 1e-9  # relative: heights so close are taken as equal, for rounding may have made them differ
_ROUNDING = 1e-12  # relative: a p-value so close to a level is at the level
_NEGLIGIBLE = 1e-20


def is_significant(pvalue: float, level: float) -> bool:
    """Return whether a p-value is at or below a level."""
    return pvalue <= level * (1 + _ROUNDING)


@dataclass(frozen=True)
class SequentialTest:
    """A test at a level, with up to ``n_most`` heights drawn under the hypothesis."""

    level: float
    n_most: int

    @classmethod
    def at(cls, level: float, n_resamples: int) -> SequentialTest:
        """Return the test with ``n_resamples`` heights, or as many more as any p-value at the level needs."""
        return cls(level, max(n_resamples, math.ceil(1 / level) - 1))

    @property
    def n_early(self) -> int:
        """Return e: if none of so many heights reaches the observed one, no more are drawn; at most ``n_most``."""
        return min(self.n_most, math.ceil(2 / self.level) - 1)

    @property
    def n_reached(self) -> int:
        """Return h, the number of heights as high as the observed one with which no p-value is at the level."""
        low, high = 1, max(1, math.floor(self.level * (self.n_most + 1) * (1 + _ROUNDING)))
        while low < high:  # The p-value rises with the number.
            middle = (low + high) // 2
            if is_significant(self._probability(self.n_most, middle), self.level):
                low = middle + 1
            else:
                high = middle
        return low

    def pvalue(self, height: float, parts: Iterable[FloatArray]) -> float:
        """Return the p-value of an observed height; ``parts`` are the drawn heights, some at a time, as far as needed.

        Heights that are drawn in a part, but after the end of the test, do not count.
        """
        reached, drawn, n_reached, n_early = 0, 0, self.n_reached, self.n_early
        for part in parts:
            counts = reached + np.cumsum(part >= height * (1 - _TIE))
            if reached == 0 and drawn < n_early <= drawn + len(part) and counts[n_early - drawn - 1] == 0:
                return 1 / (n_early + 1)
            if counts[-1] >= n_reached:
                return self._probability(drawn + int(np.argmax(counts >= n_reached)), n_reached - 1)
            reached, drawn = int(counts[-1]), drawn + len(part)
        return self._probability(drawn, reached)

    def _probability(self, drawn: int, reached: int) -> float:
        """Return the probability that none of the first e heights reaches the observed one, or few of so many do.

        Few are ``reached`` at the most; before e are drawn it is the probability of that alone.
        """
        if drawn <= self.n_early:
            return (reached + 1) / (drawn + 1)
        both = 1 / (self.n_early + 1)
        for k in range(reached + 1):
            both *= (drawn - self.n_early - k) / (drawn + 1 - k)
            if both < _NEGLIGIBLE:
                break
        return (reached + 1) / (drawn + 1) + both
