"""Files of a checkpoint, opened with suspicion: only regular ones, and texts only up to a size."""

import json
from pathlib import Path
from typing import Any

from sqa_model.errors import CheckpointError

LONGEST = 1 << 20  # bytes of a configuration: a thousand times what ours take


def require_file(path: Path, remedy: str = "") -> Path:
    """The path, if it names a regular file; a pipe or a device would be read for ever."""
    if not path.is_file():
        kind = "is not a regular file" if path.exists() else "no such file"
        text = f"{path}: {kind}; a model is a configuration and weights side by side"
        raise CheckpointError(f"{text}; {remedy}" if remedy else text)
    return path


def read_text(path: Path) -> str:
    """The text of a configuration."""
    try:
        size = require_file(path).stat().st_size
        if size > LONGEST:
            raise CheckpointError(f"{path}: {size:,} bytes; expected a configuration of at most {LONGEST:,}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_lines(error)}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON: {first_lines(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def first_lines(error: BaseException) -> str:
    """The beginning of a long message, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) < 400 else text[:400] + " ..."
