"""Build trees from distances, rows or a graph, and cut trees into clusters."""
