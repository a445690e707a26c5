"""Configurations as frozen dataclasses: types and ranges of their fields, checked before anything is built.

Ranges are wide enough for any network that fits
a machine, and narrow enough that building one from a hostile file fails at once.
"""

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar

from sqa_model.errors import ModelError

Config = TypeVar("Config")
RANGE = "range"
CHOICES = "choices"
MOST_NUMBERS = 32  # in a field that is a list
# type of a field -> what a message calls it, and what is accepted
KINDS: dict[object, tuple[str, type | UnionType]] = {
    int: ("a whole number", int),
    float: ("a number", int | float),
    bool: ("true or false", bool),
}


def between(default: Any, low: float, high: float) -> Any:
    """A field of a dataclass whose value (each, of several) lies within these bounds, both included."""
    return dataclasses.field(default=default, metadata={RANGE: (low, high)})


def one_of(default: str, *others: str) -> Any:
    """A field of a dataclass that takes one of these words."""
    return dataclasses.field(default=default, metadata={CHOICES: (default, *others)})


def check_ranges(config: Any) -> None:
    """Raise `ModelError` for a value that has the wrong type or lies outside its field's range.

    A field of the type `tuple[int, ...]` takes a list, too, as JSON has it, and keeps it as a tuple.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if CHOICES in field.metadata and value not in field.metadata[CHOICES]:
            expected = ", ".join(field.metadata[CHOICES])
            raise ModelError(f"{field.name} is {value!r:.50}; expected one of {expected}")
        if field.type == tuple[int, ...]:
            if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_NUMBERS:
                raise ModelError(f"{field.name} must be 1 to {MOST_NUMBERS} numbers, found {value!r:.50}")
            for item in value:
                _check(field, item, int)
            object.__setattr__(config, field.name, tuple(value))
        elif field.type in KINDS:
            _check(field, value, field.type)


def _check(field: "dataclasses.Field[Any]", value: Any, kind: object) -> None:
    """Raise `ModelError` unless a value is of this kind and in the field's range."""
    expected, accepted = KINDS[kind]
    if not isinstance(value, accepted) or isinstance(value, bool) != (kind is bool):
        raise ModelError(f"{field.name} must be {expected}, found {value!r:.50}")
    low, high = field.metadata.get(RANGE, (-float("inf"), float("inf")))
    if not low <= value <= high:
        raise ModelError(f"{field.name} is {value!r:.50}; expected {expected} from {low:,} to {high:,}")


def from_record(cls: type[Config], record: Mapping[str, Any], what: str) -> Config:
    """A dataclass from a JSON object; ModelError names unknown keys, wrong types and numbers out of range."""
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(record) - set(known))
    if unknown:
        raise ModelError(f"{what}: unknown {', '.join(unknown)[:200]}; expected {', '.join(known)}")
    try:
        return cls(**record)
    except ModelError as error:
        raise ModelError(f"{what}: {error}") from error
