"""The divergences: one frozen record each, and the registry. All else that is known of them is derived from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from skdiv import _terms
from skdiv._distributions import as_distribution
from skdiv._forms import (
    PairForm,
    ProductForm,
    With,
    entropy_term,
    entry_that_squares,
    identity,
    itself,
    log_or_zero,
    log_over,
    minus_one,
    negated,
    negated_log,
    power_or_zero,
    root,
    root_of_complement,
    root_of_entry,
)
from skdiv._terms import FloatArray, Term

# What type checkers and editors know the registry by; a test compares the two.
MetricName = Literal[
    "bhattacharyya", "chi2", "hellinger", "jeffreys", "jensenshannon", "js_distance", "js_divergence", "kl", "renyi",
    "total_variation",
]  # fmt: skip


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
        ``term(p, q)``: what one bin adds to the sum. It gets arrays of probabilities that broadcast, and must return
        0 where p = q = 0, as `scipy.special.rel_entr` and ``xlogy`` do. For a result that is accurate between near
        duplicates it should be non-negative.
    symmetric : bool
        Whether D(p ‖ q) = D(q ‖ p). Half of a self-matrix is then computed and mirrored.
    finish : callable, optional
        From the sum of terms to the value in nats; the identity by default.
    metric : bool, default=False
        Whether the triangle inequality holds.
    hilbertian : bool, default=False
        Whether the value is a Euclidean distance between points of some Hilbert space, so that Ward linkage applies.
    bound : float, default=inf
        The least upper bound, in nats.
    base_exponent : float, optional
        The value in another base is the value in nats / ln(base)**base_exponent: 1 for information, ½ for its root.
        None: the divergence has no unit, and a base is an error.
    definition, reference : str
        The formula and its source, for tables and documentation.
    aliases : tuple of str
        Further accepted names.
    rows : callable, optional
        ``rows(p, q)``: the values in nats along the last axis, for a divergence whose sum of terms would overflow or
        cancel; by default ``finish(term(p, q).sum(axis=-1))``.
    fast : ProductForm or PairForm, optional
        A faster form for matrices. It is exact to a few 1e-15; smaller results are computed again from ``term``.

    Attributes
    ----------
    infinite_off_support : bool
        Whether D(p ‖ q) is infinite as soon as q = 0 where p > 0; read off the term.

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
    infinite_off_support: bool = field(init=False)

    def __repr__(self) -> str:
        return f"<Divergence {self.name!r}>"

    def __post_init__(self) -> None:
        if (self.hilbertian and not self.metric) or (self.metric and not self.symmetric):
            raise ValueError(f"Divergence {self.name!r}: what is Hilbertian is a metric, and a metric is symmetric.")
        self._check_term()
        with np.errstate(all="ignore"):
            pole = self.term(np.array([0.5]), np.array([0.0]))
        object.__setattr__(self, "infinite_off_support", bool(np.isinf(pole).any()))
        p, q = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.1, 0.2, 0.3])
        forth, back = self.of_rows(p, q), self.of_rows(q, p)
        if self.symmetric and not np.isclose(forth, back, rtol=1e-9, atol=1e-12):
            raise ValueError(
                f"Divergence {self.name!r} is declared symmetric, but its term gives D(p ‖ q) = {forth} and "
                f"D(q ‖ p) = {back} for p = {p.tolist()}, q = {q.tolist()}. Pass symmetric=False."
            )

    def __call__(self, p: ArrayLike, q: ArrayLike, base: float | None = None) -> float:
        """D(p ‖ q) between two vectors of non-negative weights, each normalised first.

        Parameters
        ----------
        p, q : array-like of shape (n_bins,)
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
            If a vector is not a distribution, the lengths differ, or the divergence has no base.
        """
        scale = self.scale(base)
        p_row, q_row = as_distribution(p, "p"), as_distribution(q, "q")
        if p_row.shape != q_row.shape:
            raise ValueError(
                f"p and q must be of one length, but p has {p_row.shape[1]} bins and q has {q_row.shape[1]}."
            )
        return float(self.of_rows(p_row, q_row)[0] / scale)

    def _check_term(self) -> None:
        """Refuse what is no term before it is used on data."""
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

    def of_rows(self, p: FloatArray, q: FloatArray) -> FloatArray:
        """Values in nats along the last axis of normalised rows, term by term: accurate, if not fast."""
        with np.errstate(over="ignore"):
            values = self.rows(p, q) if self.rows is not None else self.finish(self.term(p, q).sum(axis=-1))
        return self.checked(values)

    def checked(self, values: FloatArray) -> FloatArray:
        """The values, capped; an error if a term of the user's has produced NaN."""
        if np.isnan(values).any():
            raise ValueError(
                f"Divergence {self.name!r} gives NaN for some pair of distributions: its term must be defined for all "
                "p and q from 0 to 1, and its sum must lie where finish is defined."
            )
        return self.capped(values)

    def capped(self, values: FloatArray) -> FloatArray:
        """The values, with those that rounding has put above the bound put back on it."""
        if not math.isfinite(self.bound) or values.max(initial=0) <= self.bound:
            return values
        rounding = 64 * float(np.finfo(values.dtype).eps)
        return np.where((values > self.bound) & (values <= self.bound * (1 + rounding)), self.bound, values)

    def scale(self, base: float | None) -> float:
        """What a value in nats is divided by to be in units of ``base``."""
        if base is None:
            return 1.0
        if self.base_exponent is None:
            raise ValueError(f"metric {self.name!r} has no logarithm, so base = {base!r} means nothing; leave it out.")
        if isinstance(base, bool) or not isinstance(base, (int, float, np.number)) or not 1 < base < math.inf:
            raise ValueError(f"base = {base!r} must be a finite number above 1 (2 for bits), or None for nats.")
        return float(math.log(base) ** self.base_exponent)


# --- Divergences that are a logarithm of an affinity -----------------------------------------------------------------


def _bhattacharyya_rows(p: FloatArray, q: FloatArray) -> FloatArray:
    near = _negated_log_complement(_terms.squared_hellinger(p, q).sum(axis=-1))
    values: FloatArray = np.where(near < 1, near, -_terms.log_affinity(p, q, 0.5))
    return values


def _negated_log_complement(total: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        values: FloatArray = -np.log1p(-np.minimum(total, 1))
    return values


def _renyi_finish(total: FloatArray, alpha: float) -> FloatArray:
    with np.errstate(divide="ignore"):
        values: FloatArray = np.log1p(np.maximum(alpha * (alpha - 1) * total, -1)) / (alpha - 1)
    return values


def _renyi_rows(p: FloatArray, q: FloatArray, alpha: float) -> FloatArray:
    """From the terms while the affinity is near 1, from its logarithm where it is far from it."""
    near = _renyi_finish(_terms.alpha_divergence(p, q, alpha).sum(axis=-1), alpha)
    return np.where(near * abs(alpha - 1) < 1, near, _terms.log_affinity(p, q, alpha) / (alpha - 1))


def renyi(alpha: float) -> Divergence:
    """The Rényi divergence of order ``alpha``, in nats: ln(sum p^α q^(1−α)) / (α − 1).

    Parameters
    ----------
    alpha : float
        The order, positive, not 1 and below 1e150. As it tends to 1 the divergence tends to ``"kl"``. For large orders
        the rounding of the rows weighs more, by √alpha, than in the bound that `pairwise_divergences` states.

    Returns
    -------
    Divergence
        A record that works wherever the name of a divergence does.

    Raises
    ------
    TypeError, ValueError
        If ``alpha`` is not such a number.

    References
    ----------
    T. van Erven and P. Harremoës, "Rényi Divergence and Kullback-Leibler Divergence", IEEE Transactions on Information
    Theory 60 (2014).

    Examples
    --------
    >>> from skdiv import pairwise_divergences, renyi
    >>> pairwise_divergences([[0.5, 0.5]], [[0.75, 0.25]], metric=renyi(2)).round(4)
    array([[0.2877]])
    """
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float, np.number)):
        raise TypeError(f"alpha = {alpha!r} must be a number.")
    alpha = float(alpha)
    if not 0 < alpha < 1e150 or alpha == 1:
        raise ValueError(
            f"alpha = {alpha} must be positive, below 1e150 and not 1; for the limit at 1 use metric='kl'."
        )
    order = f"{alpha:g}" if float(f"{alpha:g}") == alpha else repr(alpha)
    product = ProductForm(
        factors=((With(power_or_zero, alpha), With(power_or_zero, 1 - alpha)),),
        finish=With(log_over, alpha - 1),
        conditioning=1 / min(1, abs(alpha - 1)),
        smallest=With(entry_that_squares, max(alpha - 1, 1.0)) if alpha > 1 else None,
    )
    return Divergence(
        name=f"renyi({order})",
        term=With(_terms.alpha_divergence, alpha),
        symmetric=alpha == 0.5,
        finish=With(_renyi_finish, alpha),
        base_exponent=1.0,
        definition=f"ln(sum p^α q^(1−α)) / (α − 1), α = {order}",
        reference="Rényi 1961; van Erven & Harremoës 2014",
        rows=With(_renyi_rows, alpha),
        fast=product,
    )


# --- The registry ----------------------------------------------------------------------------------------------------

_RECORDS = (
    Divergence(
        name="kl",
        term=_terms.kl,
        symmetric=False,
        base_exponent=1.0,
        definition="sum p ln(p/q)",
        reference="Kullback & Leibler 1951",
        fast=ProductForm(factors=((itself, negated_log),), left_term=entropy_term),
    ),
    Divergence(
        name="jeffreys",
        term=_terms.jeffreys,
        symmetric=True,
        base_exponent=1.0,
        definition="KL(p‖q) + KL(q‖p)",
        reference="Jeffreys 1946",
        fast=ProductForm(
            factors=((itself, negated_log), (log_or_zero, negated)),
            left_term=entropy_term,
            right_term=entropy_term,
        ),
    ),
    Divergence(
        name="js_divergence",
        term=_terms.jensen_shannon,
        symmetric=True,
        bound=math.log(2),
        base_exponent=1.0,
        definition="½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2",
        reference="Lin 1991",
        fast=PairForm(pair="mixture", top=math.log(2)),
    ),
    Divergence(
        name="js_distance",
        term=_terms.jensen_shannon,
        symmetric=True,
        finish=root,
        metric=True,
        hilbertian=True,
        bound=math.sqrt(math.log(2)),
        base_exponent=0.5,
        definition="√(½ KL(p‖m) + ½ KL(q‖m)), m = (p + q)/2",
        reference="Endres & Schindelin 2003; Fuglede & Topsøe 2004",
        aliases=("jensenshannon",),
        fast=PairForm(pair="mixture", top=math.log(2), finish=root, power=0.5),
    ),
    Divergence(
        name="hellinger",
        term=_terms.squared_hellinger,
        symmetric=True,
        finish=root,
        metric=True,
        hilbertian=True,
        bound=1.0,
        definition="√(1 − sum √(pq))",
        reference="Hellinger 1909",
        fast=ProductForm(factors=((root_of_entry, root_of_entry),), finish=root_of_complement, power=0.5),
    ),
    Divergence(
        name="bhattacharyya",
        term=_terms.squared_hellinger,
        symmetric=True,
        finish=_negated_log_complement,
        base_exponent=1.0,
        definition="−ln sum √(pq)",
        reference="Bhattacharyya 1943",
        rows=_bhattacharyya_rows,
        fast=ProductForm(factors=((root_of_entry, root_of_entry),), finish=With(log_over, -1)),
    ),
    Divergence(
        name="total_variation",
        term=_terms.total_variation,
        symmetric=True,
        metric=True,
        bound=1.0,
        definition="½ sum |p − q|",
        reference="Levin & Peres 2017",
        fast=PairForm(pair="difference", top=1.0),
    ),
    Divergence(
        name="chi2",
        term=_terms.chi2,
        symmetric=False,
        definition="sum (p − q)² / q",
        reference="Pearson 1900",
        fast=ProductForm(
            factors=((With(power_or_zero, 2), With(power_or_zero, -1)),), finish=minus_one, smallest=entry_that_squares
        ),
    ),
    replace(renyi(2), name="renyi"),
)

_REGISTRY: Mapping[str, Divergence] = MappingProxyType({record.name: record for record in _RECORDS})
_ALIASES = {alias: record for record in _RECORDS for alias in record.aliases}


def divergences() -> Mapping[str, Divergence]:
    """The divergences that can be used by name.

    ``"renyi"`` is of order 2; `renyi` makes any other order.

    Returns
    -------
    mapping of str to Divergence
        Read-only, from name to record.

    Examples
    --------
    >>> from skdiv import divergences
    >>> [name for name, record in divergences().items() if record.hilbertian]
    ['js_distance', 'hellinger']
    """
    return _REGISTRY


def resolve(metric: str | Divergence) -> Divergence:
    """The record behind a ``metric`` argument."""
    if isinstance(metric, Divergence):
        return metric
    record = _REGISTRY.get(metric) or _ALIASES.get(metric) if isinstance(metric, str) else None
    if record is None:
        _refuse_metric(metric)
    return record


def _refuse_metric(metric: Any) -> NoReturn:
    if callable(metric):
        raise ValueError(
            f"metric = {metric!r} is a function. Wrap it as Divergence(name=..., term=..., symmetric=...), whose "
            "term(p, q) returns what each bin adds to the sum."
        )
    shown = repr(metric) if isinstance(metric, (str, int, float, type(None))) else f"of type {type(metric).__name__}"
    hint = " 'precomputed' is for DivergenceClustering." if isinstance(metric, str) and metric == "precomputed" else ""
    raise ValueError(
        f"Unknown metric {shown}. Use one of {sorted([*_REGISTRY, *_ALIASES])}, "
        f"renyi(alpha), or a Divergence of your own, which wraps a function of p and q.{hint}"
    )
