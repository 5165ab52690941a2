"""Settings: a typed dataclass tree, filled from YAML files and ``a.b=value`` overrides, checked key by key.

Each component declares its own plain dataclass beside the code that reads it; this file only fills and checks them.
A YAML file may begin with ``defaults: base.yaml`` (or a list), paths relative to itself: those values come first.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from tacit.run.changed_keys import current
from tacit.run.limits import broken
from tacit.types import InputError

T = TypeVar("T")


def load(cls: type[T], path: str | Path | None, overrides: Sequence[str] = (), saved: bool = False) -> T:
    """Defaults of ``cls``, then the YAML file with its includes, then the overrides, later ones winning.

    An override is ``key=value``, or the name of a further YAML file. ``saved``: the file is what a run folder keeps of
    its settings, and may have been written by an earlier version (``changed_keys``).
    """
    config: DictConfig = OmegaConf.structured(cls)
    for origin, values in _sources(path, overrides):
        config = _merge(config, cls, current(values, origin, saved and origin == str(path)), origin)
    try:
        loaded = OmegaConf.to_object(config)
    except MissingMandatoryValue as error:
        raise InputError(f"The key '{error.full_key}' has no value: set it in the file or as an override.") from error
    except (OmegaConfBaseException, ValueError) as error:
        raise InputError(f"{path or 'The settings'}: {_first_line(error)}") from error
    for key, value, allowed in broken(loaded):
        raise InputError(
            f"{_origin(key, path, overrides)}: '{key}' must be {allowed}, not {value!r}; change the value."
        )
    return typing.cast(T, loaded)


def _origin(key: str, path: str | Path | None, overrides: Sequence[str]) -> str:
    """Where ``key`` got its value: the last override or file that names it."""
    origin = "The settings"
    for source, values in _sources(path, overrides):
        if key in dict(_leaves(values)) or any(key.startswith(f"{leaf}.") for leaf, _ in _leaves(values)):
            origin = source
    return origin


def stated(key: str, path: str | Path, overrides: Sequence[str] = ()) -> object:
    """What the file with its includes and the overrides say of a top-level ``key``; None where none names it.

    No settings class is needed: the answer may decide which one.
    """
    found = None
    for _, values in _sources(path, overrides):
        found = values.get(key, found)
    return found


def check_types(config: object, prefix: str = "") -> None:
    """``InputError`` where settings made in Python hold what their types and limits do not allow.

    ``prefix`` stands before the key: the section that ``config`` is."""
    try:
        OmegaConf.structured(config)
    except OmegaConfBaseException as error:
        key = error.full_key or "?"
        value = functools.reduce(getattr, key.partition("[")[0].split("."), config)
        raise InputError(f"{prefix}{key} must be {_type_name(_type_at(type(config), key))}, not {value!r}.") from error
    for key, value, allowed in broken(config):
        raise InputError(f"{prefix}{key} must be {allowed}, not {value!r}.")


def dump(config: object) -> str:
    """The resolved settings as YAML. ``load`` of it gives an equal object."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def differences(left_yaml: str, right_yaml: str, defaults_yaml: str = "") -> dict[str, tuple[object, object]]:
    """Leaf keys whose values differ between two dumps, as ``{key: (left, right)}``; those of an earlier version are
    read under today's names.

    A setting that the left dump's version did not have yet differs only where the right one is not its default.
    """
    texts = left_yaml, right_yaml, defaults_yaml
    dumps = (current(yaml.safe_load(text) or {}, "config.yaml", saved=True) for text in texts)
    left, right, defaults = (dict(_leaves(values)) for values in dumps)
    new = [key for key in right if key not in left and not (key in defaults and defaults[key] == right[key])]
    keys = [*left, *new]
    return {key: (left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)}


def keys(cls: type) -> list[str]:
    """Every key of a settings class, sections included, as full dotted paths."""
    return list(_paths(cls, ""))


def _sources(path: str | Path | None, overrides: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where values come from and the values, in the order in which they are merged."""
    if path is not None:
        yield from _layers(Path(path), ())
    for override in overrides:
        if _names_a_file(override):
            yield from _layers(Path(override), ())
        else:
            yield f"override '{override}'", _parse_override(override)


def _layers(path: Path, parents: tuple[Path, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file's includes (depth first), then the file itself."""
    if path.resolve() in parents:
        raise InputError(f"{path}: 'defaults' includes itself in a circle; remove one of the includes.")
    values = _read_yaml(path)
    includes = values.pop("defaults", [])
    for include in [includes] if isinstance(includes, str) else includes:
        if not isinstance(include, str):
            raise InputError(f"{path}: 'defaults' must be a file name or a list of file names, not {include!r}.")
        yield from _layers(path.parent / include, (*parents, path.resolve()))
    yield str(path), values


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such config file; check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8.") from error
    except IsADirectoryError:
        raise InputError(
            f"{path} is a folder without config.yaml, so no run: give a run folder or a YAML file."
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a readable YAML file.") from error
    try:
        values = OmegaConf.to_container(OmegaConf.create(text)) if text.strip() else {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or _first_line(error)
        raise InputError(f"{path}{where}: not valid YAML ({problem}); fix that line.") from error
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {_first_line(error)}.") from error
    if not isinstance(values, dict) or not _is_mapping_text(text):
        raise InputError(f"{path}: expected 'key: value' lines at the top level; see configs/demo.yaml for the form.")
    return typing.cast(dict[str, Any], values)


def _is_mapping_text(text: str) -> bool:
    """OmegaConf turns the scalar ``word`` into ``{word: None}``; a config file must really be a mapping."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return node is None or isinstance(node, yaml.MappingNode)


def _names_a_file(override: str) -> bool:
    return "=" not in override and override.endswith((".yaml", ".yml"))


def _parse_override(override: str) -> dict[str, Any]:
    key, equals, _ = override.partition("=")
    if not equals or not key or any(not part for part in key.split(".")):
        raise InputError(f"'{override}' is not an override; write key=value, for example seed=1 or ppo.lr=5e-6.")
    try:
        values = OmegaConf.to_container(OmegaConf.from_dotlist([override]))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"override '{override}': the value cannot be read; put it in quotes.") from error
    return typing.cast(dict[str, Any], values)


def _merge(config: DictConfig, cls: type, values: Mapping[str, Any], origin: str) -> DictConfig:
    _check_keys(cls, values, origin, "", cls)
    try:
        return typing.cast(DictConfig, OmegaConf.merge(config, values))
    except OmegaConfBaseException as error:
        key = error.full_key or "?"
        wanted = _type_name(_type_at(cls, key))
        value = _value_at(values, key)
        raise InputError(f"{origin}: '{key}' must be {wanted}, not {value!r}; change the value.") from error


def _check_keys(cls: Any, values: Mapping[str, Any], origin: str, prefix: str, root: type) -> None:
    fields = _fields(cls)
    for name, value in values.items():
        key = f"{prefix}{name}"
        if name not in fields:
            raise InputError(f"{origin}: unknown key '{key}'{_suggestion(key, root)}")
        kind = fields[name]
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, Mapping):
                inner = ", ".join(f"{key}.{child}" for child in list(_fields(kind))[:3])
                raise InputError(f"{origin}: '{key}' is a section, not a value; set its keys, for example {inner}.")
            _check_keys(kind, value, origin, f"{key}.", root)


def _suggestion(key: str, root: type) -> str:
    """The nearest valid key: a sibling first, then the same last name anywhere, then any full path."""
    known = keys(root)
    parent, _, name = key.rpartition(".")
    siblings = {path.rpartition(".")[2]: path for path in known if path.rpartition(".")[0] == parent}
    near = difflib.get_close_matches(name, siblings, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{siblings[near[0]]}'?"
    elsewhere = [path for path in known if path.rpartition(".")[2] == name]
    best = elsewhere or difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return f"; did you mean '{best[0]}'?" if best else "; see the comments in configs/demo.yaml"


def _fields(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _paths(cls: Any, prefix: str) -> Iterator[str]:
    for name, kind in _fields(cls).items():
        yield f"{prefix}{name}"
        if dataclasses.is_dataclass(kind):
            yield from _paths(kind, f"{prefix}{name}.")


def _leaves(values: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, values


def _type_at(cls: type, key: str) -> Any:
    kind: Any = cls
    for part in key.partition("[")[0].split("."):
        kind = _fields(kind).get(part) if dataclasses.is_dataclass(kind) else kind
    return kind


def _value_at(values: Any, key: str) -> Any:
    for part in key.partition("[")[0].split("."):
        values = values.get(part) if isinstance(values, Mapping) else values
    return values


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(str(choice) or 'nothing' for choice in typing.get_args(kind))}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if typing.get_origin(kind) is list:
        (inner,) = typing.get_args(kind)
        choices = typing.get_origin(inner) is typing.Literal
        return f"a list of {_type_name(inner) if choices else getattr(inner, '__name__', 'values')}"
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
