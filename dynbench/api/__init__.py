"""dynbench from Python: what ``import dynbench`` offers, see there."""
