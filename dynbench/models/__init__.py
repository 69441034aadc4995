"""The systems that the papers compare, one file each, in one folder per family."""
