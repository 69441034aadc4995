"""Pairs, negatives and neighbourhoods, vectorised."""
