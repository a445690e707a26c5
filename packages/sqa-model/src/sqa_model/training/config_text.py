"""Configs as text: TOML files, presets, `name=value` overrides and the run folder's JSON.

Read without torch, so that a mistake is told at once. Nothing in a config is executable. Whatever is wrong is
reported with the dotted name of its field; the resolved config is saved as JSON and reads back equal.
"""

import dataclasses
import difflib
import json
import sys
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqa_model.training.config import WITH_INIT, TrainConfig, refuse_beside_init
from sqa_model.training.fields import ConfigError, require

Kind = TypeVar("Kind")  # a config dataclass


def presets() -> tuple[str, ...]:
    """Names of the presets in the package.

    >>> presets()[:3]
    ('fine-tune', 'mini', 'two-encoders')
    """
    files = resources.files("sqa_model").joinpath("presets").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_config(
    preset: str | None = None, file: str | Path | None = None, overrides: Iterable[str] = ()
) -> TrainConfig:
    """A preset, changed by a TOML file, changed by `name=value` overrides; each may be left out.

    A value is written as in TOML (`3e-4`, `true`, `["a.jsonl"]`), a bare word is a string, `none` switches an
    optional field off. Where the file or an override sets `model.init`, what a preset says of the network gives way
    to it. Raises `ConfigError` naming the field.

    >>> load_config("mini", overrides=["optim.lr=1e-4", "run.device=cpu"]).optim.lr
    0.0001
    """
    table: dict[str, Any] = {}
    if preset is not None:
        require(preset in presets(), "preset", preset, f"one of {', '.join(presets())}")
        table = tomllib.loads(
            resources.files("sqa_model").joinpath(f"presets/{preset}.toml").read_text("utf-8")
        )
    own = {} if file is None else _read_toml(Path(file))
    for override in overrides:
        _merge(own, _override(override))
    if (init := _init_of(own)) is not None:
        for name in own["model"]:
            refuse_beside_init(name, init)
        table.pop("model", None)
    _merge(table, own)
    return parse(TrainConfig, table)


def change(config: TrainConfig, overrides: Iterable[str]) -> TrainConfig:
    """The same config but for `name=value` overrides, as `load_config` takes them.

    >>> change(TrainConfig(), ["epochs=9"]).epochs
    9
    """
    table = json.loads(to_json(config))
    for override in overrides:
        _merge(table, _override(override))
    return parse(TrainConfig, table)


def _init_of(table: Mapping[str, Any]) -> object:
    """What `model.init` is in a table; None where there is none."""
    model = table.get("model")
    init = model.get("init") if isinstance(model, Mapping) else None
    return None if init == "none" else init


def parse(kind: type[Kind], value: object, name: str = "") -> Kind:
    """`value` (from TOML or JSON) as the dataclass `kind`, checked all the way down; `name` is its dotted place.

    >>> parse(TrainConfig, {"seed": 7, "batch": {"seconds": 60, "micro_seconds": "none"}}).batch
    BatchConfig(seconds=60.0, clips=128, micro_seconds=None)
    """
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a table")
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in hints:
            close = difflib.get_close_matches(key, hints, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(hints)}"
            raise ConfigError(f"{_join(name, key)}: no such field; {hint}")
    return kind(**{key: _field(hints[key], item, _join(name, key)) for key, item in value.items()})


def _field(kind: Any, value: object, name: str) -> object:
    """`value` as the type `kind` of a field."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return parse(kind, value, name)
    if origin in (types.UnionType, typing.Union):  # X | None, the only union there is
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None or value == "none" else _field(inner, value, name)
    if origin is Literal:
        if value not in arguments:
            raise _wrong(name, value, f"one of {', '.join(arguments)}")
        return value
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise _wrong(name, value, "a list")
        if arguments[-1] is not Ellipsis and len(items) != len(arguments):
            raise _wrong(name, value, f"a list of {len(arguments)}")
        return tuple(_field(arguments[0], item, f"{name}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(name, value, "a table of name = value")
        return {str(key): _field(arguments[1], item, _join(name, str(key))) for key, item in value.items()}
    return _scalar(kind, value, name)


def _scalar(kind: type, value: object, name: str) -> object:
    if kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    if kind is not float and type(value) is kind:
        return value
    expected = {float: "a finite number", int: "a whole number", str: "a string", bool: "true or false"}
    raise _wrong(name, value, expected[kind])


def to_json(config: TrainConfig, record: Mapping[str, Any] | None = None) -> str:
    """The config as JSON text, every field that counts written out; `from_json` gives it back equal.

    record: what a run adds that is only known with its data or its `init`: "model", the network as it is trained,
        which is then written in place of what was asked for ("asked"), and more beside it.

    >>> from_json(to_json(TrainConfig())) == TrainConfig()
    True
    """
    table = dataclasses.asdict(config)
    if config.model.init is not None:
        table["model"] = {name: table["model"][name] for name in WITH_INIT}
    if record and "model" in record:
        table["asked"] = {"model": table["model"]}
    table |= record or {}
    return json.dumps(table, indent=2) + "\n"


def from_json(text: str, source: str = "config.json") -> TrainConfig:
    """Read what `to_json` wrote, with or without a record; `source` is named in errors."""
    try:
        table = json.loads(text)
        if isinstance(table, dict):
            if isinstance(asked := table.pop("asked", None), dict):
                table |= asked
            elif (init := _init_of(table)) is not None and "backbone" in table["model"]:
                # 0.1.0 wrote all fields there, but only this one counted
                table["model"] = {"init": init}
            for name in ("fine_tuned_from", "extended"):
                table.pop(name, None)
        return parse(TrainConfig, table)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{source}: not JSON ({error}); the run folder is damaged, start in a new one"
        ) from error


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """The fields in which two configs differ, `run` left out: `name: old -> new`.

    >>> differences(TrainConfig(), load_config(overrides=["seed=7", "run.workers=4"]))
    ['seed: 42 -> 7']
    """
    one, other = _flat(dataclasses.asdict(old)), _flat(dataclasses.asdict(new))
    return [
        f"{name}: {one.get(name)} -> {other.get(name)}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name) and not name.startswith("run.")
    ]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise ConfigError(f"{path}: cannot read the config: not a regular file; expected a TOML file")
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the config: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error


def _override(text: str) -> dict[str, Any]:
    """`optim.lr=1e-4` -> {"optim": {"lr": 1e-4}}."""
    name, equals, raw = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {text}: expected name=value, for example optim.lr=1e-4")
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        # a bare word
        value = raw.strip()
    for part in reversed(name.strip().split(".")):
        value = {part: value}
    return typing.cast(dict[str, Any], value)


def _merge(table: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put `over` onto `table`, going into tables that both have."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _wrong(name: str, found: object, expected: str) -> ConfigError:
    return ConfigError(f"{name or 'config'}: found {found!r}, expected {expected}")
