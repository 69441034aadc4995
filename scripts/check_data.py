"""Load every dataset at hand and compare it with its card: ``python scripts/check_data.py``."""

from __future__ import annotations

import argparse
import sys

from dynbench.config.compose import choice_path, choices, enable_plugins
from dynbench.data import DataUnavailable, Locations, cards
from dynbench.errors import DynbenchError
from dynbench.graph.statistics import statistics


def main(arguments: list[str] | None = None) -> int:
    """Print one line per dataset; the exit status is 1 if one of them does not match its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="datasets; all of conf/data if none is named")
    parser.add_argument("--data-dir", help="your own folder(s) with data, searched before DYNBENCH_DATA")
    parser.add_argument("--cache-dir", help="default: DYNBENCH_CACHE, else ~/.cache/dynbench")
    parser.add_argument("--download", action="store_true", help="download what is not at hand (default: leave it out)")
    options = parser.parse_args(arguments)
    enable_plugins()
    # 'custom' is a template for a user's own folder and stands for no data of its own.
    names = options.names or [name for name in choices("data") if name != "custom"]
    where = Locations.from_settings(options.data_dir, options.cache_dir, offline=not options.download)
    rows = [(name, *_check(name, where)) for name in names]
    width = max(len(name) for name, _, _ in rows)
    for name, verdict, words in rows:
        print(f"{name:{width}}  {verdict:13}  {words}")
    return 1 if any(verdict == "MISMATCH" for _, verdict, _ in rows) else 0


def _check(name: str, where: Locations) -> tuple[str, str]:
    try:
        dataset = cards.build(cards.read_card(choice_path("data", name)), where)
        events = statistics(dataset.load("events"))
        found = statistics(dataset.load("snapshots"))
    except DataUnavailable as error:
        return "not available", str(error)
    except DynbenchError as error:
        return "MISMATCH", str(error)
    counts = (
        f"{found['nodes']:,} nodes, {events['events']:,} events, {found['steps']} steps, "
        f"{found['links_per_step_sum']:,} links in all steps, {found['links_distinct']:,} distinct"
    )
    return "OK", f"{counts} ({dataset.provenance()['source']})"


if __name__ == "__main__":
    sys.exit(main())
