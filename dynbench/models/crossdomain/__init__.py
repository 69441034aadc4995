"""One model for several networks."""
