"""The example of fine-tuning in sqa-model's README, word for word on real speech, and the figures that it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "packages" / "sqa-model" / "README.md"


def example() -> str:
    """The commands of the block that fine-tunes on half of the talkers."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    (found,) = [block for block in blocks if "p835" in block]
    return found


@pytest.mark.slow
def test_half_of_the_talkers_teach_and_the_others_judge(shared: Path, tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    (tmp_path / "shared").symlink_to(shared)
    work = tmp_path / "work"
    work.mkdir()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        ["bash", "-euc", example().replace("uv run ", "")],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "13 of 39 clips, 1 of 3 talkers" in done.stderr
    assert "tuned - parent" in done.stdout
    # utterance MSE, of both in the order of the command; the README has them without the leading 0
    found = [float(value) for value in re.findall(r"^utterance +39 +(\d\.\d+) \[", done.stdout, re.M)]
    shown = [float(re.findall(rf"^\| {row}.*?\| (\.\d+) \[", text, re.M)[0]) for row in ("tuned", "parent")]
    # training rounds differently on another processor
    assert found == pytest.approx(shown, abs=0.02)
