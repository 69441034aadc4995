"""Spectral embeddings of snapshot graphs."""
