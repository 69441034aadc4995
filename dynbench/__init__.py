"""dynbench: a harness in which the papers of dynamic networks are reproduced."""
