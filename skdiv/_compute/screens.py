"""Screens: sums by a matrix product, with bounds of their errors, by which a search leaves out most pairs of rows.

A screen belongs to a divergence that grows with a sum over the bins, which is written as

    terms[i] + (factor[i] · right[j] + right_terms[j]),

where what is in parentheses, a score, is computed in single precision: for all pairs that is one matrix product. (Where
near duplicates are too many for single precision, a search falls back to double.) The error of an inner product of n
terms is at most γ |x| |y| with γ = n u / (1 − n u), in whatever order they are added, where u is half the machine
epsilon (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1). Both factors are made small by
subtracting a center, and with them the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import scipy.sparse as sp

from skdiv._compute.blocks.pairs import power_of_two
from skdiv._compute.blocks.termwise import few_rows
from skdiv._compute.kernels import KernelName
from skdiv._divergences.forms import Elementwise, ProductForm, identity
from skdiv._divergences.record import Divergence, is_power_of_sum
from skdiv._divergences.spectra import Spectrum
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places

_FINER = 5  # the number of features a bin of a finer screen, which leaves one pair in hundreds
_ROUNDINGS = 8  # of both factors, of the terms that are added, and of the scores; two more than there are
_OF_DOUBLE = 1e-14  # the norm of the error of features in double precision, or the error of a sum, times ten or more
_FOR_MEAN = 4096  # the number of rows of which a center is the mean, or up to twice as many; any center is right
_TINY = 1e-36  # above the error of a sum of products that underflow


class ScreenedRows(NamedTuple):
    """What a screen needs of some rows of the left collection.

    ``factor`` has the shape (n, n_features) and the dtype of the screen. ``terms`` and ``margins``, of shape (n,), are
    added to the scores of each row, and bound the errors of the sums.
    """

    factor: FloatArray
    terms: FloatArray
    margins: FloatArray


class Screen(Protocol):
    """The interface of a screen, which is made for one right collection."""

    @property
    def right(self) -> FloatArray:
        """Return the right factor, of shape (m, n_features), in the precision of the screen."""

    @property
    def right_terms(self) -> FloatArray:
        """Return what is added to the scores of each right row, of shape (m,), in the same precision."""

    @property
    def distortion(self) -> float:
        """Return the largest relative difference of the sum from that of which the divergence is a function."""

    def of_rows(self, P: Distributions) -> ScreenedRows:
        """Return what is needed of some rows of the left collection."""

    def of_part(self, columns: Places) -> Self:
        """Return the screen for some of the right rows."""

    def finer(self, Q: Distributions) -> Screen:
        """Return a screen with less distortion for some right rows."""

    def in_double(self, Q: Distributions) -> Screen:
        """Return the same screen for the same right rows in double precision."""

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
        spectrum = divergence.spectra[: 2 if kernel == "numba" else 3][-1]
        return SpectralScreen.of(divergence.spectra, spectrum, form.power, Q)
    if sp.issparse(P.values) or sp.issparse(Q.values):
        return None
    if form is None or divergence.rows is not None or divergence.finish is not identity or form.finish is not identity:
        return None
    if isinstance(form, ProductForm) and form.is_logarithmic and P.values.min() > 0 and Q.values.min() > 0:
        return ProductScreen.of(form, Q, reverse=reverse)
    return None


def has_screen(divergence: Divergence, rows: Distributions) -> bool:
    """Return whether there is a screen for a divergence whatever the entries of the rows."""
    return bool(divergence.spectra) and is_power_of_sum(divergence) and not sp.issparse(rows.values)


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
    def of(
        cls,
        spectra: tuple[Spectrum, ...],
        spectrum: Spectrum,
        power: float,
        Q: Distributions,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> SpectralScreen:
        """Make a screen of one of the spectra for a right collection."""

        def features(rows: Distributions) -> FloatArray:
            """Return the features of rows, in double precision."""
            return _features(spectrum, rows)

        center = _mean(features, Q)
        right, terms = np.empty((len(Q), len(center)), dtype=dtype), np.empty(len(Q), dtype=dtype)
        for some in few_rows(len(Q), Q.shape[1]):
            from_center = features(Q[some]) - center
            right[some], terms[some] = from_center, np.vecdot(from_center, from_center)
        return cls(spectra, spectrum, power, center, right, terms)

    def of_part(self, columns: Places) -> SpectralScreen:
        """Return the screen for some of the right rows."""
        return replace(self, right=self.right[columns], right_terms=self.right_terms[columns])

    def finer(self, Q: Distributions) -> SpectralScreen:
        """Return the screen of a finer spectrum for some right rows."""
        return SpectralScreen.of(self.spectra, self.spectra[:_FINER][-1], self.power, Q)

    def in_double(self, Q: Distributions) -> SpectralScreen:
        """Return the same screen in double precision."""
        return SpectralScreen.of(self.spectra, self.spectrum, self.power, Q, np.float64)

    @property
    def distortion(self) -> float:
        """Return the relative error of the squared distances."""
        return self.spectrum.distortion

    def of_rows(self, P: Distributions) -> ScreenedRows:
        """Return the features of some rows from the center, times −2, and their squared norms."""
        dtype = self.right.dtype
        factor, terms = np.empty((len(P), len(self.center)), dtype=dtype), np.empty(len(P))
        for some in few_rows(len(P), P.shape[1]):
            from_center = _features(self.spectrum, P[some]) - self.center
            factor[some], terms[some] = -2 * from_center, np.vecdot(from_center, from_center)
        largest = float(self.right_terms.max()) * (1 + 1e-6)
        norms = np.sqrt(terms) + np.sqrt(largest)
        margins = _product_error(len(self.center), dtype) * norms**2 + 2 * _OF_DOUBLE * (norms + _OF_DOUBLE) + _TINY
        return ScreenedRows(factor, terms, margins)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the sums that give these values."""
        with np.errstate(over="ignore"):  # of a radius that is larger than all divergences
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
    ``right_center`` is the center of the right factor, and ``added`` is what the terms of left rows have to include for
    all that was subtracted on the right. ``right_size`` bounds the sums of absolute values that cancel on the right.
    """

    form: ProductForm
    reverse: bool
    factors: tuple[Elementwise, ...]
    term: Elementwise | None
    unit: float
    center: FloatArray
    right_center: FloatArray
    added: float
    right_size: float
    right: FloatArray
    right_terms: FloatArray
    distortion: float = 0.0

    @classmethod
    def of(
        cls, form: ProductForm, Q: Distributions, *, reverse: bool, dtype: type[np.floating[Any]] = np.float32
    ) -> ProductScreen:
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
        right, terms = np.empty((len(Q), len(center)), dtype=dtype), np.empty(len(Q))
        size = 0.0
        for some in few_rows(len(Q), Q.shape[1]):
            factor, of_term = right_of(Q[some]), _values(their_term, Q[some], unit)
            right[some], terms[some] = factor - right_center, factor @ center + of_term.sum(axis=1)
            size = max(size, float((np.abs(factor) @ np.abs(center) + np.abs(of_term).sum(axis=1)).max()))
        middle = float(terms.mean())
        added = middle - float(center @ right_center)
        right_terms = (terms - middle).astype(dtype)
        size += float(np.abs(center) @ np.abs(right_center))
        return cls(form, reverse, ours, term, unit, center, right_center, added, size, right, right_terms)

    def of_part(self, columns: Places) -> ProductScreen:
        """Return the screen for some of the right rows."""
        return replace(self, right=self.right[columns], right_terms=self.right_terms[columns])

    def finer(self, Q: Distributions) -> ProductScreen:
        """Return a screen for some right rows, for there is no distortion."""
        return ProductScreen.of(self.form, Q, reverse=self.reverse)

    def in_double(self, Q: Distributions) -> ProductScreen:
        """Return the same screen in double precision."""
        return ProductScreen.of(self.form, Q, reverse=self.reverse, dtype=np.float64)

    def of_rows(self, P: Distributions) -> ScreenedRows:
        """Return the left factor of some rows less its center, and the sums of single rows."""
        dtype = self.right.dtype
        left, (terms, sizes, squares) = np.empty((len(P), len(self.center)), dtype=dtype), np.empty((3, len(P)))
        for some in few_rows(len(P), P.shape[1]):
            factor, of_term = _factor(self.factors, P[some], self.unit), _values(self.term, P[some], self.unit)
            terms[some] = factor @ self.right_center + of_term.sum(axis=1) + self.added
            sizes[some] = np.abs(factor) @ np.abs(self.right_center) + np.abs(of_term).sum(axis=1) + self.right_size
            factor -= self.center
            left[some], squares[some] = factor, np.vecdot(factor, factor)
        norms = np.sqrt(squares)
        largest = float(np.sqrt(np.vecdot(self.right, self.right).max())) * (1 + 1e-3)
        of_products = norms * largest
        of_terms = float(np.abs(self.right_terms).max()) + np.abs(terms)
        unit = float(np.finfo(dtype).eps)
        margins = _product_error(len(self.center), dtype) * of_products + _ROUNDINGS * unit * (of_products + of_terms)
        return ScreenedRows(left, terms, margins + _OF_DOUBLE * (1 + sizes) + _TINY)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the values, which are the sums."""
        return values

    def values(self, sums: FloatArray) -> FloatArray:
        """Return the sums, which are the values."""
        return sums


def _factor(functions: tuple[Elementwise, ...], rows: Distributions, unit: float) -> FloatArray:
    """Return the functions of all bins of rows, side by side, in double precision."""
    values = _in_double(rows)
    return np.concatenate([function(values, unit) for function in functions], axis=1)


def _values(term: Elementwise | None, rows: Distributions, unit: float) -> FloatArray:
    """Return a term of all bins of each row, in double precision; 0 for no term."""
    return np.zeros((len(rows), 1)) if term is None else term(_in_double(rows), unit)


def _in_double(rows: Distributions) -> FloatArray:
    """Return rows in double precision; those in single precision, whose sums are not quite 1, are divided by them."""
    values = rows.dense().astype(np.float64, copy=False)
    return values if rows.dtype == np.float64 else values / values.sum(axis=1, keepdims=True)


def _mean(function: Callable[[Distributions], FloatArray], rows: Distributions) -> FloatArray:
    """Return the mean of a function of the rows, over so many of them that it is near that of all."""
    places = np.arange(0, len(rows), max(1, len(rows) // _FOR_MEAN))
    total: FloatArray = sum(function(rows[places[some]]).sum(axis=0) for some in few_rows(len(places), rows.shape[1]))
    return total / len(places)


def _product_error(n_terms: int, dtype: np.dtype[Any]) -> float:
    """Return γ for inner products of so many terms, with the roundings around them."""
    n = (n_terms + _ROUNDINGS) * float(np.finfo(dtype).eps) / 2
    return n / (1 - n)
