"""Processes that train together come to the same decision: what rank 0 says.

Where torchrun or Slurm started all of them, they can agree from the beginning. Where Lightning does, the others begin
when rank 0 starts to learn for the first time; until then it is alone, and what they find at first is what it found.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from pytorch_lightning.plugins.environments import LightningEnvironment

_VARIABLE = "DYNBENCH_RANK_0"
# Rank 0 may have to wait for another run that learns the same, for as long as that takes.
_PATIENCE = timedelta(days=30)


def agreed(trainer: pl.Trainer, said: bool) -> bool:
    """What rank 0 says, in every process. Those that are not connected yet go by what they say themselves."""
    if trainer.world_size == 1:
        return said
    if trainer.global_rank == 0:
        os.environ[_VARIABLE] = str(os.getpid())  # for processes that Lightning starts from here
    started_by_rank_0 = os.environ.get(_VARIABLE) == str(os.getppid())
    cluster: Any = getattr(trainer.strategy, "cluster_environment", None)
    if cluster is not None and not isinstance(cluster, LightningEnvironment) and not started_by_rank_0:
        trainer.strategy.setup_environment()  # does nothing where they are connected
    if not (dist.is_available() and dist.is_initialized()):
        return said
    words = [said]
    dist.broadcast_object_list(words, src=0, group=_patient_group())
    return words[0]


@cache
def _patient_group() -> dist.ProcessGroup:
    return dist.new_group(backend="gloo", timeout=_PATIENCE)
