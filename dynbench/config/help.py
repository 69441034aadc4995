"""The text of ``--help``: what can be chosen, and what a choice lets one set."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from dynbench.config.compose import CONF, choice_path, choices, enable_plugins, program_name, read_choice
from dynbench.config.source import read_class
from dynbench.errors import ConfigError

_GROUPS = {
    "data": "the network",
    "model": "the system",
    "protocol": "what is asked, and how answers are measured; every model brings its paper's",
    "recipe": "other settings of a model than its paper's, under a name",
    "budget": "how much work",
    "trainer": "the devices",
    "optimizer": "another optimiser than the model's own",
    "scheduler": "how the learning rate goes on over a fit",
    "callbacks": "what watches a fit, or has a hand in it",
    "logger": "training curves",
    "experiment": "runs as they were published",
    "debug": "one step, NaN, time",
}

_ABOUT = "dynbench: a dataset, a model and a protocol give the number that belongs in the paper's table."

# What can be typed after the name of the program.
_USAGE = {
    "model=nlsm data=enron": "one run; its record goes to runs/records, where you stand",
    "model=nlsm data=enron model.dim=32": "change any setting",
    "-m model=nlsm,bas data=enron seed=0,1": "a sweep; finished runs are skipped",
    "model=nlsm data=uci --help": "the settings and the card of what is chosen",
    "compare data=uci protocol=NAME": "all runs there are, side by side, with ranks and tests",
    "import FILE": "your own file of events becomes a dataset",
    "tables": "the papers' tables, measured beside published",
    "tables --model mine": "the same with a row for a model of yours",
    "figures": "the papers' figures",
    "figures --curves model=gae,nglp data=uci": "ROC and precision-recall of several models, one picture",
    "sweep nlsm_table2": "candidates for settings, compared on validation pairs as a paper's table asks for",
    "report": "one page about all that is measured",
}

_MORE = """\
your own
  RUN import events.csv             a file of events: CSV, TSV, SNAP, JODIE, Parquet; then data=events
  data=custom data.path=FOLDER      a folder with edges.csv.gz (docs/data_format.md)
  DYNBENCH_DATA=FOLDER              where datasets lie; several, separated as in PATH
  DYNBENCH_PLUGINS=FOLDER           your models, datasets and tables (docs/add_a_model.md); an installed package
                                    announces its own by an entry point of the group dynbench.plugins

more
  -m, --multirun                    sweep over values separated by commas
  --cfg job                         print the composed configuration
  --hydra-help                      Hydra's own options
  --version                         the version of dynbench
  eval "$(RUN -sc install=bash)"
                                    completion of choices and settings with TAB (bash, zsh, fish)"""


def help_text(overrides: Sequence[str]) -> str:
    """Overview of all groups, or the settings of the choices named in ``overrides``.

    Raises:
        ConfigError: If a named choice does not exist.
    """
    enable_plugins()
    chosen = dict(word.split("=", 1) for word in overrides if "=" in word and word.split("=", 1)[0] in _GROUPS)
    if chosen:
        return "\n\n".join(_settings(group, name) for group, name in chosen.items())
    lines = [f"  {program_name()} {words:<40}{meaning}" for words, meaning in _USAGE.items()]
    groups = [_overview(group, meaning) for group, meaning in _GROUPS.items()]
    more = _MORE.replace("RUN ", f"{program_name()} ")
    return "\n\n".join([_ABOUT, "\n".join(["usage", *lines]), *groups, _general(), more])


def _overview(group: str, meaning: str) -> str:
    rows = [f"  {name:<24}{_title(group, name)}" for name in choices(group)]
    return "\n".join([f"{group}=…  {meaning}", *rows])


def _title(group: str, name: str) -> str:
    """The first comment line of a choice's file that is not for Hydra."""
    lines = choice_path(group, name).read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if not line.startswith("# @")).lstrip("# ").strip()


def _general() -> str:
    lines = (CONF / "config.yaml").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("seed:"))
    stop = next(number for number, line in enumerate(lines) if line.startswith("hydra:"))
    return "\n".join(["general settings", *(f"  {line}" for line in lines[start:stop] if line)])


def _settings(group: str, name: str) -> str:
    """A choice's file, whose comments explain each key, under the card of its class."""
    text = choice_path(group, name).read_text(encoding="utf-8").strip()
    try:
        source = read_class(read_choice(group, name)["_target_"])
    except (KeyError, ConfigError):
        return f"{group}={name}\n{textwrap.indent(text, '  ')}"
    card = source.module_docstring if group == "model" else source.docstring.partition("\n\nArgs")[0]
    parts = [f"{group}={name}", textwrap.indent(card, "  "), f"  settings ({group}.KEY=VALUE)"]
    return "\n\n".join(parts) + "\n" + textwrap.indent(text, "  ")
