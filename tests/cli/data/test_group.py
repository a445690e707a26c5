"""`sqa-cli data`: its table of commands."""

import subprocess
import sys

from commands import run
from sqa_cli.data.group import COMMANDS


def test_every_command_is_there() -> None:
    for command in COMMANDS:
        assert "Usage:" in run("data", command, "--help")
    output = run("data", "--help")
    assert all(f"  {name} " in output for name in COMMANDS)
    assert "Examples" in output


def test_usage() -> None:
    assert "name a corpus" in run("data", "download", code=2)
    assert "either --out FILE or --into" in run("data", "import", ".", code=2)


def test_help_is_light() -> None:
    """No torch, no pyarrow, no NumPy, no HTTP library behind `data --help`."""
    script = (
        "import sys; from sqa_cli.main import main\n"
        "try: main(['data', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'pyarrow', 'httpx2', 'huggingface_hub', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
