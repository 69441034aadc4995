"""dynbench: a harness in which the papers of dynamic networks are reproduced."""

__version__ = "0.2.0"
