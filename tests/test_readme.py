"""The README is true: its commands run as written, in order, and print what it shows.

Every `sh` and `python` block runs in one scratch copy of the checkout. A comment above a block says what is special:

- `<!-- not run: reason -->`: left out, since it downloads gigabytes or needs what a clone does not have;
- a `text` block is what the block above it prints on stdout; `<!-- within 0.005 -->` lets its numbers differ so much.

`test_readme_training.py` runs the training commands with small networks.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:<!-- (.+?) -->\n)?```(sh|python|text)\n(.*?)```", re.S)
NUMBER = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True)
class Block:
    """A block of commands and what it is to print."""

    note: str
    language: str
    body: str
    printed: str | None = None
    tolerance: float = 0.0


def read_blocks() -> list[Block]:
    found: list[Block] = []
    for note, language, body in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        if language == "text":
            before = found.pop()
            within = float(note.removeprefix("within ")) if note else 0.0
            found.append(Block(before.note, before.language, before.body, body, within))
        else:
            found.append(Block(note, language, body))
    return found


BLOCKS = read_blocks()
PLAIN = [block for block in BLOCKS if not block.note]


def first_line(block: Block) -> str:
    return block.body.split("\n")[0][:60]


def test_blocks_are_found() -> None:
    assert len(PLAIN) >= 7
    assert sum(block.printed is not None for block in BLOCKS) >= 2
    assert all(block.note.startswith("not run: ") for block in BLOCKS if block.note)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands read, so that what they write does not land in the checkout."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("examples", "recipes", "packages", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def execute(block: Block, folder: Path) -> str:
    """What a block prints on stdout. `uv run X` is X here: asking uv would resolve the workspace anew."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "80"}
    python = block.language == "python"
    command = (
        [sys.executable, "-c", block.body] if python else ["bash", "-euc", block.body.replace("uv run ", "")]
    )
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.body}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("block", PLAIN, ids=first_line)
def test_block_runs(checkout: Path, block: Block) -> None:
    printed = execute(block, checkout)
    if block.printed is not None:
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", block.printed)
        for shown, found in zip(NUMBER.findall(block.printed), NUMBER.findall(printed), strict=True):
            assert abs(float(shown) - float(found)) <= block.tolerance + 1e-9, printed
