"""Helpers that have nothing to do with divergences: types, BLAS, memory, warnings, and scikit-learn's private names."""
