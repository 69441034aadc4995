"""Which of a run's processes this one is."""

import os


def is_main_process() -> bool:
    """Whether this process evaluates and writes: rank 0, or the only one."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("NODE_RANK", 0)) == 0
