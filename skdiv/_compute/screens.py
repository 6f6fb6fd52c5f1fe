"""Screens: sums in single precision, with bounds of their errors, by which a search leaves out most pairs of rows.

A screen belongs to a divergence that grows with a sum over the bins, which is written as

    terms[i] + (factor[i] · right[j] + right_terms[j]),

where what is in parentheses, a score, is computed in single precision: for all pairs that is one matrix product. The
error of an inner product of n terms is at most γ |x| |y| with γ = n u / (1 − n u), in whatever order they are added
(Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); u is half the machine epsilon. Both
factors are made small by subtracting a center, and with them the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import numpy as np
import scipy.sparse as sp

from skdiv._compute.blocks.pairs import power_of_two
from skdiv._compute.blocks.termwise import few_rows
from skdiv._compute.kernels import KernelName
from skdiv._divergences.forms import Elementwise, ProductForm
from skdiv._divergences.record import Divergence
from skdiv._divergences.spectra import Spectrum
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray

_UNIT = float(np.finfo(np.float32).eps) / 2
_FINER = 5  # the number of features a bin of a finer screen, which leaves one pair in hundreds
_ROUNDINGS = 8  # of both factors, of the terms that are added, and of the scores; two more than there are
_OF_DOUBLE = 1e-12  # the error of what is computed in double precision, times a hundred or more


class ScreenedRows(NamedTuple):
    """What a screen needs of some rows of the left collection.

    ``factor`` has the shape (n, n_features) and is in single precision. ``terms`` and ``margins``, of shape (n,), are
    added to the scores of each row, and bound the errors of the sums.
    """

    factor: FloatArray
    terms: FloatArray
    margins: FloatArray


class Screen(Protocol):
    """The interface of a screen, which is made for one right collection."""

    @property
    def right(self) -> FloatArray:
        """Return the right factor, of shape (m, n_features), in single precision."""

    @property
    def right_terms(self) -> FloatArray:
        """Return what is added to the scores of each right row, of shape (m,), in single precision."""

    @property
    def distortion(self) -> float:
        """Return the largest relative difference of the sum from that of which the divergence is a function."""

    def of_rows(self, P: Distributions) -> ScreenedRows:
        """Return what is needed of some rows of the left collection."""

    def of_part(self, columns: slice) -> Self:
        """Return the screen for some of the right rows."""

    def finer(self, Q: Distributions) -> Screen:
        """Return a screen with less distortion for some right rows."""

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the sums that give these values of the divergence, which are in nats."""

    def values(self, sums: FloatArray) -> FloatArray:
        """Return the values of the divergence, in nats, that these sums give."""


def screen_of(
    divergence: Divergence, P: Distributions, Q: Distributions, kernel: KernelName, *, reverse: bool
) -> Screen | None:
    """Return a screen for D(P[i] ‖ Q[j]), or with ``reverse`` D(Q[j] ‖ P[i]); None if there is none for such rows."""
    form = divergence.fast
    if form is not None and has_screen(divergence, Q) and not sp.issparse(P.values):
        # Three features in place of two leave fewer candidates, whose divergences the NumPy kernel computes slowly.
        n_features = min(len(divergence.spectra), 2 if kernel == "numba" else 3)
        return SpectralScreen.of(divergence.spectra, n_features, form.power, Q)
    if sp.issparse(P.values) or sp.issparse(Q.values):
        return None
    if isinstance(form, ProductForm) and form.is_logarithmic and P.values.min() > 0 and Q.values.min() > 0:
        return ProductScreen.of(form, Q, reverse=reverse)
    return None


def has_screen(divergence: Divergence, rows: Distributions) -> bool:
    """Return whether there is a screen for a divergence whatever the entries of the rows."""
    return bool(divergence.spectra) and divergence.rows is None and not sp.issparse(rows.values)


@dataclass(frozen=True)
class SpectralScreen:
    """The squared distances between the features of one of the spectra; the divergence is a power of the sum."""

    spectra: tuple[Spectrum, ...]
    spectrum: Spectrum
    power: float
    center: FloatArray
    right: FloatArray
    right_terms: FloatArray

    @classmethod
    def of(cls, spectra: tuple[Spectrum, ...], n_features: int, power: float, Q: Distributions) -> SpectralScreen:
        """Make a screen of so many features a bin for a right collection."""
        spectrum = spectra[n_features - 1]

        def features(rows: Distributions) -> FloatArray:
            """Return the features of rows, in double precision."""
            return _features(spectrum, rows)

        center = _mean(features, Q)
        right, terms = np.empty((len(Q), len(center)), dtype=np.float32), np.empty(len(Q), dtype=np.float32)
        for some in few_rows(len(Q), Q.shape[1]):
            from_center = features(Q[some]) - center
            right[some], terms[some] = from_center, np.vecdot(from_center, from_center)
        return cls(spectra, spectrum, power, center, right, terms)

    def of_part(self, columns: slice) -> SpectralScreen:
        """Return the screen for some of the right rows."""
        return replace(self, right=self.right[columns], right_terms=self.right_terms[columns])

    def finer(self, Q: Distributions) -> SpectralScreen:
        """Return the screen of a finer spectrum for some right rows."""
        return SpectralScreen.of(self.spectra, min(_FINER, len(self.spectra)), self.power, Q)

    @property
    def distortion(self) -> float:
        """Return the relative error of the squared distances."""
        return self.spectrum.distortion

    def of_rows(self, P: Distributions) -> ScreenedRows:
        """Return the features of some rows from the center, times −2, and their squared norms."""
        from_center = _features(self.spectrum, P) - self.center
        terms = np.vecdot(from_center, from_center)
        largest = float(self.right_terms.max()) * (1 + 2 * _UNIT)
        # Features before the center is subtracted have a norm below 1, so their errors in double precision are small.
        margins = _product_error(len(self.center)) * (2 * np.sqrt(terms * largest) + terms + largest) + _OF_DOUBLE
        return ScreenedRows((-2 * from_center).astype(np.float32), terms, margins)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the sums that give these values."""
        return values if self.power == 1 else values ** (1 / self.power)

    def values(self, sums: FloatArray) -> FloatArray:
        """Return the values that these sums give."""
        return sums if self.power == 1 else sums**self.power


def _features(spectrum: Spectrum, rows: Distributions) -> FloatArray:
    """Return the features of all bins of rows, side by side, in double precision."""
    return np.concatenate(spectrum.features(rows.dense()), axis=1)


@dataclass(frozen=True)
class ProductScreen:
    """The sum of a divergence in product form whose value is the sum itself, for rows without zeros.

    The right rows are q in D(p ‖ q), or with ``reverse`` p. ``factors`` and ``term`` are those of the left collection,
    ``right_center`` is the center of the right factor, and
    ``added`` is what the terms of left rows have to include for all that was subtracted on the right.
    """

    form: ProductForm
    reverse: bool
    factors: tuple[Elementwise, ...]
    term: Elementwise | None
    unit: float
    center: FloatArray
    right_center: FloatArray
    added: float
    right: FloatArray
    right_terms: FloatArray
    distortion: float = 0.0

    @classmethod
    def of(cls, form: ProductForm, Q: Distributions, *, reverse: bool) -> ProductScreen:
        """Make a screen for a right collection."""
        ours, theirs = (tuple(pair[side] for pair in form.factors) for side in ((1, 0) if reverse else (0, 1)))
        term, their_term = (form.right_term, form.left_term) if reverse else (form.left_term, form.right_term)
        unit = power_of_two(Q.shape[1])

        def left_of(rows: Distributions) -> FloatArray:
            """Return the left factor of rows of Q, whose mean is near that of the left rows."""
            return _factor(ours, rows, unit)

        def right_of(rows: Distributions) -> FloatArray:
            """Return the right factor of rows."""
            return _factor(theirs, rows, unit)

        center, right_center = _mean(left_of, Q), _mean(right_of, Q)
        right, terms = np.empty((len(Q), len(center)), dtype=np.float32), np.empty(len(Q))
        for some in few_rows(len(Q), Q.shape[1]):
            factor = right_of(Q[some])
            right[some], terms[some] = factor - right_center, factor @ center + _sums(their_term, Q[some], unit)
        middle = float(terms.mean())
        added = middle - float(center @ right_center)
        right_terms = (terms - middle).astype(np.float32)
        return cls(form, reverse, ours, term, unit, center, right_center, added, right, right_terms)

    def of_part(self, columns: slice) -> ProductScreen:
        """Return the screen for some of the right rows."""
        return replace(self, right=self.right[columns], right_terms=self.right_terms[columns])

    def finer(self, Q: Distributions) -> ProductScreen:
        """Return a screen for some right rows, for there is no distortion."""
        return ProductScreen.of(self.form, Q, reverse=self.reverse)

    def of_rows(self, P: Distributions) -> ScreenedRows:
        """Return the left factor of some rows less its center, and the sums of single rows."""
        factor = _factor(self.factors, P, self.unit)
        terms = factor @ self.right_center + _sums(self.term, P, self.unit) + self.added
        from_center = factor - self.center
        norms = np.sqrt(np.vecdot(from_center, from_center))
        largest = float(np.sqrt(np.vecdot(self.right, self.right).max())) * (1 + 1e-3)
        of_products = norms * largest
        of_terms = float(np.abs(self.right_terms).max()) + np.abs(terms)
        margins = _product_error(len(self.center)) * of_products + _ROUNDINGS * _UNIT * (of_products + of_terms)
        return ScreenedRows(from_center.astype(np.float32), terms, margins + _OF_DOUBLE * (1 + of_terms))

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the values, which are the sums."""
        return values

    def values(self, sums: FloatArray) -> FloatArray:
        """Return the sums, which are the values."""
        return sums


def _factor(functions: tuple[Elementwise, ...], rows: Distributions, unit: float) -> FloatArray:
    """Return the functions of all bins of rows, side by side, in double precision."""
    values = rows.dense().astype(np.float64, copy=False)
    return np.concatenate([function(values, unit) for function in functions], axis=1)


def _sums(term: Elementwise | None, rows: Distributions, unit: float) -> FloatArray:
    """Return the sums of a term over the bins of each row; 0 for no term."""
    if term is None:
        return np.zeros(len(rows))
    sums: FloatArray = term(rows.dense().astype(np.float64, copy=False), unit).sum(axis=1)
    return sums


def _mean(function: Callable[[Distributions], FloatArray], rows: Distributions) -> FloatArray:
    """Return the mean over the rows of a function of them, of which some are computed at a time."""
    total: FloatArray = sum(function(rows[some]).sum(axis=0) for some in few_rows(len(rows), rows.shape[1]))
    return total / len(rows)


def _product_error(n_terms: int) -> float:
    """Return γ for inner products of so many terms in single precision, with the roundings around them."""
    n = (n_terms + _ROUNDINGS) * _UNIT
    return n / (1 - n)
