"""HyperPyYAML read as data: nothing is imported or called, and nothing small becomes large."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sqa_model.checkpoint.files import first_lines, read_text
from sqa_model.errors import CheckpointError

MOST_VALUES = 100_000  # of a configuration, with aliases written out


class _InertLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """YAML whose HyperPyYAML tags stay data: `!new:x {...}` is its mapping, and nothing is called."""


def _inert(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


for _tag in ("!new:", "!apply:", "!name:", "!module:"):
    _InertLoader.add_multi_constructor(_tag, _inert)
_InertLoader.add_constructor("!ref", lambda loader, node: _Reference(node.value))


class _Reference(str):
    """Text of a `!ref <name>`."""

    __slots__ = ()


def read_hyperpyyaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The plain data of a HyperPyYAML file: tags are dropped, `!ref <name>` of a top-level name is filled in.

    Nothing is imported or called. Any tag but HyperPyYAML's own is an error, as are aliases that expand to too much.
    """
    path = Path(path)
    text = read_text(path)
    try:
        content = yaml.load(text, _InertLoader)
        if not isinstance(content, dict):
            raise CheckpointError(f"{path}: expected names and values, found {type(content).__name__}")
        _check_size(content, path)
        resolved = {str(k): _resolve(v, content) for k, v in content.items()}
        _check_size(resolved, path)  # references may be nested as well
        return resolved
    except yaml.constructor.ConstructorError as error:
        where = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise CheckpointError(f"{path}:{where}: {error.problem}; nothing but plain values is read") from error
    except (yaml.YAMLError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_lines(error)}") from error
    except RecursionError as error:
        raise CheckpointError(f"{path}: nested too deep to be a configuration") from error


def _check_size(content: object, path: Path) -> None:
    """Raise `CheckpointError` where aliases make a small text a large value, or one that contains itself."""
    sizes: dict[int, float] = {}  # by identity; what is being counted is infinite

    def size(value: object) -> float:
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in sizes:
            sizes[id(value)] = math.inf
            parts = [*value, *value.values()] if isinstance(value, dict) else value
            sizes[id(value)] = 1 + sum(map(size, parts))
        return sizes[id(value)]

    if size(content) > MOST_VALUES:
        raise CheckpointError(
            f"{path}: aliases expand to more than {MOST_VALUES:,} values; no configuration does"
        )


def _resolve(value: Any, content: Mapping[str, Any]) -> Any:
    """`value` with references to top-level names replaced by what they name."""
    if isinstance(value, _Reference):
        named = content.get(value.strip("<>"), str(value))
        return str(value) if isinstance(named, _Reference) else named
    if isinstance(value, dict):
        return {k: _resolve(v, content) for k, v in value.items()}
    return [_resolve(v, content) for v in value] if isinstance(value, list) else value
