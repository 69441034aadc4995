"""Carry records of an older schema over to today's.

Version 1 of the schema hashed whole configurations, with the places of classes in them. Its records hold those
configurations, so that today's identity follows from them; that they are whole is proved by their old identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dynbench.records.identity import GROUPS, run_digest
from dynbench.records.record import SCHEMA_VERSION, Record, from_json

# Versions of protocols were hashed but not recorded; none had come this far.
_MOST_VERSIONS = 20


def convert(content: Mapping[str, Any]) -> Record:
    """A record of today from the content of a version 1 record.

    Its ``fit`` stays empty: nobody kept what it learnt. Models and datasets had no versions yet, which counts as 1.

    Raises:
        ValueError: If it is of another version, or its identity does not follow from its settings.
    """
    if content.get("schema_version") != 1:
        raise ValueError(f"its schema_version is {content.get('schema_version')!r}; only 1 is carried over")
    environment = dict(content["environment"])
    threads = environment.pop("threads", 0)
    record = {**content, "environment": environment, "threads": threads, "schema_version": SCHEMA_VERSION}
    if all(group in content["config"] for group in GROUPS):
        versions = {"data": 1, "model": 1, "protocol": _version(content)}
        values = {**content["config"], "budget": {"name": content["budget"]}, "seed": content["seed"]}
        record |= {"versions": versions, "identity": run_digest(values, versions)}
    return from_json(record)


def _version(content: Mapping[str, Any]) -> int:
    """The version of the protocol at the time: the one that leads to the old identity."""
    settings = {group: content["config"][group] for group in GROUPS}
    hashed = {**settings, "budget": content["budget"], "seed": content["seed"]}
    for version in range(_MOST_VERSIONS + 1):
        text = json.dumps([hashed, version], sort_keys=True, default=str)
        if hashlib.sha256(text.encode()).hexdigest()[:10] == content["identity"]:
            return version
    raise ValueError(f"its identity {content['identity']} does not follow from its settings")
