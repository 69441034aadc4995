"""The runs of tables through any of Hydra's launchers: on a cluster one command makes a paper's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynbench.config import schema
from dynbench.config.compose import CONF, enable_plugins
from dynbench.config.explain import explain
from dynbench.errors import ConfigError

if TYPE_CHECKING:
    from dynbench.reporting.make import Task


def waves(tasks: Sequence[Task]) -> list[list[Task]]:
    """One run of every fit first, then those that only ask what was learnt something else: no fit is made twice."""
    first: dict[str, Task] = {}
    for task in tasks:
        first.setdefault(task.fit, task)
    leading = list(first.values())
    rest = [task for task in tasks if first[task.fit] is not task]
    return [wave for wave in (leading, rest) if wave]


def launch(jobs: Sequence[Sequence[str]], launcher: str) -> None:
    """Play runs, each in a job of its own, and wait for all; what became of them is told by their records.

    Args:
        jobs: What would be typed for each.
        launcher: ``submitit_slurm``, with settings of its own behind commas: ``submitit_slurm,partition=gpu``.

    Raises:
        ConfigError: If there is no such launcher, or a setting is none of its own.
    """
    from hydra._internal.callbacks import Callbacks
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from hydra.types import HydraContext, RunMode
    from omegaconf.errors import OmegaConfBaseException

    from dynbench.cli import play_member

    name, *settings = launcher.split(",")
    words = [f"hydra/launcher={name}", *(f"hydra.launcher.{setting}" for setting in settings)]
    schema.register()
    searchpath = enable_plugins()
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2("dynbench", create_config_search_path(str(CONF)))
        config = hydra.compose_config("config", [*words, *searchpath], run_mode=RunMode.MULTIRUN)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
        plays = Plugins.instance().instantiate_launcher(config=config, hydra_context=context, task_function=play_member)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, words)) from error
    finally:
        GlobalHydra.instance().clear()
    plays.launch([list(job) for job in jobs], initial_job_idx=0)
