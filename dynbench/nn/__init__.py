"""Layers and terms that two or more models share."""
