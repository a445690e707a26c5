"""What several commands share: the share of the work, and how values are written."""

import click
import pytest
from click.testing import CliRunner
from sqa_cli import options as o


@pytest.mark.parametrize(
    ("text", "code", "printed"),
    [("2/3", 0, "2/3"), ("4/3", 2, "expected I/N"), ("0/3", 2, "expected I/N"), ("x", 2, "expected I/N")],
)
def test_a_share(text: str, code: int, printed: str) -> None:
    @click.command()
    @o.shard("Help.")
    def command(shard: object) -> None:
        click.echo(str(shard))

    result = CliRunner().invoke(command, ["--shard", text])
    assert result.exit_code == code
    assert printed in result.output
    assert CliRunner().invoke(command, []).output == "None\n"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (o.size(0), "0 B"),
        (o.size(999), "999 B"),
        (o.size(1000), "1.0 kB"),
        (o.size(999_999), "1000.0 kB"),
        (o.size(12_345_678), "12.3 MB"),
        (o.size(5_000_000_000_000), "5000.0 GB"),
        (o.count(1234567), "1,234,567"),
        (o.count(None), ""),
        (o.number(2.345, 1), "2.3"),
        (o.number(None), ""),
        (o.kilohertz([16_000]), "16"),
        (o.kilohertz([8_000, 22_050, 48_000]), "8..48"),
    ],
)
def test_values(written: str, expected: str) -> None:
    assert written == expected
