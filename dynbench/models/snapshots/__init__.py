"""Vectors of nodes in snapshots: the systems of DySAT's comparison."""
