"""How models are questioned, and how their answers are measured."""
