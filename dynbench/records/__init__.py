"""What remains of a run."""

from dynbench.records.record import (
    Identity,
    Record,
    fit_key,
    identify,
    identity_config,
    read,
    read_all,
    require_writable,
    write,
    write_arrays,
    write_text,
)

__all__ = [
    "Identity",
    "Record",
    "fit_key",
    "identify",
    "identity_config",
    "read",
    "read_all",
    "require_writable",
    "write",
    "write_arrays",
    "write_text",
]
