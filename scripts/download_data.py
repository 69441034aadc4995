"""Find or download datasets: ``python scripts/download_data.py enron uci``, or without names for all of them."""

from __future__ import annotations

import argparse
import sys

from dynbench.config.compose import choice_path, choices, enable_plugins
from dynbench.data import Locations, cards
from dynbench.errors import DynbenchError


def main(arguments: list[str] | None = None) -> int:
    """Resolve the named datasets; the exit status is 1 if one of them cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="datasets; all of conf/data if none is named")
    parser.add_argument("--data-dir", help="your own folder(s) with data, searched before DYNBENCH_DATA")
    parser.add_argument("--cache-dir", help="where downloads go (default: DYNBENCH_CACHE, else ~/.cache/dynbench)")
    parser.add_argument("--offline", action="store_true", help="only look, never touch the network")
    options = parser.parse_args(arguments)
    enable_plugins()
    # 'custom' is a template for a user's own folder and stands for no data of its own.
    names = options.names or [name for name in choices("data") if name != "custom"]
    where = Locations.from_settings(options.data_dir, options.cache_dir, options.offline, progress=True)
    outcomes = {name: _resolve(name, where) for name in names}
    width = max(map(len, outcomes))
    for name, (_, words) in outcomes.items():
        print(f"{name:{width}}  {words}")
    return 0 if all(done for done, _ in outcomes.values()) else 1


def _resolve(name: str, where: Locations) -> tuple[bool, str]:
    try:
        card = cards.read_card(choice_path("data", name))
        dataset = cards.build(card, where)
        graph = dataset.load("events") if card.get("files") else dataset.load("snapshots")
    except DynbenchError as error:
        return False, f"FAILED: {error}"
    return True, f"ready ({dataset.provenance()['source']}): {graph}"


if __name__ == "__main__":
    sys.exit(main())
