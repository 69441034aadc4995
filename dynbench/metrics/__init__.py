"""What the metrics libraries lack."""
