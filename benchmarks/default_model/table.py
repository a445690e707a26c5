"""The table: a line, what was measured, the goal, and whether it is held."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One line. `held` is None where there is no goal, or where it was not measured."""

    what: str
    value: str
    goal: str = ""
    held: bool | None = None
    numbers: dict[str, float] = field(default_factory=dict)


def judged(what: str, text: str, goal: str, held: Callable[..., bool] | None, **numbers: float) -> Line:
    """A line whose text and judgement are made of the same numbers; `text` is a format of them."""
    rounded = {name: round(float(value), 5) for name, value in numbers.items()}
    return Line(what, text.format(**rounded), goal, bool(held(**rounded)) if held else None, rounded)


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a table."""
    held = {True: "yes", False: "**no**", None: ""}
    rows = [f"| {line.what} | {line.value} | {line.goal} | {held[line.held]} |" for line in lines]
    return "\n".join(["| line | value | goal | held |", "|---|---|---|---|", *rows])


def write_json(path: Path, model: dict[str, str], lines: Sequence[Line]) -> None:
    """All figures with the model that they are of."""
    path.write_text(json.dumps({"model": model, "lines": [asdict(line) for line in lines]}, indent=1) + "\n")
