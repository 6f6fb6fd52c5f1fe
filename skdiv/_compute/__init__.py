"""Compute divergences of rows: what a tile computes, how a matrix is cut into tiles, and how the tiles are run."""
