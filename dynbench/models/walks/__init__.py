"""Embeddings learned from random walks."""
