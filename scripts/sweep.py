"""Choose settings of systems on validation pairs: ``python scripts/sweep.py nlsm_table2 --systems dysat``."""

import sys

from dynbench.reporting.make_sweeps import main

if __name__ == "__main__":
    sys.exit(main())
