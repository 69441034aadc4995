"""``dynbench import FILE``: a user's own file becomes a dataset, and what was understood and changed is said."""
