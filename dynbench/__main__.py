"""``python -m dynbench``: the command ``dynbench``, where it is not on the path."""

from dynbench.cli import main

if __name__ == "__main__":
    main()
