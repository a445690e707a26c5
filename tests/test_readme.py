"""The README's commands run as written: every `sh` and `python` block, in order, in one scratch copy of the checkout.

A block under `<!-- not run: reason -->` is left out (it downloads gigabytes, or needs what CI has not).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- not run: .+? -->\n)?```(sh|python)\n(.*?)```", re.S)


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every block to run."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [(language, body) for skip, language, body in BLOCK.findall(text) if not skip]


def test_blocks_are_found() -> None:
    assert len(blocks()) >= 4


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands read, so that what they write does not land in the checkout."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("examples", "recipes", "packages", "benchmarks"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    if (ROOT.parent / "shared").exists():
        (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    return folder


@pytest.mark.parametrize(("language", "body"), blocks(), ids=lambda text: text.split("\n")[0][:60])
def test_block_runs(checkout: Path, language: str, body: str) -> None:
    # `uv run X` is X in the environment of the tests; asking uv again would resolve the workspace anew.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = (
        [sys.executable, "-c", body]
        if language == "python"
        else ["bash", "-euc", body.replace("uv run ", "")]
    )
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
