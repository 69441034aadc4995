"""``dynbench report``: all that is measured, on one page that needs no server."""
