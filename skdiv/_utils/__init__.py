"""What has nothing to do with divergences: types, BLAS, memory, warnings, and what is taken from scikit-learn."""
