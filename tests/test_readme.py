"""The README and docs/ are true: their commands run as written, in order, and print what the page shows.

Every `sh` and `python` block of a page runs in one scratch copy of the checkout. A comment above a block says what is
special:

- `<!-- not run: reason -->`: left out, since it downloads gigabytes or needs what a clone does not have; the reason may
  name another test that runs it;
- a `text` block is what the block above it prints on stdout; `<!-- within 0.005 -->` lets its numbers differ so much.

`test_readme_training.py` runs the training commands with small networks. Blocks called `bash` show commands of others.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import DOCUMENTS, ROOT, Block, read_blocks

NUMBER = re.compile(r"-?\d+\.\d+")
BLOCKS = [block for page in DOCUMENTS for block in read_blocks(page)]
PLAIN = [block for block in BLOCKS if not block.note]


def test_blocks_are_found() -> None:
    assert sum(block.page == "README.md" for block in PLAIN) >= 7
    assert sum(block.printed is not None for block in BLOCKS) >= 2
    assert all(block.note.startswith("not run: ") for block in BLOCKS if block.note)
    named = {name for block in BLOCKS for name in re.findall(r"tests/\w+\.py", block.note)}
    assert named
    assert all((ROOT / name).is_file() for name in named)


def test_links_lead_to_files() -> None:
    for page in [*DOCUMENTS, *ROOT.glob("packages/*/README.md"), ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert ":" in target or (page.parent / target).exists(), f"{page}: {target}"


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each page a folder with what the commands read, so that what they write does not land in the checkout."""
    folders = {page.name: tmp_path_factory.mktemp("page") for page in DOCUMENTS}
    for folder in folders.values():
        for name in ("examples", "recipes", "packages", "benchmarks"):
            (folder / name).symlink_to(ROOT / name)
    return folders


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


@pytest.mark.parametrize("block", PLAIN, ids=str)
def test_block_runs(checkouts: dict[str, Path], block: Block) -> None:
    printed = execute(block, checkouts[block.page])
    if block.printed is not None:
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", block.printed)
        for shown, found in zip(NUMBER.findall(block.printed), NUMBER.findall(printed), strict=True):
            assert abs(float(shown) - float(found)) <= block.tolerance + 1e-9, printed
