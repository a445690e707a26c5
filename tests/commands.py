"""Run a command as a person does, inside the test's own process."""

from click.testing import CliRunner
from sqa_cli.main import main


def run(*arguments: object, code: int = 0) -> str:
    """What `sqa-cli arguments` prints on both streams; fails if the exit code is not `code`."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output
