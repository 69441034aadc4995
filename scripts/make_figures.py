"""Make the papers' figures: ``python scripts/make_figures.py --figures nglp_figures --budget quick``."""

import sys

from dynbench.reporting.make_figures import main

if __name__ == "__main__":
    sys.exit(main())
