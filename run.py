"""Run one experiment, or a sweep of them: ``python run.py model=nlsm data=enron``. See ``python run.py --help``."""

from dynbench.cli import main

if __name__ == "__main__":
    main()
