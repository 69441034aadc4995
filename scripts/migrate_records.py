"""Carry records of an older schema over: ``python scripts/migrate_records.py FOLDER --work-dir runs``.

Every ``*.json`` below the folder that is a record of version 1 is spooled as a record of today; ``make tables`` then
publishes what the tables use. Nothing is deleted.
"""

import argparse
import json
import sys
from pathlib import Path

from dynbench.records import Store
from dynbench.records.migrate import convert


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the old records lie")
    parser.add_argument("--work-dir", default="runs", help="where records are spooled (default: runs)")
    options = parser.parse_args()
    store, bad = Store(work_dir=options.work_dir), 0
    paths = sorted(options.folder.rglob("*.json"))
    for path in paths:
        try:
            store.write(convert(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, LookupError, TypeError) as error:
            print(f"{path} is left out: {error}", file=sys.stderr)
            bad += 1
    print(f"{len(paths) - bad} records carried over, {bad} left out")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
