"""The command line: Hydra's, with help for newcomers, errors in one sentence, and sweeps that survive a failure."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Sequence

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from dynbench.config import schema
from dynbench.config.check import check
from dynbench.config.compose import CONF, compose, enable_plugins, explain, with_variants
from dynbench.errors import ConfigError, DynbenchError

USAGE_ERROR, RUN_ERROR, INTERRUPTED = 2, 1, 130

# Members of a sweep that failed, as one line each.
_failures: list[str] = []


def main() -> None:
    """Entry point of ``run.py``."""
    try:
        _main()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(RUN_ERROR)


def _main() -> None:
    try:
        words = sys.argv[1:] = with_variants(sys.argv[1:])
        if {"-h", "--help"} & set(words):
            from dynbench.config.help import help_text

            print(help_text([word for word in words if not word.startswith("-")]))
            return
        _examine(words)
    except DynbenchError as error:
        _complain(error, USAGE_ERROR)
    schema.register()
    sys.argv[1:] = _with_settings_in_the_sweep(words)
    sys.argv += [word for word in enable_plugins() if word not in sys.argv]
    try:
        _task()
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
    if _failures:
        print(f"{len(_failures)} of the sweep's runs failed:", *_failures, sep="\n  ", file=sys.stderr)
        sys.exit(RUN_ERROR)


def _examine(words: Sequence[str]) -> None:
    """Compose what was typed before Hydra does, so that what is wrong with it can be said in one sentence.

    In a sweep every member must compose; whether model and protocol fit is each member's own affair.
    """
    arguments, _ = get_args_parser().parse_known_args(list(words))
    if arguments.shell_completion or arguments.cfg or arguments.info or arguments.hydra_help:
        return
    if arguments.multirun:
        for member in _members(arguments.overrides):
            compose(member)
    else:
        check(compose(arguments.overrides))


def _with_settings_in_the_sweep(words: Sequence[str]) -> list[str]:
    """The words, with settings of a sweep written as choices of one.

    Before a sweep Hydra composes what does not vary, with the default model; a setting that only the swept models have
    would be unknown there. What is a choice is left to the members. (``null`` cannot be one in Hydra's grammar.)
    """
    arguments, _ = get_args_parser().parse_known_args(list(words))
    if not arguments.multirun or not _members(arguments.overrides):
        return list(words)
    settings = {
        override.input_line: f"{override.get_key_element()}=choice({override.get_value_string()})"
        for override in OverridesParser.create().parse_overrides(arguments.overrides)
        if override.type == OverrideType.CHANGE and "." in override.key_or_group and not override.is_hydra_override()
        and not override.is_sweep_override() and override.value() is not None
    }  # fmt: skip
    return [settings.get(word, word) for word in words]


def _members(overrides: Sequence[str]) -> list[list[str]]:
    """The runs of a sweep by Hydra's basic sweeper; ``hydra.*`` overrides belong to the sweep, not to a run."""
    own = [word for word in overrides if not word.startswith("hydra")]
    try:
        parsed = OverridesParser.create().parse_overrides(own)
    except HydraException as error:
        raise ConfigError(explain(error, own)) from error
    if any(override.is_sweep_override() and not override.is_discrete_sweep() for override in parsed):
        return []
    return BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _task(config: DictConfig) -> None:
    overrides = list(HydraConfig.get().overrides.task)
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        if sweep and config.trainer.devices > 1:
            _in_own_process(overrides)
        else:
            _run(config, overrides)
    except DynbenchError as error:
        if not sweep:
            _complain(error, RUN_ERROR)
        _note_failure(overrides, str(error))
    except Exception as error:
        if not sweep:
            raise
        traceback.print_exc()
        _note_failure(overrides, f"{type(error).__name__}: {error}")


def _run(config: DictConfig, overrides: list[str]) -> None:
    if config.save_embeddings:
        from dynbench.runner import save_embeddings

        print(f"embeddings: {save_embeddings(config, overrides)}")
        return
    from dynbench.reporting.published import find
    from dynbench.reporting.summary import format_summary
    from dynbench.runner import run

    outcome = run(config, overrides)
    if not outcome.is_main:
        return
    if outcome.skipped:
        print(f"finished before ({outcome.record.created}); force=true runs it again")
    print(format_summary(outcome.record, find(config), outcome.path))


def _in_own_process(overrides: list[str]) -> None:
    """Run a member that uses several devices as a single run.

    Its ranks repeat the command line; under ``-m`` each of them would walk through the whole sweep.
    """
    done = subprocess.run([sys.executable, sys.argv[0], *overrides, *enable_plugins()], check=False)
    if done.returncode:
        _note_failure(overrides, f"exit code {done.returncode}")


def _note_failure(overrides: Sequence[str], reason: str) -> None:
    print(f"failed: {' '.join(overrides)}: {reason}", file=sys.stderr)
    _failures.append(f"{' '.join(overrides)}: {reason}")


def _complain(error: DynbenchError, code: int) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)
