"""Models of one undirected graph: blocks, latent features and auto-encoders."""
