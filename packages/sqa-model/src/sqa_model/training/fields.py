"""The fields of a training config: what each takes, checked when a part of the config is made."""

from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, get_args

from sqa_model.errors import ModelError


class ConfigError(ModelError):
    """A training configuration that cannot be used; the message names the field."""


def require(condition: bool, name: str, found: object, expected: str) -> None:
    """Raise `ConfigError` naming the field unless `condition` holds."""
    if not condition:
        raise ConfigError(f"{name}: found {found!r}, expected {expected}")


def limited(default: Any, expected: str, fits: Callable[[Any], object]) -> Any:
    """A field that takes what `fits`: its value, each value of a table, or none where its type says so."""
    return field(default=default, metadata={"expected": expected, "fits": fits})


def above_0(default: float | None) -> Any:
    """A field for a number above 0."""
    return limited(default, "a number above 0", lambda value: value > 0)


def at_least(low: int, default: Any, of: str = "") -> Any:
    """A field for a number of at least `low`; `of` says of what."""
    return limited(default, f"{low} or more{of}", lambda value: value >= low)


WEIGHTS = {"expected": "0 or more", "fits": lambda weight: weight >= 0}  # of a table of weights


class Section:
    """A part of a config, whose `limited` fields are checked when it is made."""

    section = ""  # its name and a dot

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]  # every part is a dataclass
            value, name = getattr(self, each.name), self.section + each.name
            optional = type(None) in get_args(each.type)
            if "fits" not in each.metadata or (optional and value is None):
                continue
            expected = each.metadata["expected"] + (", or none" if optional else "")
            table = isinstance(value, dict)
            for key, item in value.items() if table else [("", value)]:
                require(bool(each.metadata["fits"](item)), f"{name}.{key}" if table else name, item, expected)
