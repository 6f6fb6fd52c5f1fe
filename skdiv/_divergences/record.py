"""The record of a divergence, from which everything that the library knows about a divergence is derived."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from skdiv._divergences.forms import PairForm, ProductForm, identity, root
from skdiv._divergences.spectra import Spectrum
from skdiv._divergences.terms import Term
from skdiv._input.checks import MatrixLike
from skdiv._input.distributions import as_distribution
from skdiv._input.names import labels_of_distribution, refuse_other_bins
from skdiv._utils.typing import FloatArray

_EXAMPLES = np.array([[0.1, 0.2, 0.3, 0.4], [0.68, 0.1, 0.12, 0.1]])  # two distributions for the checks of a record
_ROUNDING = 1e-7  # the root of the rounding error of a sum of terms, which may be a value between equal distributions


@dataclass(frozen=True, repr=False)
class Divergence:
    """A divergence between distributions, with the facts the library relies on.

    Only the first three parameters are needed for a divergence of one's own, which then works wherever a name does.
    A record is callable on two vectors, so it also serves as ``metric=`` of tools that take a callable.

    Parameters
    ----------
    name : str
        The name, as it appears in messages.
    term : callable
        ``term(p, q)`` returns what one bin adds to the sum. It gets arrays of probabilities that broadcast, and must
        return 0 where p = q = 0, as `scipy.special.rel_entr` and ``xlogy`` do. For a result that is accurate between
        near duplicates it should be non-negative.
    symmetric : bool
        Whether D(p ‖ q) = D(q ‖ p). Of the matrix of a collection with itself one half is then computed and mirrored.
    finish : callable, optional
        The function from the sum of terms to the value in nats; the identity by default.
    metric : bool, default=False
        Whether it is a metric in the mathematical sense: symmetric, 0 for equal distributions only, and D(p ‖ r) is at
        most D(p ‖ q) + D(q ‖ r).
    hilbertian : bool, default=False
        Whether each distribution can be taken for a point of one Hilbert space such that D(p ‖ q) is the Euclidean
        distance of the points of p and q. Ward linkage needs that.
    bound : float, default=inf
        The least upper bound, in nats.
    base_exponent : float, optional
        The value in another base is the value in nats / ln(base)**base_exponent. The exponent is 1 for an amount of
        information, and ½ for the root of one. None if the divergence has no unit; a base is then an error.
    definition, reference : str
        The formula and its sources, authors and year, separated by semicolons, for tables and documentation.
    aliases : tuple of str
        Further accepted names.
    rows : callable, optional
        ``rows(p, q)`` returns the values in nats along the last axis, for a divergence whose sum of terms would
        overflow or cancel; by default that is ``finish(term(p, q).sum(axis=-1))``.
    fast : ProductForm or PairForm, optional
        A faster form for matrices. It is exact to a few 1e-15; smaller results are computed again from ``term``. A
        record made by `dataclasses.replace` with another ``term`` or ``finish`` needs ``fast=None`` and ``rows=None``,
        or forms of its own.
    spectra : tuple of Spectrum, default=()
        Features of the bins whose squared Euclidean distances are or approximate the sum of terms, from the coarsest
        to the finest.

    Attributes
    ----------
    infinite_off_support : bool
        Whether D(p ‖ q) is infinite as soon as q = 0 where p > 0; the term is asked for that.

    Raises
    ------
    ValueError
        If the term does not work on arrays or is not 0 for an empty bin, or if on two examples the divergence is
        negative, not 0 for equal distributions, not symmetric although it is declared so, or not what ``rows`` or
        ``fast`` gives.

    See Also
    --------
    divergences : The records of the divergences that have names.
    renyi : The record of the Rényi divergence of any order.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiv import Divergence, divergences, pairwise_divergences
    >>> kl = divergences()["kl"]
    >>> round(kl([0.1, 0.4, 0.5], [0.8, 0.15, 0.05], base=2), 3)
    1.927
    >>> def term(p, q):
    ...     return (p - q) ** 2
    >>> squared_euclidean = Divergence(name="squared_euclidean", term=term, symmetric=True, bound=2.0)
    >>> pairwise_divergences([[1, 0], [1, 1]], metric=squared_euclidean)
    array([[0. , 0.5],
           [0.5, 0. ]])
    """

    name: str
    term: Term
    symmetric: bool
    finish: Callable[[FloatArray], FloatArray] = identity
    metric: bool = False
    hilbertian: bool = False
    bound: float = math.inf
    base_exponent: float | None = None
    definition: str = ""
    reference: str = ""
    aliases: tuple[str, ...] = ()
    rows: Callable[[FloatArray, FloatArray], FloatArray] | None = None
    fast: ProductForm | PairForm | None = None
    spectra: tuple[Spectrum, ...] = ()
    infinite_off_support: bool = field(init=False)

    def __repr__(self) -> str:
        """Return the name, the formula and the facts, for a reader."""
        formula = f": {self.definition}" if self.definition else ""
        return f"<Divergence {self.name!r}{formula}; {', '.join(self._facts())}>"

    def _facts(self) -> list[str]:
        """Return the properties of the divergence, in a few words each, for its repr."""
        facts = {"symmetric": self.symmetric, "metric": self.metric, "Hilbertian": self.hilbertian}
        known = [fact for fact, holds in facts.items() if holds] or ["not symmetric"]
        return [*known, "unbounded" if math.isinf(self.bound) else f"at most {self.bound:.4g}"]

    def __post_init__(self) -> None:
        """Refuse facts that contradict each other or the term, and find out whether the divergence may be infinite."""
        if (self.hilbertian and not self.metric) or (self.metric and not self.symmetric):
            raise ValueError(f"Divergence {self.name!r}: what is Hilbertian is a metric, and a metric is symmetric.")
        self._check_term()
        with np.errstate(all="ignore"):
            pole = self.term(np.array([0.5]), np.array([0.0]))
        object.__setattr__(self, "infinite_off_support", bool(np.isinf(pole).any()))
        self._check_examples()

    def __call__(self, p: MatrixLike, q: MatrixLike, base: float | None = None) -> float:
        """Return D(p ‖ q) for two vectors of non-negative weights, each of which is divided by its sum.

        Parameters
        ----------
        p, q : array-like of shape (n_bins,), or one row of a sparse matrix or of a frame
            Probabilities or counts.
        base : float, optional
            Base of the logarithm; nats by default.

        Returns
        -------
        float
            The divergence.

        Raises
        ------
        ValueError
            If a vector is not a distribution, the lengths differ, or the divergence has no base; or if both have
            names of bins, as a Series has, and these differ.
        """
        scale = self._scale(base)
        refuse_other_bins(labels_of_distribution(p), labels_of_distribution(q), ("p", "q"))
        p_row, q_row = as_distribution(p, "p"), as_distribution(q, "q")
        if p_row.shape != q_row.shape:
            raise ValueError(
                f"p and q must be of one length, but p has {p_row.shape[1]} bins and q has {q_row.shape[1]}."
            )
        return float(self._of_rows(p_row, q_row)[0] / scale)

    def _check_term(self) -> None:
        """Refuse a term that fails on arrays, sums over the bins itself, or is not 0 for an empty bin."""
        p, q = np.array([[[0.5, 0.0]], [[0.5, 0.5]]]), np.array([[[0.25, 0.0], [0.75, 0.0], [0.0, 1.0]]])
        advice = (
            "term(p, q) must return what each bin adds to the sum, for arrays that broadcast, and must not sum itself"
        )
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(self.term(p, q))
        except (TypeError, ValueError) as error:
            raise ValueError(f"Divergence {self.name!r}: {advice}; it fails on arrays: {error}") from error
        if values.shape != (2, 3, 2):
            raise ValueError(
                f"Divergence {self.name!r}: {advice}; for shapes (2, 1, 2), (1, 3, 2) it gives {values.shape}."
            )
        if values[0, 0, 1] != 0:
            raise ValueError(
                f"Divergence {self.name!r}: term(0, 0) is {values[0, 0, 1]} and must be 0, for an empty bin adds "
                "nothing; scipy.special.xlogy and rel_entr take 0 ln 0 as 0."
            )

    def _check_examples(self) -> None:
        """Refuse what is no divergence of two examples, or is not symmetric as declared, or has forms that disagree."""
        p, q = _EXAMPLES[[0, 1, 0, 1]], _EXAMPLES[[1, 0, 0, 1]]
        values = self._of_rows(p, q)
        (forth, back, same, same_q), examples = values, f"p = {p[0].tolist()}, q = {q[0].tolist()}"
        if max(abs(same), abs(same_q)) > _ROUNDING:
            raise ValueError(
                f"Divergence {self.name!r} must be 0 for equal distributions, but D(p ‖ p) = {same} and D(q ‖ q) = "
                f"{same_q} for {examples}. If its term s(p, q) is a similarity that sums to 1 for equal distributions, "
                "pass the term (p + q) / 2 - s(p, q) instead."
            )
        if min(forth, back) < -_ROUNDING:
            raise ValueError(
                f"Divergence {self.name!r} must not be negative, but D(p ‖ q) = {forth} and D(q ‖ p) = {back} for "
                f"{examples}. Pass a term whose sum is 0 for equal distributions and positive for others."
            )
        if self.symmetric and not np.isclose(forth, back, rtol=1e-9, atol=1e-12):
            raise ValueError(
                f"Divergence {self.name!r} is declared symmetric, but its term gives D(p ‖ q) = {forth} and "
                f"D(q ‖ p) = {back} for {examples}. Pass symmetric=False."
            )
        with np.errstate(all="ignore"):
            if self.rows is not None:
                self._refuse_other("rows", values, self.finish(self.term(p, q).sum(axis=-1)), 1e-12)
            if self.fast is not None:
                error = (1e-13 * self.fast.conditioning) ** self.fast.power
                self._refuse_other("fast", self.fast.of_rows(p, q), values, error)

    def _refuse_other(self, form: str, of_form: FloatArray, values: FloatArray, error: float) -> None:
        """Refuse a form of the divergence that gives other values; those that are not finite have overflowed."""
        for k in (0, 1):
            known = np.isfinite(of_form[k]) and np.isfinite(values[k])
            if known and not np.isclose(of_form[k], values[k], rtol=1e-6, atol=error):
                raise ValueError(
                    f"Divergence {self.name!r}: {form} gives {of_form[k]} where the terms give {values[k]}. A record "
                    f"made by dataclasses.replace keeps the forms of the other record; pass {form}=None with a new "
                    "term or finish."
                )

    def _of_rows(self, p: FloatArray, q: FloatArray) -> FloatArray:
        """Return D(p ‖ q) in nats along the last axis of arrays of normalised rows, accurately, from all the terms.

        Parameters
        ----------
        p, q : ndarray of shape (..., n_bins)
            Probabilities, which broadcast.

        Returns
        -------
        ndarray of shape (...)
            The divergences in nats.

        Raises
        ------
        ValueError
            If one is NaN.
        """
        with np.errstate(over="ignore"):
            values = self.rows(p, q) if self.rows is not None else self.finish(self.term(p, q).sum(axis=-1))
        return self._checked(values)

    def _checked(self, values: FloatArray) -> FloatArray:
        """Return the values as `_capped` does, and refuse NaN, which the term of a user may give.

        Parameters
        ----------
        values : ndarray
            Divergences in nats.

        Returns
        -------
        ndarray
            The values, none of which is above the upper bound by rounding.

        Raises
        ------
        ValueError
            If one is NaN.
        """
        if np.isnan(values).any():
            raise ValueError(
                f"Divergence {self.name!r} gives NaN for some pair of distributions: its term must be defined for all "
                "p and q from 0 to 1, and its sum must lie where finish is defined."
            )
        return self._capped(values)

    def _capped(self, values: FloatArray) -> FloatArray:
        """Return the values, with those that rounding has lifted above the upper bound replaced by the bound.

        Parameters
        ----------
        values : ndarray
            Divergences in nats.

        Returns
        -------
        ndarray
            The values; the same array if none is above the bound.
        """
        if not math.isfinite(self.bound) or values.max(initial=0) <= self.bound:
            return values
        rounding = 64 * float(np.finfo(values.dtype).eps)
        return np.where((values > self.bound) & (values <= self.bound * (1 + rounding)), self.bound, values)

    def _scale(self, base: float | None) -> float:
        """Return the number by which a value in nats is divided to be in the unit of ``base``; it is 1 for None.

        Parameters
        ----------
        base : float or None
            Base of the logarithm, or None for nats.

        Returns
        -------
        float
            The divisor.

        Raises
        ------
        ValueError
            If the divergence has no logarithm, or the base is not a finite number above 1.
        """
        if base is None:
            return 1.0
        if self.base_exponent is None:
            raise ValueError(f"metric {self.name!r} has no logarithm, so base = {base!r} means nothing; leave it out.")
        if isinstance(base, bool) or not isinstance(base, (int, float, np.number)) or not 1 < base < math.inf:
            raise ValueError(f"base = {base!r} must be a finite number above 1 (2 for bits), or None for nats.")
        return float(math.log(base) ** self.base_exponent)


def is_power_of_sum(divergence: Divergence) -> bool:
    """Return whether a divergence is the sum of its terms, or its root, as its fast form says by its power.

    A record of a user may have another ``finish`` than the one that it was made from.
    """
    if divergence.rows is not None or divergence.fast is None:
        return False
    return (divergence.finish, divergence.fast.power) in [(identity, 1.0), (root, 0.5)]
