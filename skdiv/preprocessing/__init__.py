"""From what was observed to rows of counts, which are what the rest of the library takes."""

from skdiv.preprocessing._blocks import SummedBlocks, sum_blocks
from skdiv.preprocessing._histogram import HistogramTransformer

__all__ = ["HistogramTransformer", "SummedBlocks", "sum_blocks"]

for _public in (HistogramTransformer, SummedBlocks, sum_blocks):
    _public.__module__ = __name__  # Pickles name a class by its module, and the private one may move.
