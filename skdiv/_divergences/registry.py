"""The registry of divergences, which holds one frozen record for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import numpy as np

from skdiv._divergences import spectra, terms
from skdiv._divergences.forms import (
    PairForm,
    ProductForm,
    With,
    entropy_term,
    itself,
    least_safe_entry,
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
from skdiv._divergences.record import Divergence
from skdiv._utils.typing import FloatArray

# The names in the registry, for type checkers and editors; a test compares the two.
MetricName = Literal[
    "bhattacharyya",
    "chi2",
    "hellinger",
    "jeffreys",
    "jensenshannon",
    "js_distance",
    "js_divergence",
    "kl",
    "renyi",
    "total_variation",
]


# --- Divergences that are the logarithm of an affinity, sum p^α q^(1−α) ----------------------------------------------


def _bhattacharyya_rows(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return −ln sum √(pq) along the last axis.

    The affinity is 1 − sum ½ (√p − √q)², which is accurate while it is near 1; where it is far from 1 its logarithm is
    taken without the powers, which might underflow.
    """
    near = _negated_log_complement(terms.squared_hellinger(p, q).sum(axis=-1))
    values: FloatArray = np.where(near < 1, near, -terms.log_affinity(p, q, 0.5))
    return values


def _negated_log_complement(total: FloatArray) -> FloatArray:
    """Return −ln(1 − total); a total that rounding has lifted above 1 counts as 1, and gives infinity."""
    with np.errstate(divide="ignore"):
        values: FloatArray = -np.log1p(-np.minimum(total, 1))
    return values


def _renyi_finish(total: FloatArray, alpha: float) -> FloatArray:
    """Return Rényi's divergence from the α-divergence: the affinity is 1 + α (α − 1) times the latter."""
    with np.errstate(divide="ignore"):
        values: FloatArray = np.log1p(np.maximum(alpha * (alpha - 1) * total, -1)) / (alpha - 1)
    return values


def _renyi_rows(p: FloatArray, q: FloatArray, alpha: float) -> FloatArray:
    """Return Rényi's divergence along the last axis, by the two ways of `_bhattacharyya_rows`."""
    near = _renyi_finish(terms.alpha_divergence(p, q, alpha).sum(axis=-1), alpha)
    return np.where(near * abs(alpha - 1) < 1, near, terms.log_affinity(p, q, alpha) / (alpha - 1))


def renyi(alpha: float) -> Divergence:
    """Return the Rényi divergence of order ``alpha``, ln(sum p^α q^(1−α)) / (α − 1) in nats, as a `Divergence`.

    Parameters
    ----------
    alpha : float
        The order: positive, not 1, and below 1e150, so that alpha² does not overflow. As it tends to 1, the divergence
        tends to ``"kl"``. If it is above 1, the second part of the error bound in `pairwise_divergences`, which is due
        to the rounding of the normalised rows, is √alpha times as large, and rows that are multiples of each other may
        be as far apart as alpha times 1e-30.

    Returns
    -------
    Divergence
        A record that works wherever the name of a divergence does.

    Raises
    ------
    TypeError, ValueError
        If ``alpha`` is not such a number.

    See Also
    --------
    divergences : The records of the divergences that have names.

    References
    ----------
    A. Rényi, "On Measures of Entropy and Information", Proceedings of the Fourth Berkeley Symposium on Mathematical
    Statistics and Probability 1 (1961).
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
    # Dividing by alpha − 1 magnifies the rounding error of the logarithm if alpha is near 1. For alpha > 1 the factor
    # q^(1−α) is unbounded: it may overflow for entries of q below ``smallest``.
    product = ProductForm(
        factors=((With(power_or_zero, alpha), With(power_or_zero, 1 - alpha)),),
        finish=With(log_over, alpha - 1),
        conditioning=1 / min(1, abs(alpha - 1)),
        smallest=With(least_safe_entry, max(alpha - 1, 1.0)) if alpha > 1 else None,
    )
    return Divergence(
        name=f"renyi({order})",
        term=With(terms.alpha_divergence, alpha),
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
        term=terms.kl,
        symmetric=False,
        base_exponent=1.0,
        definition="sum p ln(p/q)",
        reference="Kullback & Leibler 1951",
        fast=ProductForm(factors=((itself, negated_log),), left_term=entropy_term),
    ),
    Divergence(
        name="jeffreys",
        term=terms.jeffreys,
        symmetric=True,
        base_exponent=1.0,
        definition="KL(p‖q) + KL(q‖p)",
        reference="Jeffreys 1946",
        fast=ProductForm(
            factors=((itself, negated_log), (log_or_zero, negated)),
            left_term=entropy_term,
            right_term=entropy_term,
            conditioning=2.0,
        ),
    ),
    Divergence(
        name="js_divergence",
        term=terms.jensen_shannon,
        symmetric=True,
        bound=math.log(2),
        base_exponent=1.0,
        definition="½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2",
        reference="Lin 1991",
        fast=PairForm(pair="mixture", top=math.log(2)),
        spectra=spectra.JENSEN_SHANNON,
    ),
    Divergence(
        name="js_distance",
        term=terms.jensen_shannon,
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
        spectra=spectra.JENSEN_SHANNON,
    ),
    Divergence(
        name="hellinger",
        term=terms.squared_hellinger,
        symmetric=True,
        finish=root,
        metric=True,
        hilbertian=True,
        bound=1.0,
        definition="√(1 − sum √(pq))",
        reference="Hellinger 1909; Kakutani 1948",
        fast=ProductForm(factors=((root_of_entry, root_of_entry),), finish=root_of_complement, power=0.5),
        spectra=spectra.HELLINGER,
    ),
    Divergence(
        name="bhattacharyya",
        term=terms.squared_hellinger,
        symmetric=True,
        finish=_negated_log_complement,
        base_exponent=1.0,
        definition="−ln sum √(pq)",
        reference="Bhattacharyya 1943; Kailath 1967",
        rows=_bhattacharyya_rows,
        fast=ProductForm(factors=((root_of_entry, root_of_entry),), finish=With(log_over, -1)),
    ),
    Divergence(
        name="total_variation",
        term=terms.total_variation,
        symmetric=True,
        metric=True,
        bound=1.0,
        definition="½ sum |p − q|",
        reference="Levin & Peres 2017",
        fast=PairForm(pair="difference", top=1.0),
    ),
    Divergence(
        name="chi2",
        term=terms.chi2,
        symmetric=False,
        definition="sum (p − q)² / q (Pearson's)",
        reference="Pearson 1900",
        fast=ProductForm(
            factors=((With(power_or_zero, 2), With(power_or_zero, -1)),), finish=minus_one, smallest=least_safe_entry
        ),
    ),
    replace(renyi(2), name="renyi"),
)


class _Records(dict[Any, Divergence]):
    """A dictionary of records whose error about a missing name says which names it may stand for."""

    def __missing__(self, name: Any) -> NoReturn:
        """Raise the error about a name that no record has."""
        raise KeyError(f"No divergence has the name {name!r}.{did_you_mean(name, self)} Names: {list(self)}.")


_REGISTRY: Mapping[Any, Divergence] = MappingProxyType(_Records({record.name: record for record in _RECORDS}))
_ALIASES = {alias: record for record in _RECORDS for alias in record.aliases}


def divergences() -> Mapping[MetricName, Divergence]:
    """Return the divergences that can be used by name.

    ``"renyi"`` is the one of order 2; the function `renyi` makes the record of any other order.

    Returns
    -------
    mapping of str to Divergence
        A read-only mapping from names to records.

    See Also
    --------
    renyi : The record of a divergence of any order.
    Divergence : A record of your own.
    mutual_information : The Jensen-Shannon divergence of more than two rows, in one number.
    skdiv.models.wasserstein_divergences : Distances that know of an order of the bins, which no divergence does.
    skdiv.models.mixture_divergences : Divergences between Gaussian mixtures.
    skdiv.models.sample_divergences : Divergences between samples, without bins.

    Notes
    -----
    The divergences of p from q, D(p ‖ q), are these, with their sources in parentheses. A record that is
    ``hilbertian`` is a Euclidean distance in some Hilbert space, so that Ward linkage applies.

    - ``"kl"``: ``sum p ln(p/q)`` (Kullback & Leibler 1951).
    - ``"jeffreys"``: ``KL(p‖q) + KL(q‖p)`` (Jeffreys 1946).
    - ``"js_divergence"``: ``½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2`` (Lin 1991).
    - ``"js_distance"``: ``√(½ KL(p‖m) + ½ KL(q‖m)), m = (p + q)/2`` (Endres & Schindelin 2003; Fuglede & Topsøe 2004).
    - ``"hellinger"``: ``√(1 − sum √(pq))`` (Hellinger 1909; Kakutani 1948).
    - ``"bhattacharyya"``: ``−ln sum √(pq)`` (Bhattacharyya 1943; Kailath 1967).
    - ``"total_variation"``: ``½ sum |p − q|`` (Levin & Peres 2017).
    - ``"chi2"``: ``sum (p − q)² / q (Pearson's)`` (Pearson 1900).
    - ``"renyi"``: ``ln(sum p^α q^(1−α)) / (α − 1), α = 2`` (Rényi 1961; van Erven & Harremoës 2014).

    None of them knows that bin 3 lies beside bin 4; where that matters, use `skdiv.models.wasserstein_divergences`.

    References
    ----------
    S. Kullback and R. A. Leibler, "On Information and Sufficiency", Annals of Mathematical Statistics 22 (1951), 79–86,
    doi:10.1214/aoms/1177729694.
    H. Jeffreys, "An Invariant Form for the Prior Probability in Estimation Problems", Proceedings of the Royal Society
    A 186 (1946), 453–461, doi:10.1098/rspa.1946.0056.
    J. Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory 37 (1991),
    145–151, doi:10.1109/18.61115.
    D. M. Endres and J. E. Schindelin, "A New Metric for Probability Distributions", IEEE Transactions on Information
    Theory 49 (2003), 1858–1860, doi:10.1109/TIT.2003.813506.
    B. Fuglede and F. Topsøe, "Jensen-Shannon Divergence and Hilbert Space Embedding", IEEE International Symposium on
    Information Theory (2004), 31, doi:10.1109/ISIT.2004.1365067.
    E. Hellinger, "Neue Begründung der Theorie quadratischer Formen von unendlichvielen Veränderlichen", Journal für die
    reine und angewandte Mathematik 136 (1909), 210–271, doi:10.1515/crll.1909.136.210.
    S. Kakutani, "On Equivalence of Infinite Product Measures", Annals of Mathematics 49 (1948), 214–224,
    doi:10.2307/1969123.
    A. Bhattacharyya, "On a Measure of Divergence between Two Statistical Populations Defined by their Probability
    Distributions", Bulletin of the Calcutta Mathematical Society 35 (1943), 99–109.
    T. Kailath, "The Divergence and Bhattacharyya Distance Measures in Signal Selection", IEEE Transactions on
    Communication Technology 15 (1967), 52–60, doi:10.1109/TCOM.1967.1089532.
    D. A. Levin and Y. Peres, "Markov Chains and Mixing Times", 2nd edition (American Mathematical Society 2017),
    doi:10.1090/mbk/107.
    K. Pearson, "On the Criterion that a Given System of Deviations from the Probable in the Case of a Correlated System
    of Variables is such that it can be Reasonably Supposed to have Arisen from Random Sampling", Philosophical Magazine
    50 (1900), 157–175, doi:10.1080/14786440009463897.
    A. Rényi, "On Measures of Entropy and Information", Proceedings of the Fourth Berkeley Symposium on Mathematical
    Statistics and Probability 1 (1961), 547–561.
    T. van Erven and P. Harremoës, "Rényi Divergence and Kullback-Leibler Divergence", IEEE Transactions on Information
    Theory 60 (2014), 3797–3820, doi:10.1109/TIT.2014.2320500.

    Examples
    --------
    >>> from skdiv import divergences
    >>> [name for name, record in divergences().items() if record.hilbertian]
    ['js_distance', 'hellinger']
    """
    return _REGISTRY


def resolve(metric: str | Divergence, *others: str) -> Divergence:
    """Return the record for a ``metric`` argument: a name, an alias, or a record, which is returned as it is.

    ``others`` are names that the caller takes as well, for the message about an unknown one.
    """
    if isinstance(metric, Divergence):
        return metric
    record = _REGISTRY.get(metric) or _ALIASES.get(metric) if isinstance(metric, str) else None
    if record is None:
        _refuse_metric(metric, others)
    return record


def did_you_mean(name: Any, names: Iterable[str]) -> str:
    """Return a question for a message, which names those that an unknown name may stand for; '' if there are none.

    They begin with the same letters up to their first underscore, have these initials, or are spelt alike.
    """
    if not isinstance(name, str):
        return ""
    asked, known = name.lower().replace("-", "_").replace(" ", "_"), list(names)
    likely = [each for each in known if len(asked) > 1 and _begin_alike(asked, each)]
    likely += [each for each in get_close_matches(asked, known) if each not in likely]
    return f" Did you mean {' or '.join(map(repr, likely))}?" if likely else ""


def _begin_alike(asked: str, name: str) -> bool:
    """Return whether what was asked for begins as a name does, or is its initials."""
    words = name.split("_")
    return asked.startswith(words[0]) or words[0].startswith(asked) or asked == "".join(word[0] for word in words)


def _refuse_metric(metric: Any, others: tuple[str, ...]) -> NoReturn:
    """Raise the error about a ``metric`` that is neither a known name nor a record."""
    if callable(metric):
        raise ValueError(
            f"metric = {metric!r} is a function. Wrap it as Divergence(name=..., term=..., symmetric=...), whose "
            "term(p, q) returns what each bin adds to the sum."
        )
    shown = repr(metric) if isinstance(metric, (str, int, float, type(None))) else f"of type {type(metric).__name__}"
    names = sorted([*_REGISTRY, *_ALIASES, *others])
    hint = " 'precomputed' is for DivergenceClustering." if isinstance(metric, str) and metric == "precomputed" else ""
    raise ValueError(
        f"Unknown metric {shown}.{did_you_mean(metric, names)} Use one of {names}, "
        f"renyi(alpha), or a Divergence of your own, which wraps a function of p and q.{hint}"
    )
