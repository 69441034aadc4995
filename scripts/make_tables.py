"""Make the papers' tables: ``python scripts/make_tables.py --tables nlsm_table2 --budget quick``."""

import sys

from dynbench.reporting.make import main

if __name__ == "__main__":
    sys.exit(main())
