"""Latent space models."""
