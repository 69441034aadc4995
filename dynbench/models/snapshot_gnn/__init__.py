"""Graph neural networks that read one snapshot and forecast the next."""
