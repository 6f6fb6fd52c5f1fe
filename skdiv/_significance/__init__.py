"""Tests of the nodes of a tree against heights that are drawn under the hypothesis of one distribution."""
