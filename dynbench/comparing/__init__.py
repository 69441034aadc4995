"""Runs side by side: a table of models and datasets with ranks, tests with correction, a critical-difference plot."""
