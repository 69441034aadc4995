"""Compose configurations from what was typed, and list the choices of a group."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig

from dynbench.config import schema
from dynbench.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
# An installed package has the catalogue within itself; in a checkout it stands beside the package.
CONF = next(folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if (folder / "config.yaml").is_file())
PLUGINS = "DYNBENCH_PLUGINS"
ENTRY_POINTS = "dynbench.plugins"
# Groups of which several files may be chosen at once: logger=[csv,tensorboard].
_SEVERAL = ("logger", "callbacks")
# Below where one stands: datasets that were imported, each a folder with its card under conf/data/.
DATASETS = "datasets"


def program() -> list[str]:
    """What starts dynbench in a process of its own."""
    installed = _PACKAGE in CONF.parents
    return [sys.executable, *(["-m", "dynbench"] if installed else [str(CONF.parent / "run.py")])]


def program_name() -> str:
    """How dynbench was called, for texts that say what to type."""
    return "python run.py" if Path(sys.argv[0]).name == "run.py" else "dynbench"


def plugin_folders() -> list[Path]:
    """Folders named by ``DYNBENCH_PLUGINS``: Python files at their top, YAML files under ``conf/``.

    Raises:
        ConfigError: If a named folder does not exist.
    """
    folders = [Path(part).resolve() for part in os.environ.get(PLUGINS, "").split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{PLUGINS} names '{folder}', which is not a folder")
    return folders


@cache
def installed_plugins() -> tuple[Path, ...]:
    """The folders of installed packages that announce themselves as plug-ins; each has its YAML files under ``conf/``.

    Announced by an entry point of the group ``dynbench.plugins`` whose value is the package:
    ``[project.entry-points."dynbench.plugins"]`` and ``mine = "mypackage"`` in a ``pyproject.toml``.

    Raises:
        ConfigError: If an announced package is not there, or has no folder ``conf``.
    """
    folders = []
    for point in entry_points(group=ENTRY_POINTS):
        spec = find_spec(point.module)
        found = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
        if not any((folder / "conf").is_dir() for folder in found):
            raise ConfigError(f"the plug-in '{point.name}' announces the package '{point.module}', which has no conf/")
        folders += found
    return tuple(folders)


def homes() -> list[Path]:
    """All folders with YAML files of their own: those named by the user, installed ones, and imported datasets."""
    imported = [path.parent.resolve() for path in sorted(Path(DATASETS).glob("*/conf"))]
    return [*plugin_folders(), *installed_plugins(), *imported]


def enable_plugins() -> list[str]:
    """Make plug-in modules importable; return the Hydra override that makes their YAML files known.

    Raises:
        ConfigError: If a folder does not exist, or a file in it has the name of an installed module or of a choice that
            dynbench itself has.
    """
    folders = plugin_folders()
    for folder in folders:
        _refuse_shadows(folder, tuple(sorted(path.stem for path in folder.glob("*.py"))))
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    catalogues = [folder / "conf" for folder in homes() if (folder / "conf").is_dir()]
    for catalogue in catalogues:
        _refuse_doubles(catalogue)
    paths = ",".join(f"file://{catalogue}" for catalogue in catalogues)
    return [f"hydra.searchpath=[{paths}]"] if paths else []


def _refuse_doubles(catalogue: Path) -> None:
    """A choice has one file: of two with one name Hydra composes dynbench's own, and the other would do nothing.

    Raises:
        ConfigError: Naming the file.
    """
    for path in sorted(catalogue.glob("*/*.yaml")):
        if (CONF / path.parent.name / path.name).is_file():
            choice = f"{path.parent.name}={path.stem}"
            raise ConfigError(f"'{path}' has the name of a choice that dynbench has itself, {choice}; rename it")


@cache
def _refuse_shadows(folder: Path, names: tuple[str, ...]) -> None:
    """A plug-in that has the name of an installed module would be imported in its place, by everybody.

    Raises:
        ConfigError: Naming the file.
    """
    elsewhere = [part for part in sys.path if Path(part or ".").resolve() != folder]
    for name in names:
        spec = PathFinder.find_spec(name, elsewhere)
        if name in sys.stdlib_module_names or (spec is not None and spec.loader is not None):
            raise ConfigError(f"{PLUGINS}: '{folder / name}.py' has the name of an installed module; rename it")


def compose(overrides: Sequence[str], config_name: str = "config") -> DictConfig:
    """Compose a configuration in this process, as the command line would.

    Args:
        overrides: As on the command line: ``["model=nlsm", "data=enron", "model.dim=32"]``.
        config_name: The primary YAML file, without ``.yaml``.

    Raises:
        ConfigError: For an unknown choice, key or type, naming it.
    """
    from dynbench.config.explain import explain

    schema.register()
    extra = enable_plugins()
    overrides = with_variants(overrides)
    parse(overrides)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra_compose(config_name, [*extra, *overrides])
    except Exception as error:  # Hydra trips over some overrides with errors of any kind
        raise ConfigError(explain(error, overrides)) from error


def parse(words: Sequence[str], sweep: bool = False) -> list[Override]:
    """Read overrides one by one, so that the one that cannot be read is named.

    Raises:
        ConfigError: For a word that is no override, a choice that is no name, and a sweep over nothing.
    """
    parser, groups = OverridesParser.create(), default_choices()
    parsed = []
    for word in words:
        if "=" not in word[1:] and not word.startswith("~"):
            raise ConfigError(f"'{word}' is not KEY=VALUE; leave no space around '=', and quote a value that holds one")
        try:
            override = parser.parse_override(word)
        except HydraException as error:
            raise ConfigError(
                f"'{word}' cannot be read; quote special characters for both shell and Hydra: 'key=\"a, b\"'"
            ) from error
        several = override.is_sweep_override()
        if several and override.is_discrete_sweep() and not list(override.sweep_string_iterator()):
            raise ConfigError(f"{word} names no value to sweep over")
        if several and not sweep:
            raise ConfigError(
                f"{override.key_or_group} names several values; sweep over them with -m, or quote a list: 'key=[a,b]'"
            )
        if override.type == OverrideType.CHANGE and (group := override.key_or_group) in groups:
            own = override.value()
            listed = group in _SEVERAL and isinstance(own, list)
            plain = map(str, own) if listed else [override.get_value_string()]
            names = override.sweep_string_iterator() if several else plain
            for name in names:
                if name not in choices(group):
                    raise ConfigError(unknown_choice(group, name))
        parsed.append(override)
    return parsed


def standing_for(model: str, protocol: str | None) -> str:
    """The model that stands for another under a protocol, as the file of the other says; mostly the model itself."""
    known = model in choices("model")
    return read_choice("model", model).get("variants", {}).get(protocol, model) if known else model


def with_variants(words: Sequence[str]) -> list[str]:
    """Replace a model by the variant that stands for it under the chosen protocol, if its file names one.

    ``variants: {windowed_kg: nlsm_kg}`` in ``conf/model/nlsm.yaml`` makes ``model=nlsm protocol=windowed_kg`` mean
    ``model=nlsm_kg protocol=windowed_kg``. A protocol that is swept over chooses no variant.
    """
    chosen = dict(word.split("=", 1) for word in words if "=" in word)
    typed = chosen.get("model", default_choices()["model"])
    meant = ",".join(standing_for(name, chosen.get("protocol")) for name in typed.split(","))
    if meant == typed:
        return list(words)
    # In place: command lines end with options of Hydra's, after which no override may stand.
    place = f"model={typed}" if "model" in chosen else f"protocol={chosen['protocol']}"
    standing = [f"model={meant}"] if "model" in chosen else [f"model={meant}", place]
    return [new for word in words for new in (standing if word == place else [word])]


def folders(group: str) -> list[Path]:
    """The folders that hold the YAML files of a group, plug-ins first."""
    return [folder for folder in (*(p / "conf" / group for p in homes()), CONF / group) if folder.is_dir()]


def choices(group: str) -> list[str]:
    """The names that can be chosen in a group, in alphabetical order."""
    return sorted({path.stem for folder in folders(group) for path in folder.glob("*.yaml")})


@cache
def read_choice(group: str, name: str) -> dict[str, Any]:
    """The YAML file of one choice as it stands, without composing.

    Raises:
        ConfigError: If there is no such choice.
    """
    return yaml.safe_load(choice_path(group, name).read_text(encoding="utf-8")) or {}


def choice_path(group: str, name: str) -> Path:
    """Where the YAML file of one choice lies.

    Raises:
        ConfigError: If there is no such choice.
    """
    for folder in folders(group):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    raise ConfigError(unknown_choice(group, name))


def unknown_choice(group: str, name: str) -> str:
    """The message for a choice that does not exist."""
    known = choices(group)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{group}={name} is unknown; {hint}choices: {', '.join(known) or 'none'}"


def default_choices() -> dict[str, str]:
    """What is chosen in each group when nothing is said."""
    return dict(_default_choices((CONF / "config.yaml").read_text(encoding="utf-8")))


@cache
def _default_choices(text: str) -> dict[str, str]:
    return {
        group: name
        for item in yaml.safe_load(text)["defaults"]
        if isinstance(item, dict)
        for group, name in item.items()
        if " " not in group
    }
