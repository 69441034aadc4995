"""What remains of a run."""

from dynbench.records.files import require_writable, write_arrays, write_text
from dynbench.records.identity import (
    Identity,
    Names,
    fit_key,
    identify,
    identity_config,
    versions,
)
from dynbench.records.record import Record, read, write
from dynbench.records.store import Store

__all__ = [
    "Identity",
    "Names",
    "Record",
    "Store",
    "fit_key",
    "identify",
    "identity_config",
    "read",
    "require_writable",
    "versions",
    "write",
    "write_arrays",
    "write_text",
]
