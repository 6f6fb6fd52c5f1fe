"""From distances, rows or a graph to a tree, and from a tree to labels."""
