"""Models of event streams: what two nodes did before, and when, says whether they meet now."""
