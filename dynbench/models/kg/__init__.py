"""Models of temporal knowledge graphs that are trained by gradient."""
