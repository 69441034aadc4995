"""The command line: help for newcomers, errors in one sentence, and sweeps that survive a failure.

A plain run is composed, checked and played here. Sweeps, printed configurations and shell completion are Hydra's.
Hydra and the rest of the package are imported late, so that Ctrl-C is answered from the first moment on.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from dynbench import lifeline
from dynbench.errors import ConfigError, DynbenchError, RunError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dynbench.records import Record

USAGE_ERROR, RUN_ERROR, INTERRUPTED = 2, 1, 130

# Words that are commands of their own, with the function that takes what follows them and returns an exit code.
COMMANDS = {
    "compare": "dynbench.comparing.command:main",
    "import": "dynbench.importing.command:main",
    "report": "dynbench.report.command:main",
    "tables": "dynbench.reporting.make:main",
    "figures": "dynbench.reporting.make_figures:main",
    "sweep": "dynbench.reporting.make_sweeps:main",
}

# Members of a sweep that failed in this process, as one line each.
_failures: list[str] = []
# The process that sweeps; a launcher may play members in others.
_sweeper: int | None = None


def main() -> None:
    """Entry point of ``dynbench``, which says what there is when nothing follows, and of ``run.py``, which runs."""
    words = sys.argv[1:]
    lifeline.hold()
    try:
        _main(words if words or os.path.basename(sys.argv[0]) == "run.py" else ["--help"])
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(RUN_ERROR)


def _main(words: list[str]) -> None:
    if words and words[0] in COMMANDS:
        module, _, function = COMMANDS[words[0]].partition(":")
        sys.exit(getattr(importlib.import_module(module), function)(words[1:]))
    if words == ["--version"]:
        from dynbench import __version__

        return print(f"dynbench {__version__}")
    try:
        from dynbench.config.check import check
        from dynbench.config.compose import compose, with_variants

        words = with_variants(words)
        if {"-h", "--help"} & set(words):
            from dynbench.config.help import help_text

            return print(help_text([word for word in words if not word.startswith("-")]))
        if any(word.startswith("-") or word.lstrip("+~").startswith("hydra") for word in words):
            return _through_hydra(words)
        values = check(compose(words))
    except DynbenchError as error:
        _complain(error, USAGE_ERROR)
    try:
        _play(values, words)
    except DynbenchError as error:
        _complain(error, RUN_ERROR)
    except Exception as error:
        if (bug := _bug_of_a_plugin(error)) is None:
            raise
        _complain(bug, RUN_ERROR)


def _play(values: dict[str, Any], words: Sequence[str]) -> Record | None:
    """Carry out one run and print what came out."""
    if values["save_embeddings"]:
        from dynbench.runner import save_embeddings

        print(f"embeddings: {save_embeddings(values, words)}")
        return None
    from dynbench.comparing.sweep import note
    from dynbench.reporting.published import find, nearest
    from dynbench.reporting.summary import format_summary
    from dynbench.runner import run

    outcome = run(values, words)
    if not outcome.is_main:
        return None
    if outcome.skipped:
        print(f"finished before ({outcome.record.created}); force=true runs it again")
    published = find(values)
    print(format_summary(outcome.record, published, outcome.path, None if published else nearest(values)))
    note(values, outcome.record.name)
    return outcome.record


# ---- what Hydra does --------------------------------------------------------------------------------------------


def _through_hydra(words: list[str]) -> None:
    """Let Hydra's own command line do what was typed: a sweep, a printed configuration, shell completion.

    Raises:
        ConfigError: For what Hydra cannot compose; in a sweep before its first run starts.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from dynbench.comparing.sweep import begin
    from dynbench.config import schema
    from dynbench.config.compose import CONF, enable_plugins
    from dynbench.config.explain import explain

    schema.register()
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
    searchpath = [word for word in enable_plugins() if word not in words]
    # Overrides come last: Hydra's parser takes them in one piece only.
    typed = [word for word in words if "=" in word and not word.startswith("-")]
    options = [word for word in words if word not in typed]
    sweeps = bool({"-m", "--multirun"} & set(options))
    name = begin() if sweeps else ""
    if sweeps:
        typed = _with_settings_in_the_sweep(typed)
    sys.argv[1:] = [*options, *typed, *searchpath]
    # With this Hydra raises what it would print over many lines.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    global _sweeper
    _sweeper = os.getpid()
    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(play_member)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, words)) from error
    except RunError as error:
        # Under a launcher each failed member has said so itself; Hydra hands over the first when all have ended.
        _print_table(name, words)
        print(f"runs of the sweep failed, the first:\n  {error}", file=sys.stderr)
        sys.exit(RUN_ERROR)
    _print_table(name, words)
    if _failures:
        print(f"{len(_failures)} of the sweep's runs failed:", *_failures, sep="\n  ", file=sys.stderr)
        sys.exit(RUN_ERROR)


def _run_name(*, _root_: DictConfig) -> str:
    """The name of a configured run; none for one that will be refused, so that no folder is made for it."""
    from omegaconf import OmegaConf

    from dynbench.config.check import check
    from dynbench.records import identify

    try:
        return str(identify(check(OmegaConf.masked_copy(_root_, [key for key in _root_ if key != "hydra"]))))
    except DynbenchError:
        return "."


def _print_table(name: str, words: Sequence[str]) -> None:
    """What a sweep's members measured, side by side."""
    from dynbench.comparing.sweep import finished, table

    typed = dict(word.split("=", 1) for word in words if "=" in word)
    places = [typed.get(key, usual).strip("'\"") for key, usual in (("results_dir", "results"), ("work_dir", "runs"))]
    text = table(finished(name, *places), sys.stdout.isatty()) if name else ""
    if text:
        print(f"\n{text}")


def play_member(config: DictConfig) -> float | None:
    """One member of a sweep. A failure is told at once, kept for the end, and stops no other member.

    Returns:
        The run's score on validation, which a sweeper that searches maximises; never a score of the test.

    Raises:
        RunError: If the member failed in a process of its own, from which nothing else reaches the sweep; or if a
            search has nothing to look at.
    """
    from hydra.core.hydra_config import HydraConfig

    from dynbench.comparing.searching import no_score, require_validation, validation_score
    from dynbench.config import schema
    from dynbench.config.check import check
    from dynbench.config.compose import enable_plugins

    words = list(HydraConfig.get().overrides.task)
    searches = not HydraConfig.get().sweeper["_target_"].endswith(".BasicSweeper")
    schema.register()
    enable_plugins()
    try:
        values = check(config)
        if searches:
            require_validation(values)
        if values["trainer"]["devices"] * values["trainer"].get("num_nodes", 1) > 1:
            _in_own_process(words)
            from dynbench.records import Store, identify

            record = Store(values["results_dir"], values["work_dir"]).find(identify(values))
        else:
            record = _play(values, words)
        score = None if record is None else validation_score(record.metrics)
        if searches and score is None:
            raise RunError(no_score(values))
        return score
    except DynbenchError as error:
        reason = str(error)
    except Exception as error:
        bug = _bug_of_a_plugin(error)
        reason = str(bug or f"{type(error).__name__}: {error}")
        if bug is None:
            traceback.print_exc()
    failure = f"{' '.join(words)}: {reason}"
    print(f"failed: {failure}", file=sys.stderr)
    if os.getpid() != _sweeper or searches:
        raise RunError(failure)
    _failures.append(failure)
    return None


def _in_own_process(words: Sequence[str]) -> None:
    """Play a member that uses several devices as a plain run.

    Its ranks repeat the command line; under ``-m`` each of them would walk through the whole sweep.
    """
    done = subprocess.run([sys.executable, sys.argv[0], *words], check=False)
    if done.returncode:
        raise RunError(f"exit code {done.returncode}")


def _with_settings_in_the_sweep(words: Sequence[str]) -> list[str]:
    """The overrides of a sweep, with settings written as choices of one.

    Before a sweep Hydra composes what does not vary, with the default model; a setting that only the swept models have
    would be unknown there. What is a choice is left to the members. (``null`` cannot be one in Hydra's grammar.)
    """
    from hydra.core.override_parser.types import OverrideType

    from dynbench.config.compose import parse

    told = []
    for override in parse(words, sweep=True):
        setting = override.type == OverrideType.CHANGE and "." in override.key_or_group
        fixed = not (override.is_sweep_override() or override.is_hydra_override() or override.value() is None)
        choice = f"{override.get_key_element()}=choice({override.get_value_string()})"
        told.append(choice if setting and fixed else override.input_line)
    return told


def _bug_of_a_plugin(error: BaseException | None) -> RunError | None:
    """One line for an error that a plug-in's code raised: its own frame, not those of dynbench below it.

    ``DYNBENCH_TRACEBACK=1`` shows all frames instead.
    """
    from dynbench.config.compose import homes

    if os.environ.get("DYNBENCH_TRACEBACK", "") not in ("", "0"):
        return None
    folders = [f"{folder}{os.sep}" for folder in homes()]
    while error is not None:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(tuple(folders))
        ]
        if frames:
            place = f"{frames[-1].filename}, line {frames[-1].lineno}, in {frames[-1].name}"
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return RunError(f"{place}: {what} (DYNBENCH_TRACEBACK=1 shows more)")
        error = error.__cause__ or error.__context__
    return None


def _complain(error: DynbenchError, code: int) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)
