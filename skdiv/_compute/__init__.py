"""From rows to numbers: what a tile computes, how a matrix is cut into tiles, and how these are run."""
