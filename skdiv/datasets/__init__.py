"""Collections of distributions to try things on."""

from skdiv.datasets._languages import load_languages

__all__ = ["load_languages"]
