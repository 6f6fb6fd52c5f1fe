"""From what was observed to rows of counts, which are what the rest of the library takes."""

from skdiv.preprocessing._histogram import HistogramTransformer

__all__ = ["HistogramTransformer"]

HistogramTransformer.__module__ = __name__  # Pickles name a class by its module, and the private one may move.
